"""logging.py: every record arrives, as JSON, whatever is in it (SHIPPING.md section 1.8)."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from topmast_shipper import ecs
from topmast_shipper.errors import ConfigError
from topmast_shipper.logging import EcsFormatter, SpoolHandler, configure_logging
from topmast_shipper.records import MAX_PAYLOAD_BYTES, decode


class Broken:
    def __repr__(self) -> NoReturn:
        raise ValueError("broken")

    __str__ = __repr__


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = value
    return value


def deep() -> Any:
    value: Any = 1
    for _ in range(1200):
        value = {"a": [value]}
    return value


def spooled(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(folder.iterdir()):
        read = decode(path.read_bytes(), 0, 100_000, final=False)
        assert read.end == path.stat().st_size
        found += [json.loads(record.payload, parse_constant=refuse) for record in read.records]
    return found


def refuse(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[logging.Logger]:
    logger = logging.Logger("test.logging")
    handler = SpoolHandler(tmp_path / "spool", "shop")
    logger.addHandler(handler)
    yield logger
    handler.close()


@pytest.fixture(autouse=True)
def _raising() -> Iterator[None]:
    """A record that is lost says so on standard error; here it is looked for in the spool."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    yield
    logging.raiseExceptions = before


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="NaN"),
        pytest.param(float("-inf"), id="infinity"),
        pytest.param(2**70, id="a number beyond 64 bits"),
        pytest.param(10**5000, id="a number that Python does not write"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param({"\ud800": 1}, id="a lone surrogate as a name"),
        pytest.param({(1, 2): 3}, id="a tuple as a name"),
        pytest.param(Broken(), id="a broken __repr__"),
        pytest.param({Broken(): Broken()}, id="a broken name"),
        pytest.param(cyclic(), id="a cycle"),
        pytest.param(deep(), id="depth"),
        pytest.param(b"\xff\0", id="bytes"),
        pytest.param({1, 2}, id="a set"),
        pytest.param(object, id="a class"),
        pytest.param("x" * 3_000_000, id="a long text"),
        pytest.param("\0\x1b[31m", id="control characters"),
    ],
)
def test_no_value_costs_the_record_or_makes_it_invalid(logger: logging.Logger, tmp_path: Path, value: object) -> None:
    logger.info("as an extra", extra={"value": value})
    logger.info("as an argument: %s", value)
    logger.info(value)

    first, *others = spooled(tmp_path / "spool")

    assert first["message"] == "as an extra"
    assert len(others) == 2


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        pytest.param({"ratio": float("nan"), "other": 1.5}, "ratio", id="a number"),
        pytest.param({"ratio": {"of": [1.0, float("inf")]}, "none": None}, "ratio", id="inside of something"),
        pytest.param({"none": None, "text": "null"}, None, id="what is null by itself"),
    ],
)
def test_a_number_that_json_has_no_word_for_is_told(
    logger: logging.Logger, tmp_path: Path, extra: dict[str, object], said: str | None
) -> None:
    logger.info("told", extra=extra)

    (found,) = spooled(tmp_path / "spool")

    assert found.get("labels.sanitized") == said


def test_a_record_as_a_whole(logger: logging.Logger, tmp_path: Path) -> None:
    logger.warning("order %d", 7, extra={"trace.id": "ab", "message_id": 3})

    (found,) = spooled(tmp_path / "spool")

    assert found["message"] == "order 7"
    assert found["log.level"] == "warning"
    assert found["log"]["logger"] == "test.logging"
    assert found["service"] == {"name": "shop"}
    assert (found["trace.id"], found["message_id"]) == ("ab", 3)
    assert list(found)[:4] == ["@timestamp", "log.level", "message", "ecs.version"]


def test_an_exception(logger: logging.Logger, tmp_path: Path) -> None:
    try:
        raise KeyError("no such order")
    except KeyError:
        logger.exception("failed")

    (found,) = spooled(tmp_path / "spool")

    assert found["error"]["type"] == "KeyError"
    assert "no such order" in found["error"]["stack_trace"]


def test_an_exception_that_cannot_be_text(logger: logging.Logger, tmp_path: Path) -> None:
    class BrokenError(Exception):
        def __str__(self) -> NoReturn:
            raise ValueError

    try:
        raise BrokenError
    except BrokenError:
        logger.exception("failed")

    (found,) = spooled(tmp_path / "spool")

    assert found["error"]["type"] == "BrokenError"


def test_arguments_that_do_not_fit_keep_the_message(logger: logging.Logger, tmp_path: Path) -> None:
    logger.info("order %d", "seven")

    (found,) = spooled(tmp_path / "spool")

    assert found["message"].startswith("order %d (its arguments cannot be written")


