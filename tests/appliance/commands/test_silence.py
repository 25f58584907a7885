"""`topmast silence` refuses slips; what Alertmanager does with a silence is in tests/live/test_silences.py."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["HostCpuHigh"], "Missing option '--reason'", id="no reason"),
        pytest.param(["HostCpuHigh", "--reason", " "], "--reason is empty", id="a blank reason"),
        pytest.param(["HostCpuHigh", "--reason", "x", "--for", "soon"], "say 30m, 2h or 1d", id="no length"),
        pytest.param(["HostCpuHigh", "--reason", "x", "--for", "90d"], "from a minute to 30 days", id="for ever"),
        pytest.param(["HostCpuHigh", "--reason", "x", "--label", "db-1"], "say LABEL=VALUE", id="no label"),
        pytest.param(["HostCpuHihg", "--reason", "x"], "did you mean HostCpuHigh", id="a slip of the name"),
    ],
)
def test_a_slip_is_told(topmast: Any, arguments: list[str], said: str) -> None:
    answer = topmast("silence", *arguments)

    assert answer.code != 0
    assert said in answer.err


def test_nobody_there_is_one_sentence(topmast: Any, port: int) -> None:
    answer = topmast("silence", "HostCpuHigh", "--reason", "x", "--url", f"http://127.0.0.1:{port}")

    assert answer.code == 3
    assert answer.err.strip() == (
        f"topmast: no Alertmanager answers at http://127.0.0.1:{port}; `topmast up` starts one, --url names another"
    )


def test_a_label_that_the_alert_never_has_is_told(topmast: Any, port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    labels = [
        "--label",
        "host=a",
        "--label",
        "instance=a:1",
        "--label",
        "severity=warning",
        "--label",
        "environment=x",
    ]

    answer = topmast("silence", "HostCpuHigh", "--reason", "x", "--url", url, *labels)

    notes = [line for line in answer.err.splitlines() if line.startswith("note:")]
    assert notes == ["note: HostCpuHigh has no label host: a silence with it mutes nothing"]
