"""Make .venv and install the three distributions: `bootstrap.py PROFILE VENV`, called by ./topmast.

Standard library only. PROFILE is base, demo or test; each holds the one before it. A stamp beside the packages
says what was installed from which files, so that a second start costs milliseconds and needs no network.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
PROFILES = ("base", "demo", "test")
FREE_BYTES = 1_500_000_000  # the packages and engines take about 600 MB, and pip needs room to unpack
UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h


class BootstrapError(Exception):
    """One sentence with the remedy."""


def say(text: str) -> None:
    print(f"topmast: {text}", file=sys.stderr, flush=True)


def sources(profile: str) -> list[Path]:
    named = ["exporter/pyproject.toml", "shipper/pyproject.toml", "appliance/pyproject.toml", "constraints.txt"]
    if profile == "test":
        named.append("tests/requirements.txt")
    return [HERE / name for name in named]


def fingerprint(profile: str) -> str:
    """Return what an installation depends on, as one word: the files that name packages, Python, the place."""
    digest = hashlib.sha256(f"{sys.version} {HERE}".encode())
    for path in sources(profile):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamped(venv: Path, profile: str) -> bool:
    """Return whether `profile`, or one that holds it, is installed in `venv` from the files as they are."""
    for candidate in PROFILES[PROFILES.index(profile) :]:
        stamp = venv / f"topmast-{candidate}.stamp"
        if stamp.is_file() and stamp.read_text() == fingerprint(candidate):
            return True
    return False


def run(argv: list[str], remedy: str, log: Path) -> None:
    """Run a step of the installation; its whole output goes to `log`, its error's gist into the BootstrapError."""
    done = subprocess.run(argv, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    log.write_text(done.stdout + done.stderr)
    told = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in told if "error" in line.lower() and not line.startswith(("hint", "note"))] or told
    gist = errors[-1][:300] if errors else f"{argv[0]} ended with {done.returncode}"
    if any("Retrying (Retry" in line for line in told):  # pip's words for a connection that fails again and again
        gist = "the package index does not answer"
    raise BootstrapError(f"{gist}; {remedy} (all it said: {log})")


def make_venv(venv: Path) -> None:
    """Make the virtual environment with pip in it, also where the distribution left ensurepip out."""
    made = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True, check=False)
    if made.returncode == 0:
        return
    shutil.rmtree(venv, ignore_errors=True)
    # Debian and Ubuntu keep ensurepip in python3-venv: take pip's own wheel from their package instead.
    sys.path.insert(0, str(HERE / "appliance"))
    from topmast import debian
    from topmast.errors import PrerequisiteError

    log = venv.with_name(venv.name + ".log")
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)], "install python3-venv", log)
    with tempfile.TemporaryDirectory() as folder:
        try:
            root = debian.unpack(["python3-pip-whl"], Path(folder) / "pip", say)
        except PrerequisiteError as error:
            raise BootstrapError(f"{error}; or install python3-venv") from error
        wheel = next((root / "usr/share/python-wheels").glob("pip-*.whl"))
        python = str(venv / "bin" / "python")
        run([python, f"{wheel}/pip", "install", "-q", "--no-index", str(wheel)], "install python3-venv", log)


def install(venv: Path, profile: str) -> None:
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pip += ["-c", str(HERE / "constraints.txt")]
    log = venv.with_name(venv.name + ".log")
    remedy = "check the network and the package index that pip is set up for, then start again"
    # With the build back-end in place once, the three distributions need no build environment each.
    run([*pip, "hatchling", "editables"], remedy, log)
    appliance = "appliance" if profile == "base" else "appliance[demo]"
    wanted = ["-e", "exporter", "-e", "shipper[elasticsearch,fast,grok]", "-e", appliance]
    if profile == "test":
        wanted += ["-r", "tests/requirements.txt"]
    run([*pip, "--no-build-isolation", *wanted], remedy, log)


def bootstrap(profile: str, venv: Path) -> None:
    """Install what `profile` needs, whole or not at all. Raises BootstrapError."""
    free = shutil.disk_usage(HERE).free
    if not venv.is_dir() and free < FREE_BYTES:
        raise BootstrapError(
            f"{HERE}: {free // 1_000_000} MB free, {FREE_BYTES // 1_000_000} MB needed; free some disk"
        )
    began = time.monotonic()
    fresh = not (venv / "bin" / "python").exists()
    say(f"installing the Python packages ({profile}) into {venv}, once; about half a minute")
    try:
        if fresh:
            shutil.rmtree(venv, ignore_errors=True)
            make_venv(venv)
        install(venv, profile)
    except BaseException:
        if fresh:
            shutil.rmtree(venv, ignore_errors=True)
        raise
    (venv / f"topmast-{profile}.stamp").write_text(fingerprint(profile))
    say(f"installed in {time.monotonic() - began:.0f} s")


def main() -> int:
    profile, venv = sys.argv[1], Path(sys.argv[2])
    if stamped(venv, profile):
        return 0
    if sysconfig.get_platform().startswith("win"):
        say("Windows is not supported; use WSL")
        return UNAVAILABLE
    try:
        venv.parent.mkdir(parents=True, exist_ok=True)
        with venv.with_name(venv.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two first starts at once: the second waits and finds it done
            if not stamped(venv, profile):
                bootstrap(profile, venv)
    except (BootstrapError, OSError) as error:
        say(str(error))
        return UNAVAILABLE
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
