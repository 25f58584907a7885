"""The past is asked in pieces, at the phase of the rule's own evaluations."""

from typing import Any

import pytest
import requests
from topmast.backtest import history
from topmast.backtest.history import Grid, Prometheus
from topmast.errors import NotRunningError, TopmastError


class AnswerStandIn:
    """What requests returns, for an answer of Prometheus."""

    def __init__(self, document: Any, status: int = 200) -> None:
        self.document, self.status_code = document, status

    def json(self) -> Any:
        if self.document is None:
            raise ValueError("no JSON")
        return self.document


def asked(*answers: Any) -> tuple[Prometheus, list[dict[str, Any]]]:
    calls: list[dict[str, Any]] = []
    left = list(answers)

    def post(url: str, data: dict[str, Any], timeout: float) -> Any:
        calls.append(data)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Prometheus("http://p", post), calls


def matrix(*values: tuple[float, str]) -> AnswerStandIn:
    metric = {"__name__": "x", "instance": "a"}
    return AnswerStandIn({"status": "success", "data": {"result": [{"metric": metric, "values": list(values)}]}})


def test_a_long_span_is_asked_in_pieces_and_the_metrics_name_is_no_label() -> None:
    grid = Grid(0.0, 15.0 * (history.STEPS + 1), 15.0)
    prometheus, calls = asked(matrix((0, "1"), (15, "2")), matrix((86400.001, "3")))

    past = prometheus.past("x > 0", grid)

    assert [(call["start"], call["end"]) for call in calls] == [(0.0, 86_385.0), (86_400.0, 86_415.0)]
    assert past.values == {(("instance", "a"),): {0.0: 1.0, 15.0: 2.0, 86_400.0: 3.0}}


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        pytest.param(requests.ConnectionError("refused"), NotRunningError, "no Prometheus answers", id="nobody"),
        pytest.param(requests.Timeout("slow"), TopmastError, "a shorter --since", id="too slow"),
        pytest.param(AnswerStandIn(None, 502), TopmastError, "no Prometheus .status 502", id="a proxy's page"),
        pytest.param(
            AnswerStandIn({"status": "error", "error": "parse error: x"}),
            TopmastError,
            "parse error: x",
            id="an error",
        ),
    ],
)
def test_what_cannot_be_asked_is_told(answer: Any, kind: type[Exception], message: str) -> None:
    prometheus, _ = asked(answer)

    with pytest.raises(kind, match=message):
        prometheus.past("x", Grid(0.0, 15.0, 15.0))


def test_more_than_fits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_POINTS", 1)
    prometheus, _ = asked(matrix((0, "1"), (15, "2")))

    with pytest.raises(TopmastError, match="a shorter --since"):
        prometheus.past("x", Grid(0.0, 15.0, 15.0))
