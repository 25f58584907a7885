"""Who is told what, proved exhaustively: every alert × environment × route, every pair × inhibition, every template.

What must come out is written here a second time, from what we promise and not from the file. The file is believed
only where both agree, and amtool (the engine's own checker) finds the same receivers and renders the same texts.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from topmast import config, promtool, routedefects, routetree, rulefile
from topmast.binaries import find
from topmast.drill import outage, world
from topmast.drill.world import Kit
from topmast.engine import Setup
from topmast.engines import alertmanager
from topmast.errors import TopmastError
from topmast.measure import Measure, measure
from topmast.proof import Proof, Trial
from topmast.rulefile import Rule

PEER = "amtool check-config"
ENVIRONMENTS = ("production", "staging", "")
MUTED = frozenset(
    {
        ("ApiErrorBudgetBurn", "ApiErrorRateHigh"),
        ("HostCpuSaturated", "HostCpuHigh"),
        ("HostMemoryCritical", "HostMemoryLow"),
        ("RedisMemoryExhausted", "RedisMemoryHigh"),
    }
)
CHANNELS = {
    "heartbeat": {"webhook_configs"},
    "verify": {"webhook_configs"},
    "pagerduty": {"pagerduty_configs"},
    "slack-critical": {"slack_configs"},
    "slack-warning": {"slack_configs"},
    "email-cost": {"email_configs", "slack_configs"},
}
SIZES = ((1, 0), (5, 0), (50, 0), (0, 1), (0, 50), (5, 5), (50, 50))
EVIL = "<!channel> <https://evil.example|click> <script>alert(1)</script>\r\nBcc: evil@example.com"
_HEADERS = ("title", "fallback", "Subject", "description")
_BODIES = ("text", "html")
_LINKS = (
    "/runbooks/HostCpuHigh",
    "/alerts/HostCpuHigh",
    "/logs",
    "?silence=1",
    "/query?g0.expr=a",
)


@dataclass(frozen=True)
class Text:
    """One text of a receiver, as its file has it."""

    where: str
    key: str
    source: str


def run(trial: Trial) -> list[Measure]:
    """Return the measures `routes.*`."""
    source = trial.layout.home / "monitoring"
    amtool = promtool.find_amtool(trial.layout.state)
    alerts = [rule for rule in rulefile.load(source / "prometheus") if rule.kind == "alert"]
    routes = yaml.safe_load((source / "alertmanager" / routedefects.CONFIG).read_text(encoding="utf-8"))
    trial.say(f"{len(alerts)} alerts in {len(ENVIRONMENTS)} environments")
    pairs = muted(routes, alerts)
    found = [
        measure("routes.misrouted", len(list(misrouted(routes, alerts))), "alerts", "== 0", note=_cases(alerts)),
        measure("routes.muted_pairs", len(pairs), "pairs", f"== {len(MUTED)}", note="each a committed one"),
        measure("routes.wrongly_muted", len(pairs ^ MUTED), "pairs", "== 0", note=f"{len(alerts)}² pairs"),
    ]
    found.append(_outage(source, alerts, trial))
    if amtool is None:
        note = "amtool: not on PATH and not unpacked yet; run `topmast up` once, or set TOPMAST_AMTOOL"
        rest = (("routes.disagree_with_amtool", "== 0"), ("routes.texts", "== 0"))
        found += [measure(name, None, "", goal, note=note) for name, goal in rest]
        return [*found, measure("routes.seeded_defects_killed", None, "of 30", ">= 29", note=note)]
    return [
        *found,
        _agreeing(amtool, source / "alertmanager" / routedefects.CONFIG, routes, alerts),
        _texts(amtool, source / "alertmanager", routes, trial),
        _defects(amtool, source / "alertmanager", alerts, trial),
    ]


def expected(rule: Rule, environment: str) -> list[str]:
    """Return the receivers that we promise an alert of an environment."""
    severity, category = rule.labels.get("severity"), rule.labels.get("category")
    if rule.name == "Watchdog":
        return ["heartbeat"]
    if environment not in ("production", ""):
        return ["slack-warning"]
    if severity == "critical":
        return ["pagerduty", "slack-critical"]
    return ["email-cost"] if category == "cost" else ["slack-warning"]


def misrouted(config: Mapping[str, Any], alerts: Sequence[Rule]) -> Iterator[str]:
    """Yield each alert that goes to others than promised, in other groups, or at other times."""
    for rule in alerts:
        for environment in ENVIRONMENTS:
            labels = _labels(rule, environment)
            found = routetree.taken(config["route"], labels)
            receivers = [receiver for _, receiver in found]
            if receivers != expected(rule, environment):
                yield f"{rule.name} in {environment or 'no environment'}: {receivers}"
            for place, receiver in found:
                if (told := _timing(config, place)) != (wanted := _promised(receiver, rule, environment)):
                    yield f"{rule.name} at {receiver}: {told}, not {wanted}"


def _timing(config: Mapping[str, Any], place: Sequence[int]) -> tuple[Any, ...]:
    """Return how a route groups, waits and repeats, as it inherits it, and its quiet hours."""
    names = ("group_by", "group_wait", "group_interval", "repeat_interval")
    route, effective = config["route"], {name: config["route"].get(name) for name in names}
    for index in place:
        route = route["routes"][index]
        effective |= {name: route[name] for name in names if name in route}
    # Quiet hours are a route's own (dispatch/route.go): no child inherits them.
    return (*effective.values(), route.get("mute_time_intervals"))


def _promised(receiver: str, rule: Rule, environment: str) -> tuple[Any, ...]:
    groups = ["alertname", "category"]
    if receiver == "heartbeat":
        return groups, "0s", "1m", "1m", None
    production = environment in ("production", "")
    paging = production and rule.labels.get("severity") == "critical"
    # None has quiet hours: they come with a channel, when the file is rendered (topmast.routing).
    return groups, "10s" if paging else "30s", "5m", "24h" if receiver == "email-cost" else "4h", None


def muted(config: Mapping[str, Any], alerts: Sequence[Rule]) -> set[tuple[str, str]]:
    """Return which alert mutes which, with the same instance and environment; any more than that is marked so."""
    found = set()
    for source in alerts:
        for target in alerts:
            here, there = _labels(source, "production"), _labels(target, "production")
            if source is not target and routetree.mutes(config, here, there):
                found.add((source.name, target.name))
            for label in ("instance", "environment"):
                if source is not target and routetree.mutes(config, here, {**there, label: "another"}):
                    found.add((source.name, f"{target.name} of another {label}"))
    return found


def promises(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the receivers themselves: channels, resolved messages, empty messages."""
    for receiver in config.get("receivers") or ():
        name = str(receiver["name"])
        kinds = {key for key in receiver if key.endswith("_configs")}
        if kinds != CHANNELS.get(name):
            yield f"receiver {name}: {sorted(kinds)}"
        for kind in kinds:
            for options in receiver[kind]:
                if options.get("send_resolved") is not (name != "heartbeat"):
                    yield f"receiver {name}: {kind}: send_resolved"
                needed = {"slack_configs": ("title", "text"), "pagerduty_configs": ("description", "severity")}
                for key in needed.get(kind, ()):
                    if not options.get(key):
                        yield f"receiver {name}: {kind}: no {key}"


