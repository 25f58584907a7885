"""What the page's modules compute, asked in the browser that runs them: values, ticks, ranges, measured sides."""

from collections.abc import Iterator

import pytest
from browser_stack import Stack
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser: Browser, lonely: Stack) -> Iterator[Page]:
    """One tab for all of them: nothing here changes it."""
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(f"{lonely.url}/inbox")
        yield tab


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.6241, "percentunit", "62.4 %"),
        (0.00083, "percentunit", "0.08 %"),
        (1, "percentunit", "100 %"),
        (0.0000021, "s", "2.1 µs"),
        (0.0042, "s", "4.20 ms"),
        (0.154, "s", "154 ms"),
        (1.5, "s", "1.5 s"),
        (600, "s", "10 min"),
        (93600, "s", "26 h"),
        (1536, "bytes", "1.5 KiB"),
        (12345678, "short", "12.3M"),
        (12345, "none", "12 345"),
        (14.62, "reqps", "14.6 req/s"),
        (1.239, "currencyUSD", "$1.24"),
        (0.00042, "currencyUSD", "$0.0004"),
        (0.0000371, "currencyUSD", "$0.000037"),
        (12345.6, "currencyUSD", "$12.3k"),
        (0, "currencyUSD", "$0.00"),
        (3, "widgets", "3 widgets"),
        (None, "s", "–"),
    ],
)
def test_values_read_as_people_write_them(page: Page, value: object, unit: str, text: str) -> None:
    written = page.evaluate("async ([v, u]) => (await import('/static/js/units.js')).format(v, u)", [value, unit])

    assert written == text


@pytest.mark.parametrize(
    ("unit", "high", "ticks"),
    [("bytes", 24e6, ["0 B", "8 MiB", "16 MiB"]), ("s", 330, ["0 s", "2 min", "4 min"])],
)
def test_ticks_are_round_in_their_unit(page: Page, unit: str, high: float, ticks: list[str]) -> None:
    steps = page.evaluate("async (u) => (await import('/static/js/units.js')).steps(u)", unit)
    step = next(each for each in steps if each >= high / 3)
    shown_ticks = [
        page.evaluate("async ([v, u]) => (await import('/static/js/units.js')).tick(v, u)", [each * step, unit])
        for each in range(len(ticks))
    ]

    assert shown_ticks == ticks


@pytest.mark.parametrize(
    ("query", "left", "operator", "right"),
    [
        ("a:b:c > 0.85", "a:b:c", ">", "0.85"),
        ('rate(x{m!="y"}[5m]) >= 3', 'rate(x{m!="y"}[5m])', ">=", "3"),
        ("a > 0.95 and on (instance) (b / c) > 1.5", "a", ">", "0.95"),
        ("(a < 0.5 and on (n) b > 30) unless on () (time() - max(s) < 1800)", "a", "<", "0.5"),
        ("x == 0 or (absent(x) and on () (d == 1))", "x", "==", "0"),
        ("(a / (b > 0)) > 0.9", "(a / (b > 0))", ">", "0.9"),
        ("absent(up)", "absent(up)", "", ""),
    ],
)
def test_an_alerts_measured_side_is_found(page: Page, query: str, left: str, operator: str, right: str) -> None:
    found = page.evaluate("async (q) => (await import('/static/js/alerts.js')).measured(q)", query)

    assert found == {"left": left, "operator": operator, "right": right}


@pytest.mark.parametrize(
    ("start", "history", "shown_from"),
    [
        ("now-1h", 100, "now-5m"),
        ("now-1h", 301, "now-15m"),
        ("now-1h", 3601, "now-1h"),
        ("now-5m", 10, "now-5m"),
        ("now/d", 10, "now/d"),
        ("1795386533767", 10, "1795386533767"),
    ],
)
def test_a_young_system_is_shown_whole_instead_of_an_empty_hour(
    page: Page, start: str, history: int, shown_from: str
) -> None:
    chosen = page.evaluate(
        "async ([f, s]) => (await import('/static/js/timerange.js')).startFor(f, s)", [start, history]
    )

    assert chosen == shown_from
