"""Start at boot, and back up at night: units of systemd. A user's own, or as root the machine's.

The units call the launcher with the state folder and the configuration spelled out: systemd's environment is none.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from topmast import compose
from topmast.errors import ConfigError, PrerequisiteError, StateError, TopmastError
from topmast.layout import Layout

NAME, BACKUP = "topmast", "topmast-backup"
# The supervisor gives Prometheus 20 s and the shipper 15 s (engines/), and the guard ten more.
STOP_SECONDS = 90
# A first start of the containers pulls some gigabytes.
PULL_SECONDS = 3600
SECONDS = 60
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True)
class Systemd:
    """Which systemd is told, and where its units lie."""

    folder: Path
    user: bool

    def call(self, *arguments: str) -> None:
        """Call systemctl. Raises TopmastError with what it says, PrerequisiteError when it does not answer."""
        argv = ["systemctl", *(["--user"] if self.user else []), *arguments]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PrerequisiteError(f"{' '.join(argv)}: {error}") from error
        if done.returncode != 0:
            raise TopmastError(f"{' '.join(argv)}: {done.stderr.strip()[:300]}")


def find(environment: Mapping[str, str], *, root: bool) -> Systemd:
    """Return the systemd of this user. Raises PrerequisiteError where there is none, with what works instead."""
    if shutil.which("systemctl", path=environment.get("PATH")) is None:
        raise PrerequisiteError(
            "systemctl: not on PATH; without systemd, a line in your crontab does it: "
            "@reboot CLONE/topmast up --detach"
        )
    if root:
        return Systemd(Path("/etc/systemd/system"), user=False)
    # systemd.unit(5): units of a user.
    home = environment.get("XDG_CONFIG_HOME") or str(Path(environment["HOME"]) / ".config")
    return Systemd(Path(home) / "systemd" / "user", user=True)


def launcher(layout: Layout, config: Path | None) -> str:
    """Return the command that the units call, quoted for systemd."""
    parts = [str(layout.home / "topmast"), "--state", str(layout.state)]
    if config is not None:
        parts += ["-c", str(config)]
    return " ".join(quoted(part) for part in parts)


def quoted(text: str) -> str:
    """Return a word of ExecStart= (systemd.service(5)): `%` and `$` mean nothing, quotes stand for themselves.

    Raises ConfigError for a line break, which no unit can hold.
    """
    if "\n" in text or "\r" in text:
        raise ConfigError(f"{text[:80]!r}: a path with a line break cannot stand in a unit")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def service_unit(layout: Layout, config: Path | None, *, user: bool) -> str:
    """Return topmast.service of the remembered mode.

    Embedded it is the supervisor in the foreground, started again when it fails; containers are started and stopped,
    and in between Docker keeps them.
    """
    command = launcher(layout, config)
    if compose.mode(layout, None) == "compose":
        again = " --demo" if compose.demo(layout) else ""
        service = f"""Type=oneshot
RemainAfterExit=yes
ExecStart={command} up --detach{again}
ExecStop={command} down
TimeoutStartSec={PULL_SECONDS}
TimeoutStopSec={STOP_SECONDS}"""
    else:
        service = f"""ExecStart={command} up
Restart=on-failure
RestartSec=10
KillMode=mixed
TimeoutStopSec={STOP_SECONDS}
SuccessExitStatus=130 143"""
    return f"""[Unit]
Description=Topmast: metrics, logs, dashboards and alerts
After=network-online.target{"" if user else " docker.service"}
Wants=network-online.target

[Service]
{service}

[Install]
WantedBy={"default.target" if user else "multi-user.target"}
"""


def backup_units(layout: Layout, config: Path | None, folder: Path, at: str, keep: int) -> dict[str, str]:
    """Return the backup's service and timer, by file name. Raises ConfigError for a time that is none."""
    if not _TIME.fullmatch(at):
        raise ConfigError(f"--schedule: HH:MM is wanted, not {at[:80]!r}")
    command = f"{launcher(layout, config)} backup {quoted(str(folder.resolve()))} --keep {keep}"
    return {
        f"{BACKUP}.service": f"""[Unit]
Description=Topmast: backup

[Service]
Type=oneshot
ExecStart={command}
Nice=10
""",
        # Persistent: a machine that was off at the time does it when it is on again.
        f"{BACKUP}.timer": f"""[Unit]
Description=Topmast: backup every day at {at}

[Timer]
OnCalendar=*-*-* {at}:00
Persistent=true

[Install]
WantedBy=timers.target
""",
    }


def install(systemd: Systemd, units: Mapping[str, str], starts: str) -> list[Path]:
    """Write the units and enable the one that starts the rest; return the files. Writing again changes nothing."""
    written = []
    try:
        systemd.folder.mkdir(parents=True, exist_ok=True)
        for name, text in units.items():
            path = systemd.folder / name
            draft = path.with_name(f".{name}.part")
            draft.write_text(text, encoding="utf-8")
            draft.chmod(0o644)
            draft.replace(path)
            written.append(path)
    except OSError as error:
        raise StateError(f"{error.filename}: cannot be written: {error.strerror}") from error
    systemd.call("daemon-reload")
    systemd.call("enable", "--now", starts)
    return written


def remove(systemd: Systemd, names: Sequence[str]) -> list[Path]:
    """Stop and disable the units and delete their files; return those that were there."""
    there = [systemd.folder / name for name in names if (systemd.folder / name).is_file()]
    if there:
        systemd.call("disable", "--now", *(path.name for path in there))
        for path in there:
            path.unlink()
        systemd.call("daemon-reload")
    return there


def lingering(environment: Mapping[str, str]) -> str:
    """Return how to have a user's units start without a login, or nothing where they do."""
    name = environment.get("USER") or str(os.getuid())
    return "" if Path(f"/var/lib/systemd/linger/{name}").exists() else f"sudo loginctl enable-linger {name}"
