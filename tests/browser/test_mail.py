"""A mail in a real browser: on a phone and on a desk, in light and dark, with one alert or fifty, and hostile labels.

amtool renders our template as Alertmanager would; `TOPMAST_MAIL_PICTURES` names a folder that keeps what was seen.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe
import pytest
from playwright.sync_api import BrowserContext, Page
from topmast import promtool as tools
from topmast.suites import required

pytestmark = pytest.mark.browser

TEMPLATES = Path(__file__).resolve().parents[2] / "monitoring" / "alertmanager" / "templates"
EVIL = "<!channel> <img src=x onerror=alert(1)> <script>document.title = 'taken'</script>\r\nBcc: evil@example.com"
UNBROKEN = "a-name-without-a-place-to-break-" * 6
SITUATIONS = [
    pytest.param(1, 0, "", id="one"),
    pytest.param(5, 0, "", id="five"),
    pytest.param(50, 0, "", id="fifty"),
    pytest.param(0, 1, "", id="one resolved"),
    pytest.param(5, 50, "", id="some resolved"),
    pytest.param(5, 5, f" {EVIL} {UNBROKEN}", id="hostile"),
]
PHONE, DESK = {"width": 375, "height": 812}, {"width": 1280, "height": 800}
LINKS = ("/runbooks/HostCpuHigh", "/alerts/HostCpuHigh", "/logs?from=", "?silence=1", "/query?g0.expr=")
COLUMNS = 78


@pytest.fixture(scope="module")
def amtool() -> Path:
    found = tools.find_amtool(TEMPLATES.parents[2] / ".topmast")
    if found is None:
        reason = "no amtool: not on PATH, not unpacked; run `topmast up` once, or set TOPMAST_AMTOOL"
        (pytest.fail if "browser" in required() else pytest.skip)(reason)
    return found


def given(firing: int, resolved: int, evil: str) -> dict[str, Any]:
    """Return what Alertmanager hands to the template; `evil` stands behind every text."""

    def alert(number: int, status: str) -> dict[str, Any]:
        return {
            "status": status,
            "labels": {"alertname": f"HostCpuHigh{evil}", "instance": f"host-{number}:9100{evil}"},
            "annotations": {
                "description": f"CPU of host-{number}:9100 is 93.4% busy, measured over the last ten minutes.{evil}",
                "threshold": f"0.85{evil}",
            },
            "startsAt": "2026-03-01T10:00:00Z",
            "endsAt": "2026-03-01T11:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
            "generatorURL": "http://localhost:9090/graph?g0.expr=" + "a%2B" * 60,
        }

    return {
        "receiver": "email-cost",
        "status": "firing" if firing else "resolved",
        "externalURL": "http://localhost:9093",
        "groupLabels": {"alertname": f"HostCpuHigh{evil}", "category": f"cpu{evil}"},
        "commonLabels": {"severity": "critical", "category": f"cpu{evil}", "environment": f"production{evil}"},
        "commonAnnotations": {
            "summary": f"A machine's CPU has been busy for a long time.{evil}",
            "dashboard_url": "/alerts/HostCpuHigh",
            "runbook_url": "/runbooks/HostCpuHigh",
        },
        "alerts": [alert(n, "firing") for n in range(firing)] + [alert(n, "resolved") for n in range(resolved)],
    }


def rendered(amtool: Path, folder: Path, name: str, kind: str, value: dict[str, Any]) -> str:
    data = folder / "data.json"
    data.write_text(json.dumps(value))
    answer = tools.run(
        amtool,
        [
            "template",
            "render",
            f"--template.glob={TEMPLATES}/*.tmpl",
            f"--template.type={kind}",
            f"--template.data={data}",
            f'--template.text={{{{ template "{name}" . }}}}',
        ],
    )
    assert answer.code == 0, answer.output
    return answer.output


def picture(page: Page, request: pytest.FixtureRequest, name: str) -> None:
    folder = os.environ.get("TOPMAST_MAIL_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{request.node.callspec.id.replace(' ', '-')}-{name}.png", full_page=True)


def sideways(page: Page) -> int:
    """Return by how many pixels the mail is wider than its window."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


