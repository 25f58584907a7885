"""When an alert fired, as cells."""

from datetime import UTC

from topmast.backtest import plot
from topmast.backtest.states import Episode

A = (("instance", "<b>"),)
DAY = 86_400.0


def test_days_are_rows_of_half_hours() -> None:
    listed = [Episode(A, 0.0, 600.0, 3600.0), Episode(A, DAY, None, DAY + 60)]

    found = plot.rows(listed, 0.0, 3 * DAY - 1, UTC)

    assert [name for name, _ in found] == ["Thu 01 Jan", "Fri 02 Jan", "Sat 03 Jan"]
    assert found[0][1] == plot.FIRING * 2 + plot.QUIET * 46
    assert found[1][1] == plot.PENDING + plot.QUIET * 47


def test_hours_are_rows_of_minutes() -> None:
    found = plot.rows([Episode(A, 60.0, 60.0, None)], 30.0, 3600.0, UTC)

    assert found[0] == ("01 Jan 00:00", plot.QUIET + plot.FIRING * 59)


def test_a_terminal_is_told_the_hours() -> None:
    lines = plot.text([], 0.0, 3 * DAY, UTC).splitlines()

    assert lines[0] == "            0:00        6:00        12:00       18:00"
    assert lines[1].startswith("Thu 01 Jan  ····")


def test_a_page_takes_a_name_for_text() -> None:
    page = plot.page("<title>", {"<b>": "a < b"}, {"<b>": [("now", plot.FIRING)]})

    assert "<b>" not in page
    assert "a &lt; b" in page
