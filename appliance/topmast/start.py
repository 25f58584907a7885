"""What `topmast up` does before the supervisor takes over: check, find, render."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from topmast import config, engines, lock, plugins, ports, rendering
from topmast.component import Component
from topmast.engine import Setup, wanted
from topmast.errors import PrerequisiteError, StateError
from topmast.layout import Layout

FREE_BYTES = 500_000_000  # engines unpacked, a day of samples, the demo's servers


def prepare(
    layout: Layout, path: Path | None, *, demo: bool, real_clocks: bool, say: Callable[[str], None]
) -> tuple[int, list[Component]]:
    """Return the held lock and the components to keep; what they read is rendered.

    Refuses before anything starts: a broken configuration (no folder is made then), a folder that is taken, a full
    disk, a port in use.
    """
    extra = None
    if demo:
        # Known to the demo alone: its servers' collectors, its log files, its budgets.
        from topmast.demo import demo_settings

        extra = demo_settings(layout)
    ports.refuse_offset(layout)
    settings = config.load(path, layout, extra).values
    lock.refuse_file(layout)
    # what the shipper reads is rendered elsewhere
    settings = config.with_absolute_paths(settings, path.resolve().parent if path else Path.cwd())
    config.ask_the_shipper(settings, str(path or "defaults"))
    held = lock.acquire(layout, say)
    try:
        lock.marker(layout.state / ".gitignore")
        if (free := shutil.disk_usage(layout.state).free) < FREE_BYTES:
            raise PrerequisiteError(
                f"{layout.state}: {free // 1_000_000} MB free, {FREE_BYTES // 1_000_000} MB needed; "
                "free some disk, or choose another place with --state DIR"
            )
        setup = Setup(layout=layout, settings=settings, demo=demo, real_clocks=real_clocks, say=say)
        chosen = [engine for engine in plugins.load_all(engines, "ENGINE") if wanted(engine, setup)]
        ports.check(layout, [*(engine.name for engine in chosen), "ingest", "inbox-smtp"])
        rendering.render(setup)
        components = [engine.component(setup) for engine in chosen]
    except OSError as error:
        os.close(held)
        raise StateError(f"{error.filename or layout.state}: {error.strerror}; is the disk full?") from error
    except BaseException:
        os.close(held)
        raise
    return held, components