def looks(page: Page) -> Iterator[str]:
    """Show the mail in every way that it is read in, and yield each way's name."""
    for where, size in (("phone", PHONE), ("desk", DESK)):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            yield f"{where}-{scheme}"


@pytest.mark.parametrize(("firing", "resolved", "evil"), SITUATIONS)
def test_a_mail_can_be_read_on_a_phone_and_on_a_desk_in_light_and_dark(
    firing: int,
    resolved: int,
    evil: str,
    amtool: Path,
    context: BrowserContext,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    axe.prepare(context)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda each: asked.append(each.url))
    mail = tmp_path / "mail.html"
    mail.write_text(rendered(amtool, tmp_path, "topmast.email.html", "html", given(firing, resolved, evil)))
    page.goto(mail.as_uri())

    found = {}
    for look in looks(page):
        found[look] = (axe.serious(page), sideways(page))
        picture(page, request, look)

    assert found == dict.fromkeys(found, ([], 0))
    assert len(found) == 4
    assert asked == [mail.as_uri()], "a mail loads nothing"


@pytest.mark.parametrize(("firing", "resolved", "evil"), SITUATIONS)
def test_a_mail_says_what_where_how_bad_since_when_and_what_to_do(
    firing: int, resolved: int, evil: str, amtool: Path, context: BrowserContext, tmp_path: Path
) -> None:
    page = context.new_page()
    page.set_viewport_size(PHONE)
    page.set_content(rendered(amtool, tmp_path, "topmast.email.html", "html", given(firing, resolved, evil)))

    text = " ".join(page.locator("body").inner_text().split())
    links = [str(each.get_attribute("href")) for each in page.locator("a").all()]
    first, runbook = page.locator("li").first.bounding_box(), page.locator("a.do").bounding_box()

    said = ("FIRING" if firing else "RESOLVED", "CRITICAL", "HostCpuHigh", "host-0:9100", "93.4%", "threshold 0.85")
    assert [word for word in (*said, "2026-03-01 10:00") if word not in text] == []
    assert [link for link in LINKS if not any(link in each for each in links)] == []
    assert page.locator("a.do").inner_text() == ("What to do: the runbook" if firing else "Runbook")
    assert page.locator("li").count() == min(firing, 5) + min(resolved, 5)
    # The first alert and what to do are on a phone's first screen, or nobody answers in five seconds.
    assert first is not None
    assert runbook is not None
    assert evil or max(each["y"] + each["height"] for each in (first, runbook)) < PHONE["height"] / 2


def test_a_hostile_label_stays_text(amtool: Path, context: BrowserContext, tmp_path: Path) -> None:
    page = context.new_page()
    page.set_content(rendered(amtool, tmp_path, "topmast.email.html", "html", given(1, 0, f" {EVIL}")))

    assert page.locator("script, img").count() == 0
    assert "taken" not in page.title().split(":")[0]
    assert "<script>" in page.locator("li").first.inner_text()


@pytest.mark.parametrize(("firing", "resolved", "evil"), SITUATIONS[:-1])
def test_a_plain_mail_keeps_to_a_terminals_width(
    firing: int, resolved: int, evil: str, amtool: Path, tmp_path: Path
) -> None:
    text = rendered(amtool, tmp_path, "topmast.plain", "text", given(firing, resolved, evil))

    # An address cannot be broken.
    lines = [line for line in text.splitlines() if "http" not in line]
    assert [line for line in lines if len(line) > COLUMNS] == []
    assert [
        word for word in ("host-0:9100", "93.4%", "threshold 0.85, ", "2026-03-01 10:00") if word not in text
    ] == []
    assert [link for link in LINKS[:4] if link not in text] == []


def test_a_long_description_is_wrapped_between_words(amtool: Path, tmp_path: Path) -> None:
    value = given(1, 0, "")
    value["alerts"][0]["annotations"]["description"] = "word " * 60 + "end."

    text = rendered(amtool, tmp_path, "topmast.plain", "text", value)

    assert [line for line in text.splitlines() if "http" not in line and len(line) > COLUMNS] == []
    assert text.count("word") == 60
    assert "  word" in text
