"""Days until full follow from the disk's pace, and the alert agrees with them."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from topmast import forecast, rulefile
from topmast.forecast import Forecast
from topmast.layout import Layout, find_home

RETENTION = {"metrics_bytes": 5e9, "logs_bytes": 2e9}
HOUR = 3600.0


def asked(free: float, avail: float, pace: float, age: float = 6 * HOUR) -> forecast.Ask:
    """Return a stand-in for Prometheus that knows one disk."""
    known = {
        "predict_linear": avail,
        "deriv(": pace,
        "timestamp": age,
        "avail_bytes{": free,
        "samples_appended": 100.0,
        "chunk_size": float("nan"),
    }
    return lambda expression: next(value for part, value in known.items() if part in expression)


@pytest.mark.parametrize(
    ("pace", "age", "days"),
    [
        pytest.param(-1e9 / HOUR, 6 * HOUR, 100 / 24, id="a gigabyte an hour"),
        pytest.param(1e6, 6 * HOUR, None, id="getting emptier"),
        pytest.param(0.0, 6 * HOUR, None, id="as it was"),
        pytest.param(-1e9 / HOUR, 60.0, None, id="watched for a minute"),
    ],
)
def test_days_until_full(tmp_path: Path, pace: float, age: float, days: float | None) -> None:
    found = forecast.forecast(Layout(find_home(), tmp_path), RETENTION, asked(0.5, 100e9, pace, age))

    assert found is not None
    assert found.days == (pytest.approx(days) if days else None)
    a_day = 100 * 86400 * forecast.BYTES_PER_SAMPLE
    assert found.metrics_per_day == (pytest.approx(a_day) if age > HOUR else None)


@pytest.mark.parametrize(
    ("free", "days", "alarming"),
    [
        (0.5, 0.1, False),
        (0.24, 3.9 / 24, True),
        (0.24, 4.1 / 24, False),
        (0.24, None, False),
        (0.09, None, True),
    ],
)
def test_it_fails_when_the_alert_would_fire(free: float, days: float | None, alarming: bool) -> None:
    found = Forecast(free, days, None, 5e9, None, 2e9)

    assert forecast.checkup(found).ok is not alarming


def test_the_alert_has_the_numbers_that_the_forecast_has() -> None:
    rules = rulefile.load(find_home() / "monitoring" / "prometheus")
    [alert] = [rule for rule in rules if rule.name == "DatabaseDiskFilling"]

    text = re.sub(r"\s+", " ", alert.expr)

    assert f"< {forecast.NEARLY_FULL} " in text
    assert f"< {forecast.A_QUARTER} " in text
    assert "predict_linear(node_filesystem_avail_bytes[6h], 4 * 3600) < 0" in text
    assert forecast.ALERT_SECONDS == 4 * 3600


def test_the_pace_of_the_logs_is_their_bytes_by_their_time(tmp_path: Path) -> None:
    layout = Layout(find_home(), tmp_path)
    layout.log_store.mkdir(parents=True)
    part = layout.log_store / "2026-11-26.sqlite"
    with closing(sqlite3.connect(part)) as store, store:
        store.execute("CREATE TABLE events (time INTEGER)")
        store.execute("INSERT INTO events VALUES (0)")

    found = forecast.forecast(layout, RETENTION, asked(0.5, 1e9, 0.0), clock=lambda: 43_200.0)
    young = forecast.forecast(layout, RETENTION, asked(0.5, 1e9, 0.0), clock=lambda: 60.0)

    assert found is not None
    assert found.logs_per_day == part.stat().st_size * 2
    assert young is not None
    assert young.logs_per_day is None


def test_a_disk_that_nobody_watches_is_no_failure() -> None:
    assert forecast.checkup(None).ok


def test_where_the_disk_is_mounted(tmp_path: Path) -> None:
    assert tmp_path.is_relative_to(forecast.mountpoint(tmp_path))
