"""What this machine has: memory and disk."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from topmast.checkup import Checkup

MB = 1_000_000


def memory(known: Mapping[str, int], needed: int, what: str) -> Checkup:
    """Return whether so many bytes can be had: too little available is told, too little altogether fails."""
    total, available = known.get("MemTotal"), known.get("MemAvailable")
    if total is None or available is None:
        return Checkup("memory", ok=True, message="cannot be read here")
    told = f"{available // MB:,} MB of {total // MB:,} MB are available; {needed // MB:,} MB is what {what}"
    if total < needed:
        return Checkup("memory", ok=False, message=told, remedy="a larger machine, or --size lite")
    remedy = None if available >= needed else "end something else, or take --size lite"
    return Checkup("memory", ok=True, message=told, remedy=remedy)


def disk(folder: Path, needed: int, what: str) -> Checkup:
    """Return whether the folder's disk has so many bytes free."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    if not os.access(there, os.W_OK):
        return Checkup("disk", ok=False, message=f"{there}: cannot be written", remedy="--state DIR, elsewhere")
    free = shutil.disk_usage(there).free
    told = f"{free // MB:,} MB free at {there}; {needed // MB:,} MB is for {what}"
    if free >= needed:
        return Checkup("disk", ok=True, message=told)
    return Checkup("disk", ok=False, message=told, remedy="free some disk, or choose another place with --state DIR")


def meminfo() -> dict[str, int]:
    """Return /proc/meminfo in bytes; empty where there is none."""
    found = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            if rest.split()[1:] == ["kB"]:
                found[name] = int(rest.split()[0]) * 1024
    return found
