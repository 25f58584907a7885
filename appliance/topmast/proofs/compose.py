"""The compose files on a real engine: what Compose makes of them, how soon all is healthy, who notices a stop.

Images are made here, none is pulled; what cannot be had is a labelled stand-in (tests/docker/stand_ins/README.md).
"""

import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from topmast import composition, dockerengine, outages, policy, recovery, rehearsal
from topmast.compose import ONE_SHOTS
from topmast.dockerengine import DockerEngine
from topmast.errors import PrerequisiteError, TopmastError
from topmast.layout import Layout
from topmast.measure import Measure, measure
from topmast.proof import Proof, Trial
from topmast.rehearsal import FULL, LITE, STOOD_IN, Project

LITE_MIB = 1792
HEALTHY_SECONDS, CORE_SECONDS = 60, 15
DEPLOYS = 3
# Waits of rules, routes and refreshes are divided by so much while services stop; the heartbeat's minute is not.
SPEED = 10
_GOALS = {
    "compose.services_run": ("services", "> 0"),
    "compose.healthy_seconds": ("s", f"<= {HEALTHY_SECONDS}"),
    "compose.healthy_seconds_core": ("s", f"<= {CORE_SECONDS}"),
    "compose.idempotent": ("changes", "== 0"),
    "compose.stop_detected": ("unnoticed", "== 0"),
    "compose.restore_equal": ("differences", "== 0"),
}


