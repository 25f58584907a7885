"""`topmast grok`: what a pattern makes of lines, and where a line stops fitting."""

import json
from pathlib import Path

import pytest
from topmast import groksamples
from topmast_shipper import patterns

GOOD = '203.0.113.7 - - [22/Nov/2026:21:16:00 +0000] "GET /v1 HTTP/1.1" 200 5 "-" "-"'
BAD = GOOD.replace(" 200 ", " 2x0 ")


def test_says_which_lines_fit_and_where_the_others_stop(topmast, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(f"{GOOD}\n{BAD}\n\n")

    answer = topmast("grok", "test", "NGINX_ACCESS", str(log), "--json")

    told = json.loads(answer.out)
    assert (answer.code, told["lines"], told["matched"]) == (1, 3, 1)
    assert told["misses"][0] == {
        "number": 2,
        "line": BAD,
        "stopped_at": BAD.index("2x0"),
        "expected": "%{T_STATUS:[http][response][status_code]:int}",
    }


def test_the_caret_stands_under_the_place(topmast, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(f"{BAD}\n")

    shown, caret, summary = topmast("grok", "test", "NGINX_ACCESS", str(log)).out.splitlines()

    assert shown[caret.index("^") :].startswith("2x0")
    assert summary.startswith("NGINX_ACCESS: 0 of 1 lines fit; ")


def test_fields_of_each_line(topmast, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(f"{GOOD}\n")

    answer = topmast("grok", "test", "NGINX_ACCESS", str(log), "--fields")

    assert json.loads(answer.out.splitlines()[0])["http.response.status_code"] == 200
    assert answer.code == 0


def test_a_pattern_of_ones_own(topmast, tmp_path: Path) -> None:
    (tmp_path / "patterns").mkdir()
    (tmp_path / "patterns" / "mine").write_text("MINE took %{T_UINT:[a][b]:int} ms\n")
    log = tmp_path / "a.log"
    log.write_text("took 7 ms\n")

    answer = topmast("grok", "test", "MINE", str(log), "--patterns-dir", str(tmp_path / "patterns"), "--fields")

    assert json.loads(answer.out.splitlines()[0]) == {"a.b": 7}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("NOWHERE",), "no pattern 'NOWHERE'"), (("NGINX_ACCESS", "/no/such/file"), "/no/such/file: No such file")],
)
def test_what_is_wrong_is_said(topmast, arguments: tuple[str, ...], said: str) -> None:
    answer = topmast("grok", "test", *arguments)

    assert answer.code == 1
    assert said in answer.err


def test_samples_of_every_pattern_mean_what_they_say(topmast) -> None:
    for name in {each.pattern for each in groksamples.samples()}:
        assert topmast("grok", "test", name).code == 0


def test_lists_the_patterns_for_whole_lines(topmast) -> None:
    listed = topmast("grok", "list").out.split()

    assert {"NGINX_ACCESS", "REDIS", "CELERY"} <= set(listed)
    assert not [name for name in listed if name.startswith("T_")]


@pytest.mark.parametrize(
    ("definition", "line", "stop"),
    [
        pytest.param("a[(]b+(?:c|d)e", "a(bbde!", patterns.Stop(6, ""), id="the end of the line"),
        pytest.param("a[(]b+(?:c|d)e", "a(bbx", patterns.Stop(4, "(?:c|d)"), id="a group"),
        pytest.param("(?:%{A}|%{B})", "bc", patterns.Stop(1, "x"), id="the farthest alternative"),
    ],
)
def test_where_a_line_stops(definition: str, line: str, stop: patterns.Stop) -> None:
    assert patterns.stopped("X", {"X": definition, "A": "ax", "B": "bx"}, line) == stop