def texts(config: Mapping[str, Any]) -> list[Text]:
    """Return the texts of the receivers that are templates, each once."""
    found: dict[tuple[str, str], Text] = {}
    for receiver in config.get("receivers") or ():
        for kind in (key for key in receiver if key.endswith("_configs")):
            for options in receiver[kind]:
                for key, source in _templated(options):
                    found.setdefault((key, source), Text(f"{receiver['name']}: {kind}", key, source))
    return list(found.values())


def _templated(options: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(options, dict):
        for key, value in options.items():
            yield from _templated(value, str(key))
    elif isinstance(options, list):
        for value in options:
            yield from _templated(value, name)
    elif isinstance(options, str) and "{{" in options:
        yield name, options


def given(firing: int, resolved: int, kind: str) -> dict[str, Any]:
    """Return what Alertmanager hands to a template; `kind` is usual, bare (no annotation) or hostile."""
    evil = f" {EVIL}" if kind == "hostile" else ""
    annotations = {"description": f"CPU of host-1:9100 is 90% busy.{evil}", "threshold": f"0.85{evil}"}
    common = {
        "summary": f"A machine is busy.{evil}",
        "dashboard_url": "/alerts/HostCpuHigh",
        "runbook_url": "/runbooks/HostCpuHigh",
    }

    def alert(status: str) -> dict[str, Any]:
        return {
            "status": status,
            "labels": {"alertname": f"HostCpuHigh{evil}", "instance": f"host-1:9100{evil}"},
            "annotations": {} if kind == "bare" else annotations,
            "startsAt": "2026-03-01T10:00:00Z",
            "endsAt": "2026-03-01T11:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
            "generatorURL": "http://localhost:9090/graph?g0.expr=a",
        }

    return {
        "receiver": "slack-critical",
        "status": "firing" if firing else "resolved",
        "externalURL": "http://localhost:9093",
        "groupLabels": {"alertname": f"HostCpuHigh{evil}", "category": f"cpu{evil}"},
        "commonLabels": {
            "severity": "critical",
            "category": f"cpu{evil}",
            "environment": f"production{evil}",
            "instance": f"host{evil}",
        },
        "commonAnnotations": {} if kind == "bare" else common,
        "alerts": [alert("firing")] * firing + [alert("resolved")] * resolved,
    }


def wrong(text: Text, said: str, firing: int, resolved: int, kind: str) -> str:
    """Return what is wrong with a rendered text; "" when nothing is."""
    if "<no value>" in said or not said.strip():
        return "it has a hole"
    slack = text.key != "html" and "slack" in text.where
    if text.key in _HEADERS:
        lacking = [
            word for word in ("CRITICAL", "HostCpuHigh", "FIRING" if firing else "RESOLVED") if word not in said
        ]
        if lacking:
            return f"it does not say {lacking[0]}"
        if "\n" in said.strip() or "\r" in said or "<" in said:
            return "a label breaks out of it"
    if kind == "hostile" and slack and text.key == "text" and re.search(r"<!|<https://evil", said):
        return "a label speaks Slack"
    if text.key == "html" and "<script" in said:
        return "a label speaks HTML"
    if text.key in _BODIES and kind != "bare":
        wanted = ["host-1:9100 is 90% busy", "threshold 0.85", "2026-03-01 10:00", *_LINKS]
        wanted += ["and 45 more"] if 50 in (firing, resolved) else []
        lacking = [word for word in wanted if word not in said]
        return f"it does not say {lacking[0]!r}" if lacking else ""
    return ""


def badly_said(amtool: Path, folder: Path, found: Sequence[Text], kinds: Sequence[tuple[int, int, str]]) -> list[str]:
    """Return what amtool says of every text in every situation that is not as it must be."""
    with tempfile.TemporaryDirectory(prefix="routes-") as temporary:
        files = {}
        for firing, resolved, kind in kinds:
            path = Path(temporary) / f"{firing}-{resolved}-{kind}.json"
            path.write_text(json.dumps(given(firing, resolved, kind)), encoding="utf-8")
            files[firing, resolved, kind] = path

        def one(pair: tuple[Text, tuple[int, int, str]]) -> str:
            text, situation = pair
            answer = promtool.run(
                amtool,
                [
                    "template",
                    "render",
                    f"--template.glob={folder}/templates/*.tmpl",
                    f"--template.type={'html' if text.key == 'html' else 'text'}",
                    f"--template.data={files[situation]}",
                    f"--template.text={text.source}",
                ],
            )
            told = answer.output[-200:] if answer.code else wrong(text, answer.output, *situation)
            return f"{text.where}: {text.key}: {situation}: {told}" if told else ""

        with ThreadPoolExecutor(4) as threads:
            return [each for each in threads.map(one, [(text, kind) for text in found for kind in kinds]) if each]


def problems(amtool: Path, folder: Path, alerts: Sequence[Rule]) -> list[str]:
    """Return what is wrong with an Alertmanager's folder, the cheap looks first; the first that finds ends it."""
    try:
        config = yaml.safe_load((folder / routedefects.CONFIG).read_text(encoding="utf-8"))
        found = [*promises(config), *misrouted(config, alerts)]
        found += [f"{source} mutes {target}" for source, target in muted(config, alerts) ^ MUTED]
    except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        return [f"cannot be understood: {error}"]
    kinds = [(5, 50, "hostile"), (1, 0, "usual"), (0, 1, "bare")]
    return found or badly_said(amtool, folder, texts(config), kinds)


def _agreeing(amtool: Path, path: Path, config: Mapping[str, Any], alerts: Sequence[Rule]) -> Measure:
    cases = [(rule, environment) for rule in alerts for environment in ENVIRONMENTS]

    def one(case: tuple[Rule, str]) -> bool:
        rule, environment = case
        wanted = ",".join(routetree.receivers(config, _labels(rule, environment)))
        labels = [f"{name}={value}" for name, value in _labels(rule, environment).items()]
        arguments = ["config", "routes", "test", f"--config.file={path}", f"--verify.receivers={wanted}", *labels]
        return promtool.run(amtool, arguments).code == 0

    with ThreadPoolExecutor(4) as threads:
        apart = list(threads.map(one, cases)).count(False)
    return measure("routes.disagree_with_amtool", apart, "alerts", "== 0", note=f"{len(cases)} cases")


def _texts(amtool: Path, folder: Path, config: Mapping[str, Any], trial: Trial) -> Measure:
    found = texts(config)
    sizes = SIZES if trial.full else ((1, 0), (50, 50), (0, 5))
    kinds = [(*size, kind) for size in sizes for kind in ("usual", "bare", "hostile")]
    trial.say(f"{len(found)} texts in {len(kinds)} situations")
    bad = badly_said(amtool, folder, found, kinds)
    for each in bad[:10]:
        trial.say(each)
    return measure("routes.texts", len(bad), "wrong", "== 0", note=f"{len(found)} texts × {len(kinds)} situations")


def _defects(amtool: Path, source: Path, alerts: Sequence[Rule], trial: Trial) -> Measure:
    # A file that is wrong as it stands would make every defect look noticed.
    if clean := problems(amtool, source, alerts):
        note = f"not counted: our own files are wrong: {clean[0]}"
        return measure("routes.seeded_defects_killed", 0, "defects", ">= 29", note=note)
    alive, unseen = [], 0
    trial.say(f"{len(routedefects.DEFECTS)} seeded defects")
    with tempfile.TemporaryDirectory(prefix="routes-") as temporary:
        for number, defect in enumerate(routedefects.DEFECTS):
            folder = Path(temporary) / str(number)
            shutil.copytree(source, folder)
            path = folder / defect.file
            text = path.read_text(encoding="utf-8")
            if defect.old not in text:
                raise ValueError(f"{defect.name}: {defect.file} has no {defect.old!r}")
            path.write_text(text.replace(defect.old, defect.new, 1), encoding="utf-8")
            if not problems(amtool, folder, alerts):
                alive.append(defect.name)
            unseen += promtool.run(amtool, ["check-config", str(folder / routedefects.CONFIG)]).code == 0
    killed, every = len(routedefects.DEFECTS) - len(alive), len(routedefects.DEFECTS)
    note = f"of {every}; alive: {', '.join(alive)}" if alive else f"of {every}"
    return measure(
        "routes.seeded_defects_killed", killed, "defects", ">= 29", peer=PEER, peer_value=every - unseen, note=note
    )


def _outage(source: Path, alerts: Sequence[Rule], trial: Trial) -> Measure:
    name, unit, goal = "routes.outage", "lost, doubled or unnoticed", "== 0"
    layout = trial.layout
    settings = config.load(None, layout).values
    setup = Setup(layout=layout, settings=settings, demo=False, real_clocks=True, say=trial.say)
    try:
        prometheus = find("prometheus", ("prometheus",), layout, settings, trial.say).path
        _, program, folder = alertmanager.runnable(setup)
    except TopmastError as error:
        return measure(name, None, unit, goal, note=f"not taken: {error}")
    seconds, speed = (600.0, 5.0) if trial.full else (60.0, 20.0)
    played = [rule for rule in alerts if rule.file.parent.name == "alerts"]
    with world.guarded() as pipe:
        rules, routes = source / "prometheus", source / "alertmanager" / routedefects.CONFIG
        kit = Kit(prometheus, program, folder, Path(), rules, routes, "production")
        found = outage.run(outage.Play(kit, played, seconds, speed, pipe, trial.say))
    return measure(name, outage.bad(found, trial.say), unit, goal, note=outage.note(found, seconds, speed))


def _labels(rule: Rule, environment: str) -> dict[str, str]:
    labels = {"alertname": rule.name, **rule.labels}
    return {**labels, "environment": environment} if environment else labels


def _cases(alerts: Sequence[Rule]) -> str:
    return f"{len(alerts)} alerts × {len(ENVIRONMENTS)} environments: receivers, groups and waits"


PROOF = Proof(
    name="routes", summary="Every alert reaches who it is for, and no label can say what it likes.", run=run
)
