"""Hand over to the supervisor: write its plan, then become it or start it detached. It inherits the lock."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from topmast.component import Component
from topmast.layout import Layout


def plan(layout: Layout, components: list[Component], facts: Mapping[str, Any], welcome: list[str]) -> None:
    """Write what the supervisor keeps, and what it says once all of it is ready."""
    (layout.run / "status.json").unlink(missing_ok=True)
    value = {"facts": facts, "components": [one.to_json() for one in components], "welcome": welcome}
    (layout.run / "plan.json").write_text(json.dumps(value, indent=1))


def _argv(layout: Layout, held: int) -> list[str]:
    return [sys.executable, "-m", "topmast.supervisor", str(layout.state), str(held)]


def become_supervisor(layout: Layout, held: int) -> None:
    """Turn this process into the supervisor: same pid, same terminal. Does not return."""
    os.set_inheritable(held, True)
    argv = [*_argv(layout, held), "--foreground"]
    sys.stdout.flush()
    os.execv(argv[0], argv)  # noqa: S606 - our own interpreter and arguments


def detach_supervisor(layout: Layout, held: int) -> subprocess.Popen[bytes]:
    """Start the supervisor in a session of its own; its output goes to STATE/logs/supervisor.log."""
    with (layout.logs / "supervisor.log").open("wb") as output:
        process = subprocess.Popen(
            _argv(layout, held),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(held,),
        )
    os.close(held)
    return process
