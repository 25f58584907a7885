"""The kernel ends what takes more than its group may, and the one who forked it goes back where it was."""

import subprocess
import sys
from pathlib import Path

import pytest
from topmast import memorylimits
from topmast.errors import PrerequisiteError

MIB = 1024**2
# Says who it is, and on a line starts a child that takes 200 MiB; then tells how that ended, and where it is itself.
PARENT = """
import subprocess, sys
print("here", flush=True)
sys.stdin.readline()
child = subprocess.run([sys.executable, "-c", "b'x' * (200 << 20)"])
print(child.returncode, flush=True)
sys.stdin.readline()
print(open("/proc/self/cgroup").read(), flush=True)
"""


def test_a_child_born_in_a_group_is_ended_beyond_its_limit_and_its_parent_is_not() -> None:
    here = Path("/proc/self/cgroup").read_text()
    try:
        with memorylimits.limits("topmast-test-limits") as limits:
            limits.group("small", 64 * MIB)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            with subprocess.Popen([sys.executable, "-c", PARENT], **pipes) as parent:
                assert parent.stdin is not None and parent.stdout is not None
                parent.stdout.readline()
                with limits.birthplace("small", parent.pid):
                    assert limits.members("small") == {parent.pid}
                    parent.stdin.write("\n")
                    parent.stdin.flush()
                    ended = parent.stdout.readline()
                killed, members = limits.killed("small"), limits.members("small")
                afterwards, _ = parent.communicate("\n")
            folder = limits.folder
    except PrerequisiteError as error:
        pytest.skip(f"no limit on memory here: {error}")

    assert int(ended) == -9
    assert killed == 1
    assert members == set()
    assert afterwards.strip() == here.strip()
    assert not folder.exists()


def test_where_no_group_limits_memory_the_reason_is_told(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n")

    with pytest.raises(PrerequisiteError, match=r"only root|no control group"), memorylimits.limits("x", mounts):
        pass
