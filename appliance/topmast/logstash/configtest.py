"""`logstash -t` in the running container: does the real Logstash accept the files that it is given?

It parses every pipeline and makes every plugin with its settings. What it does not see (patterns, fields) `topmast
lint` does. A second JVM for half a minute: with a heap of its own, so that both fit into the container's limit, and
with a data folder of its own, for the running one has locked its.
"""

import re
import subprocess
from collections.abc import Callable

from topmast.checkup import Checkup

NAME = "logstash -t"
# JRuby and every plugin, on a small machine.
SECONDS = 180.0
_SCRIPT = """\
LOGSTASH_WRITER_PASSWORD="$(cat /run/topmast/logstash-writer-password)"; export LOGSTASH_WRITER_PASSWORD
LS_JAVA_OPTS="-Xms64m -Xmx256m"; export LS_JAVA_OPTS
data="$(mktemp -d)"; trap 'rm -rf "$data"' EXIT
/usr/share/logstash/bin/logstash -t --path.data "$data"
"""
COMMAND = ("/bin/bash", "-ec", _SCRIPT)
"""What is run in the container of the service `logstash`."""
REMEDY = "correct monitoring/logstash; `topmast lint` names file and line of what it knows"

Inside = Callable[[tuple[str, ...], float], "subprocess.CompletedProcess[str]"]
"""Run a command in Logstash's container, for at most so many seconds. Raises OSError, subprocess.TimeoutExpired."""


def checkup(inside: Inside) -> Checkup:
    """Return whether Logstash accepts its configuration, else its own reason."""
    try:
        done = inside(COMMAND, SECONDS)
    except subprocess.TimeoutExpired:
        message = f"has not answered within {SECONDS:.0f} s"
        return Checkup(NAME, ok=False, message=message, remedy="more CPU or memory for the container, or try again")
    except OSError as error:
        return Checkup(NAME, ok=False, message=str(error), remedy="topmast doctor --mode compose")
    if done.returncode == 0:
        return Checkup(NAME, ok=True, message="accepts every pipeline")
    return Checkup(NAME, ok=False, message=reason(done.stdout + done.stderr), remedy=REMEDY)


def reason(said: str) -> str:
    """Return why Logstash refuses, in one line: its own reason where it gives one, else its last words."""
    found = re.search(r"(?:configuration is invalid\. )?Reason: (.+)", said)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return (found[1] if found else lines[-1] if lines else "it ended without a word").strip()[:300]
