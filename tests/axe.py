"""axe-core's verdict on a page that is open in Chromium: what keeps people with other senses or hands out."""

from importlib.resources import files
from typing import Any

from playwright.sync_api import BrowserContext, Page

# https://github.com/dequelabs/axe-core/blob/develop/doc/API.md: impact is minor, moderate, serious or critical.
SERIOUS = ("serious", "critical")
# What was changed just now (the colours of the system, the window) is drawn first, to the end of its transitions.
_RUN = """async () => {
  for (let frame = 0; frame < 3; frame += 1) await new Promise((drawn) => requestAnimationFrame(drawn));
  const passing = document.getAnimations().filter((each) => each instanceof CSSTransition);
  await Promise.allSettled(passing.map((each) => each.finished));
  return axe.run(document, { resultTypes: ["violations"] });
}"""


def prepare(context: BrowserContext) -> None:
    """Give every document of the context axe-core, before the page's own script and outside its policy."""
    context.add_init_script(path=str(files("axe_playwright_python").joinpath("axe.min.js")))


def serious(page: Page) -> list[str]:
    """Return `RULE: what it is: where` for each finding that is serious or critical."""
    answer: dict[str, Any] = page.evaluate(_RUN)
    return [
        f"{found['id']}: {found['help']}: {' '.join(str(part) for part in node['target'])}"
        for found in answer["violations"]
        if found["impact"] in SERIOUS
        for node in found["nodes"]
    ]
