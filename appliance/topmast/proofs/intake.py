"""What an application logs arrives, as JSON, without its secrets; and a pattern means the same in Logstash.

Every hostile kind of hostile.py through a real logger, handler and spool; every planted secret through the same; the
samples of the grok patterns under the shipper's engine and, where there is Java, under Logstash's.
"""

import io
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from topmast_shipper import patterns, records
from topmast_shipper.formatter import EcsFormatter, guarded_record
from topmast_shipper.logging import SpoolHandler

from topmast import groksamples, hostile, joni, planted
from topmast.errors import PrerequisiteError
from topmast.measure import Measure, measure
from topmast.proof import Proof, Trial

_CLEAN_LINES = 10_000
_TOLD = 5


def run(trial: Trial) -> Sequence[Measure]:
    trial.say("hostile records")
    measures = [*hostile_records(hostile.kinds())]
    trial.say("planted secrets, and lines without")
    measures += [secrets(trial.seed), false_positives(trial.seed, _CLEAN_LINES)]
    trial.say("the samples of the grok patterns under both engines")
    return [*measures, parity(lambda lines: joni.match(patterns.own(), lines, trial.layout.state, trial.say))]


def hostile_records(kinds: Sequence[hostile.Kind]) -> Iterator[Measure]:
    """Yield how many kinds were lost, written as what is no JSON, or raised into the application."""
    lost, invalid, raised = [], [], []
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory(prefix="intake-") as folder, _quiet():
        logger, handler = _logger(Path(folder))
        for kind in kinds:
            began = time.perf_counter()
            try:
                kind.log(logger)
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised.append(f"{kind.name}: {type(error).__name__}")
            slowest = max(slowest, (time.perf_counter() - began, kind.name))
        handler.close()
        arrived: set[int] = set()
        for payload in _payloads(Path(folder)):
            try:
                document = json.loads(payload.decode("utf-8"), parse_constant=_refuse)
                payload.decode("utf-8").encode("utf-8")
                arrived.add(document.get(hostile.MARK, document.get("labels", {}).get("kind", -1)))
            except ValueError:
                invalid.append(payload[:80].decode("utf-8", "replace"))
    lost = [kind.name for kind in kinds if kind.number not in arrived]
    theirs = _peer(kinds)
    note = f"of {len(kinds)}; the slowest took {slowest[0] * 1000:.0f} ms ({slowest[1]})"
    yield _none("intake.hostile_lost", lost, note, theirs[0])
    yield _none("intake.invalid_json", invalid, f"of {len(kinds)}", theirs[1])
    yield _none("intake.raised", raised, f"of {len(kinds)}", None)


def secrets(seed: int) -> Measure:
    """Return the part of the planted secrets of which anything is left in what was written."""
    found = planted.planted(seed)
    missed = [each.name for each in found if each.secret in _written(each.message, each.extra, each.traceback)]
    note = f"{len(missed)} of {len(found)}, seed {seed}{_some(missed)}"
    return measure("intake.secrets_missed_ratio", len(missed) / len(found), "", "<= 0.01", note=note)


def false_positives(seed: int, count: int) -> Measure:
    """Return the part of the clean records in which something was masked."""
    wrong = [message for message, extra in planted.clean(seed, count) if _is_masked(_written(message, extra))]
    note = f"{len(wrong)} of {count}, seed {seed}{_some(wrong)}"
    return measure("intake.false_positive_ratio", len(wrong) / count, "", "<= 0.001", note=note)


Engine = Callable[[Sequence[tuple[str, str]]], Sequence[Mapping[str, Any] | None]]


def parity(engine: Engine) -> Measure:
    """Return the part of the samples, hostile lines among them, from which both engines take the same fields."""
    found = [(each.pattern, each.line) for each in groksamples.samples()]
    names = dict.fromkeys(pattern for pattern, _ in found)
    found += [(name, line) for name in names for line in groksamples.HOSTILE]
    name, unit, goal = "intake.grok_parity", "", ">= 1.0"
    try:
        theirs = engine(found)
    except PrerequisiteError as error:
        return measure(name, None, unit, goal, note=str(error))
    own = patterns.own()
    compiled = {each: patterns.compile_pattern(each, own) for each in names}
    different = [
        f"{pattern}: {line[:60]!r}"
        for (pattern, line), fields in zip(found, theirs, strict=True)
        if compiled[pattern].match(line) != _plain(fields)
    ]
    equal = 1 - len(different) / len(found)
    note = f"{len(found)} lines, elasticsearch-grok {joni.VERSION} with joni{_some(different)}"
    return measure(name, equal, unit, goal, note=note)


def _plain(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the fields of `[url][path]` under `url.path`."""
    return None if fields is None else {patterns.field_name(name): value for name, value in fields.items()}


_FORMATTER = EcsFormatter("shop")


def _written(message: str, extra: dict[str, Any], traceback: bool = False) -> str:
    """Return what the formatter writes, as text and again with its escapes undone."""
    made = {"name": "shop", "msg": message, "levelno": logging.INFO, "levelname": "INFO", **extra}
    if traceback:
        try:
            raise RuntimeError(message)
        except RuntimeError as error:
            made["exc_info"] = (type(error), error, error.__traceback__)
    text = _FORMATTER.format(logging.makeLogRecord(made))
    return text + json.dumps(json.loads(text), ensure_ascii=False).replace("\\", "")


def _is_masked(text: str) -> bool:
    return "[redacted" in text or "[content" in text


def _none(name: str, failed: Sequence[str], note: str, peer: int | None) -> Measure:
    told = f"{note}{_some(failed)}"
    if peer is None:
        return measure(name, len(failed), "kinds", "== 0", note=told)
    return measure(name, len(failed), "kinds", "== 0", peer=_PEER, peer_value=peer, note=told)


def _some(names: Sequence[str]) -> str:
    return f": {'; '.join(each[:80] for each in names[:_TOLD])}" if names else ""


def _logger(folder: Path) -> tuple[logging.Logger, SpoolHandler]:
    logger = logging.Logger("hostile")
    handler = SpoolHandler(folder, "shop")
    logger.addHandler(handler)
    return logger, handler


@contextmanager
def _quiet() -> Iterator[None]:
    """What logging says of a record that it lost goes nowhere: it is looked for where it should be."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(guarded_record)  # as configure_logging does
    try:
        yield
    finally:
        logging.raiseExceptions = before
        logging.setLogRecordFactory(factory)


def _payloads(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.iterdir()):
        read = records.decode(path.read_bytes(), 0, 10_000_000, final=True)
        yield from (record.payload for record in read.records)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_PEER = "python-json-logger 4"


def _peer(kinds: Iterable[hostile.Kind]) -> tuple[int, int]:
    """Return how many kinds python-json-logger loses and how many it writes as no JSON.

    Those without end are left out.
    """
    from pythonjsonlogger.json import JsonFormatter

    lost = invalid = 0
    stream = io.StringIO()
    logger = logging.Logger("peer")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    with _quiet():
        for kind in kinds:
            if kind.endless:
                continue
            stream.seek(0)
            stream.truncate()
            with suppress(Exception):  # counted below: nothing was written
                kind.log(logger)
            text = stream.getvalue().strip()
            try:
                json.loads(text, parse_constant=_refuse)
            except ValueError:
                lost, invalid = lost + (not text), invalid + bool(text)
    return lost, invalid


PROOF = Proof("intake", "What an application logs arrives, as JSON, without its secrets.", run)
