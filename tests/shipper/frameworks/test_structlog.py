"""structlog itself, through to the lines."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from topmast_shipper.formatter import EcsFormatter
from topmast_shipper.frameworks.structlog import configuration


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EcsFormatter("shop"))
    logger = logging.getLogger("test.structlog")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    structlog.configure(**configuration())
    yield stream
    structlog.reset_defaults()
    logger.removeHandler(handler)


def test_an_event_with_its_fields_and_its_context(stream: io.StringIO) -> None:
    logger = structlog.stdlib.get_logger("test.structlog").bind(order=7)

    with structlog.contextvars.bound_contextvars(**{"trace.id": "ab"}):
        logger.info("placed 100%", name="anna", password="geheim")
        logger.debug("not this one")

    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert (found["message"], found["order"], found["trace.id"]) == ("placed 100%", 7, "ab")
    assert (found["labels.name"], found["password"]) == ("anna", "[redacted]")


def test_an_exception(stream: io.StringIO) -> None:
    try:
        raise KeyError("o-17")
    except KeyError:
        structlog.stdlib.get_logger("test.structlog").exception("failed")

    found = json.loads(stream.getvalue())
    assert (found["log.level"], found["error"]["type"]) == ("error", "KeyError")