def run(trial: Trial) -> Sequence[Measure]:
    """Return the measures `compose.*`; without an engine those that need one say why they were not taken."""
    home = trial.layout.home
    measures = [_findings(home), _limits(home), _stood_in()]
    # A folder with a short name: a socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="compose-"))
    try:
        with dockerengine.engine(folder) as engine:
            rehearsal.make_images(engine, folder, home, trial.say)
            measures += _run(engine, folder, trial)
    except PrerequisiteError as error:
        taken = {each.name for each in measures}
        measures += [
            measure(name, None, unit, goal, note=str(error))
            for name, (unit, goal) in _GOALS.items()
            if name not in taken
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return measures


def _findings(home: Path) -> Measure:
    found = []
    for files in rehearsal.STACKS:
        # Reserved for documentation: an address that is not loopback, as the gateway's is.
        told = {"BIND_ADDR": "192.0.2.10"} if rehearsal.PUBLIC in files else {}
        stack = rehearsal.configuration(home, files, "--profile", "*", environment=told)
        found += [each for each in policy.findings(stack) if each[:2] not in policy.ALLOWED]
    note = "; ".join(f"{service}: {rule}: {what}" for service, rule, what in dict.fromkeys(found[:5]))
    allowed = ", ".join(f"{service} {rule}" for service, rule in sorted(policy.ALLOWED))
    return measure(
        "compose.policy_findings",
        len(found),
        "findings",
        "== 0",
        note=note or f"{len(rehearsal.STACKS)} stacks; allowed with a reason: {allowed}",
    )


def _limits(home: Path) -> Measure:
    stack = rehearsal.configuration(home, LITE)
    lasting = {name: each for name, each in stack["services"].items() if name not in ONE_SHOTS}
    mib = {name: int(each["mem_limit"]) / 1024**2 for name, each in lasting.items()}
    note = ", ".join(f"{name} {value:.0f}" for name, value in sorted(mib.items()))
    return measure("compose.limits_lite_mib", sum(mib.values()), "MiB", f"<= {LITE_MIB}", note=note)


def _stood_in() -> Measure:
    note = f"{', '.join(sorted(STOOD_IN))}: their images cannot be had without a registry"
    return measure("compose.services_stood_in", len(STOOD_IN), "services", ">= 0", note=note)


def _run(engine: DockerEngine, folder: Path, trial: Trial) -> list[Measure]:
    home = trial.layout.home
    core = Project(engine, home, LITE)
    core.down()
    try:
        trial.say("the core, without Elasticsearch, Logstash and Kibana")
        core_seconds = _healthy_seconds(core)
    finally:
        core.down()
    rendered = _rendered(trial.layout, folder) if trial.full else None
    full = Project(engine, home, FULL, rendered)
    try:
        trial.say("the full stack")
        seconds = _healthy_seconds(full)
        names = sorted(full.services())
        return [
            measure(
                "compose.services_run", len(set(names) - STOOD_IN), "services", "> 0",
                note=f"{', '.join(sorted(set(names) - STOOD_IN))}; engine {engine.version()}",
            ),
            measure("compose.healthy_seconds", seconds, "s", f"<= {HEALTHY_SECONDS}", note=f"{len(names)} services"),
            measure("compose.healthy_seconds_core", core_seconds, "s", f"<= {CORE_SECONDS}", note="lite"),
            _idempotent(full),
            _stop_detected(full, trial),
            _restored(full, folder),
        ]  # fmt: skip
    finally:
        full.down()


def _healthy_seconds(project: Project) -> float:
    began = time.monotonic()
    project.up()
    return round(time.monotonic() - began, 1)


def _rendered(layout: Layout, folder: Path) -> Path:
    """Return the configuration with every wait a tenth of production's."""
    said = folder / "topmast.yml"
    said.write_text("{}\n", encoding="utf-8")
    rendered = composition.render(Layout(layout.home, folder / "state"), said, SPEED)
    inside = yaml.safe_load((rendered / "topmast.yml").read_text(encoding="utf-8"))
    for collector in inside["exporter"]["collectors"]:
        for options in collector.values():
            options["interval_seconds"] = outages.INTERVAL_SECONDS / SPEED
            options["timeout_seconds"] = 1.0
    (rendered / "topmast.yml").write_text(yaml.safe_dump(inside, sort_keys=False), encoding="utf-8")
    return rendered


def _idempotent(project: Project) -> Measure:
    """Deploy again and again, and count the containers that are others and the words of what was set up anew."""
    before = _state(project)
    for _ in range(DEPLOYS - 1):
        project.up()
    after = _state(project)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    note = f"{DEPLOYS} deploys" + (f": {', '.join(changed[:5])}" if changed else "")
    return measure("compose.idempotent", len(changed), "changes", "== 0", note=note)


def _state(project: Project) -> Mapping[str, Any]:
    """Return the containers' ids, and what the set-up services have changed so far."""
    found: dict[str, Any] = {name: project.inspect(name)["Id"] for name in project.services()}
    for name in sorted(ONE_SHOTS & found.keys()):
        said = re.findall(r"\| (\w+: .*)$", project.compose("logs", name), re.MULTILINE)
        found[f"what {name} changed"] = [line for line in said if not line.endswith("nothing to do")]
    return found


def _stop_detected(project: Project, trial: Trial) -> Measure:
    name = "compose.stop_detected"
    if not trial.full:
        return measure(name, None, "unnoticed", "== 0", note="takes a quarter of an hour: --full")
    found = list(outages.stopped_in_turn(project, SPEED, trial.say))
    told = "; ".join(
        f"{each.service}: verify {_seconds(each.named_seconds)}, {each.sign} {_seconds(each.told_seconds)}"
        f" of {each.allowed_seconds:.1f} s"
        for each in found
    )
    note = f"waits {SPEED} times shorter, the heartbeat's not; {told}"
    return measure(name, sum(not each.noticed for each in found), "unnoticed", "== 0", note=note)


def _restored(project: Project, folder: Path) -> Measure:
    """Back up, delete every volume, put the backup back, and ask everything again."""
    try:
        differing, asked = recovery.run(project, folder / "backup.tar.gz")
    except TopmastError as error:
        # What was measured before it stands.
        return measure("compose.restore_equal", None, "differences", "== 0", note=str(error)[:200])
    note = f"{asked} questions" + (f"; other answers: {', '.join(differing)}" if differing else "")
    return measure("compose.restore_equal", len(differing), "differences", "== 0", note=note)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


PROOF = Proof(
    name="compose",
    summary="The compose files on a real engine: policy, time to healthy, repeated deploys, each service stopped.",
    run=run,
)
