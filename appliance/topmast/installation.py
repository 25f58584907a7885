"""What an installation of a distribution holds: its packages and all that they need, and nothing that is beside them.

A measurement of memory or of a start must not depend on what else the environment has: libraries import what they
find (jsonschema its formats, redis-py the SDK of OpenTelemetry), and an environment for tests has everything.
"""

from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def wanted(requirement: str, extras: Iterable[str]) -> "Requirement | None":
    """Return a dependency that holds on this Python and platform with these extras, else None."""
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    marker = parsed.marker
    if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
        return parsed
    return None


def needs(root: str) -> Mapping[str, set[str]]:
    """Return `root` and each distribution that it needs, with the names of those that this one asks for itself.

    `root` is a requirement, `topmast-exporter[standalone]`. Raises PackageNotFoundError when one is not installed.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    extras: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    waiting = [Requirement(root)]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in extras and one.extras <= extras[name]:
            continue
        extras.setdefault(name, set()).update(one.extras)
        texts = metadata.distribution(name).requires or []
        children = [child for text in texts if (child := wanted(text, extras[name]))]
        found[name] = {str(canonicalize_name(child.name)) for child in children}
        waiting += children
    return found


def link(root: str, folder: Path) -> list[Path]:
    """Return the import path of an installation of `root` alone, of links in `folder`: for `python -S`."""
    path = [folder]
    for name in needs(root):
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            real = Path(str(distribution.locate_file(file)))
            if ".." in file.parts or not real.is_file():  # a script in bin/, or what only pip's list has
                continue
            if real.suffix == ".pth":  # an editable installation: its source
                path += [Path(line) for line in real.read_text().splitlines() if Path(line).is_dir()]
                continue
            link = folder / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(real)
    return path
