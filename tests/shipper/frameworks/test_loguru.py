"""loguru itself, through to the lines."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from loguru import logger
from topmast_shipper.formatter import EcsFormatter
from topmast_shipper.frameworks.loguru import sink


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EcsFormatter("shop"))
    logger.remove()
    number = logger.add(sink(handler), level="INFO")
    yield stream
    logger.remove(number)


def test_a_message_with_its_fields_its_level_and_its_place(stream: io.StringIO) -> None:
    logger.bind(order=7, token="geheim").success("placed {}", "100%")
    logger.debug("not this one")

    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert (found["message"], found["log.level"], found["order"]) == ("placed 100%", "info", 7)
    assert found["token"] == "[redacted]"
    assert found["log"]["origin"]["file"]["name"] == "test_loguru.py"


def test_an_exception(stream: io.StringIO) -> None:
    try:
        raise KeyError("o-17")
    except KeyError:
        logger.exception("failed")

    found = json.loads(stream.getvalue())
    assert (found["log.level"], found["error"]["type"]) == ("error", "KeyError")
    assert "o-17" in found["error"]["stack_trace"]
