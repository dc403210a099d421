"""Every page by axe-core's rules: light, dark and on a narrow phone, no violation. And pictures.

The pictures lie in out/screenshots afterwards, to be looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.web.digit_pad_page import MODEL

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parent.parent.parent
AXE = ROOT / "exporter" / "player" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "out" / "screenshots"
PAGES = {
    "draw": "/",
    "models": "/models/",
    "ship": "/ship/",
    "embed": f"/embed/#model={MODEL}",
    "embedded": f"/embed/{MODEL}",
    "error": "/no-such-page",
}
LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 320, "height": 700}, "device_scale_factor": 2,
              "is_mobile": True, "has_touch": True, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2,
                   "is_mobile": True, "has_touch": True, "color_scheme": "dark"},
    "contrast": {"viewport": {"width": 1280, "height": 800}, "forced_colors": "active"},
}  # fmt: skip
QUICK = ("desktop", "dark", "phone")
RUN = """async () => {
  const {violations, passes} = await axe.run(document, {resultTypes: ['violations', 'passes']});
  const found = violations.map(({id, nodes}) => [id, ...nodes.map(
    ({target, failureSummary}) => `${target}: ${failureSummary}`)]);
  return {found, passed: passes.length};
}"""


def show(browser: Browser, address: str, look: str) -> Page:
    """The page in that look, with something drawn where one can draw."""
    page = browser.new_context(bypass_csp=True, **LOOKS[look]).new_page()
    page.goto(address)
    if page.locator("digit-pad").count():
        page.locator("digit-pad").get_by_role("button", name="Draw a sample 3").click()
        page.locator("digit-pad [part=answer]", has_text="3").wait_for()
    if page.locator(".layers").count():
        page.locator(".unit", has_text="the answer 3").wait_for()
    return page


CASES = [
    pytest.param(name, look, marks=[] if name == "draw" or look in QUICK else pytest.mark.slow)
    for name in PAGES
    for look in LOOKS
]


@pytest.mark.parametrize(("name", "look"), CASES)
def test_nobody_is_left_out(chromium: Browser, site: str, name: str, look: str) -> None:
    page = show(chromium, site + PAGES[name], look)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}-{look}.png", full_page=True)
    page.add_script_tag(path=AXE)
    answer = page.evaluate(RUN)
    page.context.close()
    assert answer["found"] == []
    assert answer["passed"] > 8


def test_the_rules_find_what_is_wrong(chromium: Browser, site: str) -> None:
    page = show(chromium, f"{site}/", "desktop")
    page.add_script_tag(path=AXE)
    page.evaluate("document.querySelector('select').parentNode.replaceWith(new Image())")
    found = [violation[0] for violation in page.evaluate(RUN)["found"]]
    page.context.close()
    assert "image-alt" in found
