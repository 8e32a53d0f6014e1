"""Whether an explorer looks as it must, in any window and theme."""

from pathlib import Path

from playwright.sync_api import Page

SCRIPT = Path(__file__).with_name("looks.js").read_text("utf-8")


def problems_of(page: Page) -> list[str]:
    """Parts that are cut off, pictures beside their place, text too pale to read."""
    page.evaluate(SCRIPT)
    return page.evaluate(
        "() => [...looks.cutOff(), ...(document.querySelector('.pl-grid') ? looks.astray() : []), ...looks.pale()]"
    )