def test_what_is_logged_takes_the_short_road() -> None:
    from topmast_shipper.event import Origin, Position
    from topmast_shipper.swift import Swift

    record = logging.LogRecord("shop.cart", logging.INFO, "cart.py", 7, "added", (), None, "add")
    line = EcsFormatter("shop").format_bytes(record)

    event = Swift().complete(
        line, Position("0123456789abcdef", 0, 9), 0, Origin("app"), record.created + 1, json.loads(line)
    )

    assert event is not None
    assert ecs.get(event.document, "log.origin.file.line") == 7


def test_a_record_is_never_longer_than_a_spool_takes() -> None:
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, "x" * (3 * MAX_PAYLOAD_BYTES), (), None)
    record.other = ["y" * 100] * MAX_PAYLOAD_BYTES

    assert len(EcsFormatter().format_bytes(record)) <= MAX_PAYLOAD_BYTES


def test_one_line_sets_everything_up(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logging(environ={"TOPMAST_SPOOL": str(tmp_path), "TOPMAST_SERVICE": "shop"})
        logging.getLogger("any").info("spooled")
        stream = io.StringIO()
        configure_logging("shop", stream=stream, environ={})
        logging.getLogger("any").info("streamed")
    finally:
        for handler in [each for each in root.handlers if each not in before]:
            root.removeHandler(handler)
        root.setLevel(level)

    assert [each["message"] for each in spooled(tmp_path)] == ["spooled"]
    assert json.loads(stream.getvalue())["message"] == "streamed"


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_a_value_that_shares_itself_again_and_again_does_not_hang(
    logger: logging.Logger, tmp_path: Path, kind: str
) -> None:
    value: Any = "leaf"
    for _ in range(64):
        value = [value, value] if kind == "list" else {"a": value, "b": value}
    error = ValueError(value)

    logger.info("as an extra", extra={"value": value})
    logger.info("as an argument: %s", value)
    logger.info(value)
    logger.error("as an error", exc_info=(ValueError, error, None))

    assert len(spooled(tmp_path / "spool")) == 4


def test_secrets_are_masked_in_every_part(logger: logging.Logger, tmp_path: Path) -> None:
    try:
        raise ValueError("postgres://shop:geheim@db/shop")
    except ValueError:
        logger.exception("password=geheim", extra={"token": "geheim", "headers": {"Cookie": "sid=geheim"}})

    (found,) = spooled(tmp_path / "spool")

    assert "geheim" not in json.dumps(found)
    assert found["error"]["message"] == "postgres://shop:[redacted]@db/shop"


def test_everything_from_the_environment() -> None:
    before = logging.getLogger().level
    stream = io.StringIO()
    environ = {
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2,deployment.environment.name=staging",
        "TOPMAST_SERVICE": "shop",
        "TOPMAST_LOG_LEVEL": "warning",
        "TOPMAST_LOG_RATE": "chatty=1",
        "TOPMAST_REDACT": r"CUST-\d+",
    }
    handler = configure_logging(stream=stream, environ=environ)
    try:
        logging.getLogger("a").info("not this one")
        logging.getLogger("a").warning("of CUST-17")
        logging.getLogger("chatty").warning("one")
        logging.getLogger("chatty").warning("two")
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(before)
        logging.setLogRecordFactory(logging.LogRecord)

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["service"] == {"name": "shop", "version": "1.2", "environment": "staging"}
    assert (first["message"], second["message"]) == ("of [redacted]", "one")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TOPMAST_LOG_RATE": "chatty"}, "not NAME=RECORDS_A_SECOND"),
        ({"TOPMAST_LOG_LEVEL": "loud"}, "not a level"),
        ({"TOPMAST_REDACT": "("}, "not a regular expression"),
    ],
)
def test_an_environment_that_means_nothing_is_refused(environ: dict[str, str], said: str) -> None:
    handlers = list(logging.getLogger().handlers)
    try:
        with pytest.raises(ConfigError, match=said):
            configure_logging("shop", environ=environ)
    finally:
        for each in set(logging.getLogger().handlers) - set(handlers):
            logging.getLogger().removeHandler(each)
        logging.setLogRecordFactory(logging.LogRecord)


def test_fields_for_all_and_other_names_also_from_a_configuration() -> None:
    import logging.config

    stream = io.StringIO()
    told = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "ecs": {
                "()": "topmast_shipper.logging.EcsFormatter",
                "service": "shop",
                "static_fields": {"labels.region": "eu", "message": "x"},
                "rename_fields": {"user": "user.id"},
            }
        },
        "handlers": {"here": {"class": "logging.StreamHandler", "formatter": "ecs", "stream": stream}},
        "loggers": {"test.configured": {"handlers": ["here"], "level": "INFO", "propagate": False}},
    }
    logging.config.dictConfig(told)

    logging.getLogger("test.configured").info("m", extra={"user": 7})
    logging.getLogger("test.configured").info("m", extra={"labels.region": "us"})

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["user.id"], first["labels.region"], first["message"], first["labels.message"]) == (
        7,
        "eu",
        "m",
        "x",
    )
    assert (second["labels.region"], stream.getvalue().count("labels.region")) == ("us", 2)
