"""The grok patterns under joni, the regular expressions of Logstash, by Elasticsearch's own grok library.

Needs a JDK and Maven, which fetches the library with what it stands on (four jars) once into the state folder.
"""

import base64
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from topmast.errors import PrerequisiteError

VERSION = "8.19.0"
JARS = (
    f"org.elasticsearch:elasticsearch-grok:{VERSION}",
    f"org.elasticsearch:elasticsearch-core:{VERSION}",
    "org.jruby.joni:joni:2.1.29",
    "org.jruby.jcodings:jcodings:1.0.44",
)
_CONVERT: Mapping[str, Callable[[str], Any]] = {"Integer": int, "Long": int, "Float": float, "Double": float}


def match(
    definitions: Mapping[str, str], lines: Sequence[tuple[str, str]], state: Path, say: Callable[[str], None]
) -> list[dict[str, Any] | None]:
    """Return, for each (pattern, line), the fields by their Logstash references; None for a line that does not fit.

    Raises PrerequisiteError where there is no JDK or the library cannot be had.
    """
    folder = _jars(state / "joni", say)
    told = "".join(f"{name}\t{definition}\n" for name, definition in definitions.items())
    asked = "".join(f"{name}\t{base64.b64encode(line.encode()).decode()}\n" for name, line in lines)
    argv = ["java", "-cp", f"{folder}/*", str(Path(__file__).with_name("Joni.java"))]
    done = subprocess.run(argv, input=f"{told}\n{asked}", capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise PrerequisiteError(f"joni: {done.stderr.strip()[-300:]}")
    return [_fields(line) for line in done.stdout.splitlines()]


def _fields(line: str) -> dict[str, Any] | None:
    if line == "-":
        return None
    found: dict[str, Any] = {}
    for each in filter(None, line.split("\t")):
        name, _, typed = each.partition("=")
        kind, _, value = typed.partition(":")
        text = base64.b64decode(value).decode()
        found[name] = _CONVERT.get(kind, str)(text)
    return found


def _jars(folder: Path, say: Callable[[str], None]) -> Path:
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise PrerequisiteError(f"no {tool} on PATH")
    wanted = [folder / f"{jar.split(':')[1]}-{jar.split(':')[2]}.jar" for jar in JARS]
    for jar, path in zip(JARS, wanted, strict=True):
        if path.is_file():
            continue
        say(f"fetches {jar}")
        argv = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={jar}", f"-DoutputDirectory={folder}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0 or not path.is_file():
            raise PrerequisiteError(f"{jar} cannot be had: {(done.stdout + done.stderr).strip()[-300:]}")
    return folder
