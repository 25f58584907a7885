"""Charts in the hand of a person: crosshair, legend, what was going on meanwhile, limits, paper."""

import re
import time
from typing import Any

import pytest
from browser_stack import Shown, Stack
from playwright.sync_api import Page, expect
from shown_panels import TIMESERIES, answering, matrix, panel, panels, write

pytestmark = pytest.mark.browser

# Returns whether a row of the canvas is red over a third of its width: a dashed line is, a tint is not.
RED_LINE = """(canvas) => {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  for (let y = 0; y < height; y += 1) {
    let red = 0;
    for (let x = 0; x < width; x += 1) {
      const at = 4 * (y * width + x);
      if (data[at] > 120 && data[at + 1] < 0.6 * data[at] && data[at + 2] < 0.6 * data[at]) red += 1;
    }
    if (red > width / 3) return true;
  }
  return false;
}"""
# Notes, while the browser prints, what stands out of its panel, and the theme.
PRINTED = """() => addEventListener("beforeprint", () => queueMicrotask(() => {
  const right = (each) => each.getBoundingClientRect().right;
  const plots = [...document.querySelectorAll(".u-wrap")];
  window.printed = {
    plots: plots.length,
    outside: plots.filter((each) => right(each) > right(each.closest(".panel"))).length,
    theme: document.documentElement.dataset.theme,
  };
}))"""


def hover(page: Page, number: int) -> None:
    area = panel(page, number).locator(".u-over").bounding_box()
    assert area
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2, steps=2)


def test_the_crosshair_is_shared_and_the_numbers_are_at_the_pointer(stack: Stack, shown: Shown) -> None:
    write(stack, "pair", TIMESERIES, TIMESERIES, graphTooltip=1)
    page = shown.open(f"{stack.url}/d/pair?refresh=off")
    panels(page)

    hover(page, 1)

    other = panel(page, 2)
    expect(panel(page, 1).locator(".tip")).to_contain_text("up{")
    expect(other.locator(".tip")).to_be_hidden()
    line = "(id) => document.querySelector(`[data-panel-id='${id}'] .u-cursor-x`).style.transform"
    assert page.evaluate(line, 1) == page.evaluate(line, 2) != ""
    expect(other.locator(".u-cursor-x")).not_to_have_class(re.compile("u-off"))
    assert shown.complaints == []


def test_a_chart_does_not_ask_for_the_time_to_come(stack: Stack, shown: Shown) -> None:
    asked: list[dict[str, str]] = []

    def reply(path: str, form: dict[str, str]) -> dict[str, Any]:
        asked.append(form)
        return matrix(form)

    answering(shown.page, reply)
    write(stack, "day", TIMESERIES)
    page = shown.open(f"{stack.url}/d/day?from=now-24h&to=now&refresh=off")

    assert [each["state"] for each in panels(page)] == ["ready"]
    [form] = asked
    start, end, step = (float(form[name]) for name in ("start", "end", "step"))
    # A rate's window of the last step would reach into what is not there yet, and show a fall that never was.
    assert (start % step, end % step) == (0, 0)
    assert time.time() - step - 60 < end <= time.time()


def test_ctrl_click_hides_a_series(stack: Stack, shown: Shown) -> None:
    write(stack, "legend", {**TIMESERIES, "options": {"legend": {"calcs": ["lastNotNull", "max"]}}})
    page = shown.open(f"{stack.url}/d/legend?refresh=off")
    panels(page)
    buttons = panel(page, 1).locator(".legend button")

    buttons.nth(1).click(modifiers=["Control"])

    assert [each.get_attribute("aria-pressed") for each in buttons.all()].count("false") == 1
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "false")
    expect(buttons.nth(1)).to_contain_text(re.compile("1.*max 1"))


def test_what_was_going_on_is_told_to_the_pointer_and_to_listeners(stack: Stack, shown: Shown) -> None:
    def annotation(color: str, query: str, title: str) -> dict[str, Any]:
        return {"name": title, "enable": True, "iconColor": color, "expr": query, "titleFormat": title}

    told = [
        annotation("purple", 'up{job="app"}', "deploy of {{instance}}"),
        annotation("red", "no_such_metric", "never"),
        annotation("blue", "sum by ((", "broken"),
    ]
    write(stack, "marked", TIMESERIES, annotations={"list": told})
    page = shown.open(f"{stack.url}/d/marked?refresh=off")
    panels(page)

    expect(panel(page, 1).locator(".plot")).to_have_attribute(
        "aria-label", re.compile(r"Meanwhile: deploy of 127\.0\.0\.1:18000\.$")
    )
    hover(page, 1)

    expect(panel(page, 1).locator(".tip")).to_contain_text("deploy of 127.0.0.1:18000")
    assert shown.complaints == []


