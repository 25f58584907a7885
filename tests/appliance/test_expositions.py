"""What is kept of an exporter's answer is what is read of it, by the names it has there, and tells of no machine."""

from pathlib import Path

import pytest
from http_stub import serving
from topmast import check, expositions, selectors
from topmast.errors import TopmastError

HOME = Path(__file__).resolve().parents[2]
ANSWER = """# HELP redis_up Is it?
# TYPE redis_up gauge
redis_up 1
# TYPE redis_net_input_bytes_total counter
redis_net_input_bytes_total 17
# TYPE redis_commands counter
redis_commands{cmd="get",host="a machine's own name, and long"} 4
redis_commands{cmd="set",host="b"} 5
redis_commands{cmd="del",host="c"} 6
# TYPE redis_latency_seconds histogram
redis_latency_seconds_bucket{le="0.1"} 1
redis_latency_seconds_bucket{le="+Inf"} 2
redis_latency_seconds_sum 0.5
redis_latency_seconds_count 2
"""
READ = ("redis_up", 'redis_commands{cmd!=""}', "redis_latency_seconds_bucket")
CUT = """# TYPE redis_up gauge
redis_up 1
# TYPE redis_commands counter
redis_commands{cmd="get",host="…"} 4
redis_commands{cmd="set",host="b"} 5
# TYPE redis_latency_seconds histogram
redis_latency_seconds_bucket{le="0.1"} 1
redis_latency_seconds_bucket{le="+Inf"} 2
"""


def read() -> list[selectors.Selector]:
    return [selector for expression in READ for selector in selectors.of(expression)]


def test_cut() -> None:
    whole = expositions.read("redis_exporter-1.45.0", ANSWER)

    assert expositions.cut(whole, read()) == CUT


def test_recorded_and_loaded_again(tmp_path: Path) -> None:
    with serving() as exporter:
        exporter.answer = ANSWER.encode()
        path = expositions.record(tmp_path, "redis_exporter-1.45.0", f"{exporter.url}/metrics", read())

    (loaded,) = expositions.load(tmp_path)
    assert (path.read_text(), loaded.name) == (CUT, "redis_exporter-1.45.0")
    assert [loaded.has(each) for each in read()] == [True, True, True]
    assert loaded.has(*selectors.of('redis_up{job="redis"}'))
    assert not loaded.has(*selectors.of("redis_net_input_bytes_total"))


@pytest.mark.parametrize("name", ["redis_exporter", "nobody-1.0", "redis_exporter-latest"])
def test_a_name_that_says_nothing_is_refused(name: str) -> None:
    with pytest.raises(TopmastError, match="not EXPORTER-VERSION with an exporter of"):
        expositions.read(name, "")


@pytest.mark.parametrize("recorded", expositions.load(HOME), ids=lambda each: each.name)
def test_every_version_answers_what_the_rules_read_of_it(recorded: expositions.Exposition) -> None:
    asked = recorded.asked(selectors.read(check.read([HOME / "monitoring" / "prometheus"], HOME)))

    assert [str(each) for each in asked if not recorded.has(each)] == []