# Holds back the answers to the questions for the job `app` until `window.answerMarks()`.
MARKS_LATE = """
const reached = window.fetch;
window.fetch = async (path, options) => {
  const response = await reached(path, options);
  if (path !== "/api/batch") return response;
  const late = JSON.parse(options.body).map(({ form }) => form.includes("job%3D%22app%22"));
  const lines = (await response.text()).trim().split("\\n");
  const body = new ReadableStream({
    async start(sink) {
      const put = (which) => {
        const told = lines.filter((line) => late[JSON.parse(line).id] === which).map((line) => line + "\\n");
        sink.enqueue(new TextEncoder().encode(told.join("")));
      };
      put(false);
      await new Promise((resolve) => (window.answerMarks = resolve));
      put(true);
      sink.close();
    },
  });
  return new Response(body, { headers: response.headers });
};
"""


def test_marks_that_come_after_the_lines_are_shown(stack: Stack, shown: Shown) -> None:
    mark = {"name": "a deploy", "enable": True, "iconColor": "purple", "expr": 'up{job="app"}'}
    write(stack, "late", TIMESERIES, annotations={"list": [mark]})
    shown.page.add_init_script(MARKS_LATE)
    page = shown.open(f"{stack.url}/d/late?refresh=off")

    assert [each["state"] for each in panels(page)] == ["ready"]
    plot = panel(page, 1).locator(".plot")
    expect(plot).not_to_have_attribute("aria-label", re.compile("Meanwhile"))
    page.evaluate("window.answerMarks()")

    expect(plot).to_have_attribute("aria-label", re.compile(r"Meanwhile: a deploy\.$"))
    assert shown.complaints == []


def test_a_mark_is_drawn_at_the_time_that_it_tells(stack: Stack, shown: Shown) -> None:
    now = time.time()

    def mark(at: float, title: str) -> dict[str, Any]:
        told = {"name": title, "enable": True, "iconColor": "purple", "titleFormat": title}
        # As the dashboards ask: the value is a time, in milliseconds.
        return {**told, "expr": f"vector({at:.3f}) * 1000", "useValueForTime": True}

    marks = [mark(now - 1800, "deploy of yesterday's branch"), mark(now - 86_400, "long ago")]
    write(stack, "told", TIMESERIES, annotations={"list": marks})
    page = shown.open(f"{stack.url}/d/told?from=now-1h&to=now&refresh=off")
    panels(page)

    expect(panel(page, 1).locator(".plot")).to_have_attribute(
        "aria-label", re.compile(r"Meanwhile: deploy of yesterday's branch\.$")
    )
    hover(page, 1)

    expect(panel(page, 1).locator(".tip")).to_contain_text("deploy of yesterday's branch")
    assert shown.complaints == []


def test_an_alerts_page_draws_its_limit_and_lists_when_it_fired(stack: Stack, shown: Shown) -> None:
    def fired(_: str, form: dict[str, str]) -> dict[str, Any]:
        told = matrix(form)
        state = {"alertstate": "firing"} if form["query"].startswith("max by (alertstate)") else {}
        told["data"]["result"][0]["metric"] = state
        told["data"]["result"][0]["values"] = [[at, "1"] for at, _ in told["data"]["result"][0]["values"][:10]]
        return told

    answering(shown.page, fired)
    page = shown.open(f"{stack.url}/alerts/ApiErrorRateHigh")
    plot = page.locator(".alert-main .plot")

    expect(plot).to_have_attribute("aria-label", re.compile("the limit is 1 %$"))
    expect(page.get_by_role("list", name="When it fired").get_by_role("listitem")).to_have_count(1)
    expect(page.locator(".alert-main .panel-head")).to_contain_text("fired once in this range, 10 min in all")
    assert plot.locator("canvas").evaluate(RED_LINE)
    assert shown.complaints == []


def test_paper_is_white_and_every_chart_fits_on_it(stack: Stack, shown: Shown) -> None:
    page = shown.open(stack.url)
    panels(page)
    page.evaluate(PRINTED)

    paper = page.pdf(format="A4")

    printed = page.evaluate("() => window.printed")
    assert (printed["outside"], printed["theme"]) == (0, "light")
    assert printed["plots"] >= 9
    assert paper.count(b"/Type /Page\n") in range(1, 4)
    assert page.evaluate("() => document.documentElement.dataset.theme ?? null") is None
    page.emulate_media(media="print")
    expect(page.locator("#shell")).to_be_hidden()
    expect(page.get_by_role("button", name="Time range")).to_be_visible()
    assert shown.complaints == []
