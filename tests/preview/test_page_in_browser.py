"""The page in a real browser: what moves, what is fetched (nothing), and whether it fits.

Needs Chromium or Chrome on the machine (VIDSR_CHROMIUM names another one); without it these tests are
skipped, and fail where VIDSR_REQUIRE_BROWSER=1.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--headless=new",
]  # fmt: skip
DESKTOP = (1280, 800)
PHONE = (360, 640)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = os.environ.get("VIDSR_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        reason = f"no browser: none of {', '.join(NAMES)} is on the path"
        if os.environ.get("VIDSR_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield opened
        opened.close()


@dataclass
class Visit:
    """The page, open, and what went wrong or was fetched since."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def divider(self) -> float:
        """Where the divider is, in parts of the picture."""
        found = self.page.evaluate(
            """() => {
                const middle = document.querySelector('#divider').getBoundingClientRect();
                const picture = document.querySelector('.over img').getBoundingClientRect();
                return (middle.left + middle.width / 2 - picture.left) / picture.width;
            }"""
        )
        return float(found)

    def picture_width(self) -> float:
        return float(self.page.evaluate("document.querySelector('#stage img').getBoundingClientRect().width"))

    def left_edge(self) -> float:
        return float(self.page.evaluate("document.querySelector('#stage img').getBoundingClientRect().left"))

    def theme(self) -> tuple[int, ...]:
        """The ground's colour."""
        words = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return tuple(int(part) for part in words.removeprefix("rgb(").removesuffix(")").split(","))


@pytest.fixture
def visit(browser: Browser, two_models: Path) -> Iterator[Callable[..., Visit]]:
    contexts = []

    def open_page(size: tuple[int, int] = DESKTOP, scheme: str = "dark", *, touch: bool = False) -> Visit:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="light" if scheme == "light" else "dark",
            has_touch=touch,
            is_mobile=touch,
        )
        contexts.append(context)
        opened = Visit(context.new_page())
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(two_models.as_uri())
        opened.page.wait_for_selector("#stage img")
        visits.append(opened)
        return opened

    visits: list[Visit] = []
    yield open_page
    for seen in visits:
        assert seen.complaints == []
        fetched = [url for url in seen.requests if not url.startswith("data:")]
        assert fetched == [two_models.as_uri()]
    for context in contexts:
        context.close()


def loaded_pictures(page: Page) -> list[list[int]]:
    """Sizes of the pictures on the stage as the browser decoded them."""
    sizes: list[list[int]] = page.evaluate(
        "Promise.all([...document.querySelectorAll('#stage img')].map("
        "async (image) => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }))"
    )
    return sizes


def test_every_picture_loads(visit: Callable[..., Visit]) -> None:
    page = visit().page
    assert page.title() == "cel.mkv · vidsr preview"
    page.keyboard.press("s")
    for _ in range(2):
        assert loaded_pictures(page) == [[1280, 720], [640, 360], [1280, 720]]
        page.keyboard.press("ArrowDown")
    thumbnails = page.evaluate(
        "[...document.querySelectorAll('#strip img')].map((image) => image.naturalHeight)"
    )
    assert thumbnails == [128, 128]


def test_the_divider_follows_the_mouse(visit: Callable[..., Visit]) -> None:
    seen = visit()
    assert seen.divider() == pytest.approx(0.5, abs=0.01)
    box = seen.page.locator("#divider span").bounding_box()
    assert box is not None
    seen.page.mouse.move(box["x"] + 18, box["y"] + 18)
    seen.page.mouse.down()
    seen.page.mouse.move(seen.left_edge() + 0.2 * seen.picture_width(), box["y"] + 90, steps=4)
    seen.page.mouse.up()
    assert seen.divider() == pytest.approx(0.2, abs=0.01)
    clip = seen.page.evaluate("getComputedStyle(document.querySelector('.over')).clipPath")
    at = float(clip.removeprefix("inset(0px 0px 0px ").removesuffix("px)"))
    pane = seen.page.evaluate("document.querySelector('.pane').getBoundingClientRect().left")
    assert at + pane == pytest.approx(seen.left_edge() + 0.2 * seen.picture_width(), abs=2)


def test_the_picture_left_of_the_divider_is_the_source(visit: Callable[..., Visit]) -> None:
    """Read back from the screen: soft edges left, the network's hard ones right."""
    seen = visit()
    names = seen.page.evaluate(
        "['#choose-left', '#choose-right'].map((id) => document.querySelector(id).selectedOptions[0].text)"
    )
    assert names == ["Source", "repeat_2x"]
    columns = seen.page.evaluate("[...document.querySelectorAll('#stage img')].map((i) => i.dataset.column)")
    assert columns == ["0", "1"]
    seen.page.select_option("#choose-left", "2")
    columns = seen.page.evaluate("[...document.querySelectorAll('#stage img')].map((i) => i.dataset.column)")
    assert columns == ["2", "1"]


def test_keys_move_the_divider_and_choose_moments_and_models(visit: Callable[..., Visit]) -> None:
    seen = visit()
    keyboard = seen.page.keyboard
    for _ in range(5):
        keyboard.press("ArrowRight")
    assert seen.divider() == pytest.approx(0.6, abs=0.01)
    keyboard.press("Home")
    assert seen.divider() == pytest.approx(0, abs=0.01)
    keyboard.press("2")
    assert seen.page.input_value("#choose-right") == "2"
    assert "repeat_4x" in seen.page.inner_text("#command")
    keyboard.press("ArrowDown")
    current = "[...document.querySelectorAll('#strip button')].findIndex((b) => b.ariaCurrent === 'true')"
    assert seen.page.evaluate(current) == 1
    keyboard.press("ArrowDown")
    assert seen.page.evaluate(current) == 1  # there is no third
    keyboard.press("ArrowUp")
    assert seen.page.evaluate(current) == 0
    keyboard.press("?")
    assert seen.page.is_visible("#keys")
    keyboard.press("Escape")
    assert not seen.page.is_visible("#keys")


def test_a_held_space_bar_shows_the_left_picture_everywhere(visit: Callable[..., Visit]) -> None:
    seen = visit()
    hidden = (
        "() => { const over = document.querySelector('.over'); const at = parseFloat(getComputedStyle(over)"
        ".clipPath.split(' ').pop()); return at >= over.clientWidth; }"
    )
    assert not seen.page.evaluate(hidden)
    seen.page.keyboard.down(" ")
    assert seen.page.evaluate(hidden)
    seen.page.keyboard.up(" ")
    assert not seen.page.evaluate(hidden)


def test_zoom_keeps_what_is_under_the_mouse_and_dragging_pans(visit: Callable[..., Visit]) -> None:
    seen = visit()
    mouse = seen.page.mouse
    x, y = seen.left_edge() + 0.25 * seen.picture_width(), 300
    width = seen.picture_width()
    mouse.move(x, y)
    mouse.wheel(0, -600)
    seen.page.wait_for_function(
        f"document.querySelector('#stage img').getBoundingClientRect().width > {width + 1}"
    )
    assert seen.picture_width() > 1.5 * width
    under = (x - seen.left_edge()) / seen.picture_width()
    assert under == pytest.approx(0.25, abs=0.01)
    before = seen.left_edge()
    mouse.down()
    mouse.move(x - 50, y + 10, steps=3)
    mouse.up()
    assert seen.left_edge() == pytest.approx(before - 50, abs=1)
    seen.page.keyboard.press("Shift+ArrowRight")
    assert seen.left_edge() == pytest.approx(before - 110, abs=1)
    seen.page.keyboard.press("0")
    assert seen.picture_width() == pytest.approx(width, abs=1)
    seen.page.keyboard.press("+")
    assert seen.picture_width() > width
    mouse.dblclick(x, y)
    assert seen.page.inner_text("#zoom-level") == "Fit"
    mouse.dblclick(x, y)
    assert seen.page.inner_text("#zoom-level") == "100%"
    assert seen.picture_width() == pytest.approx(1280, abs=1)


def test_side_by_side_pictures_move_together(visit: Callable[..., Visit]) -> None:
    seen = visit()
    seen.page.click("#mode-side")
    assert seen.page.locator("#stage .pane").count() == 3
    seen.page.keyboard.press("+")
    shown = "[...document.querySelectorAll('#stage img')].map((image) => image.style.transform)"
    first = seen.page.evaluate(shown)
    assert len(set(first)) == 1
    seen.page.keyboard.press("Shift+ArrowRight")
    second = seen.page.evaluate(shown)
    assert len(set(second)) == 1
    assert second[0] != first[0]
    seen.page.locator("#stage .pane").nth(2).click()
    assert "repeat_4x" in seen.page.inner_text("#command")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_page_is_dark_or_light_as_the_system_is_and_can_be_turned(
    scheme: str, visit: Callable[..., Visit]
) -> None:
    seen = visit(scheme=scheme)
    bright = sum(seen.theme()) > 3 * 128
    assert bright == (scheme == "light")
    text = seen.page.evaluate("getComputedStyle(document.querySelector('h1')).color")
    assert (int(text.removeprefix("rgb(").split(",")[0]) > 128) != bright
    seen.page.click("#theme")
    assert (sum(seen.theme()) > 3 * 128) != bright


@pytest.mark.parametrize("size", [PHONE, (320, 568), (740, 360), (820, 1180), (1920, 1080)], ids=str)
def test_nothing_overflows(size: tuple[int, int], visit: Callable[..., Visit]) -> None:
    page = visit(size, touch=size[0] < 800).page
    for _ in range(2):
        width, height = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        )
        assert (width, height) == size
        outside = page.evaluate(
            "[...document.querySelectorAll('button, select, h1, #command, .caption')].filter((e) =>"
            " !e.closest('dialog, #strip') && e.getBoundingClientRect().width &&"
            " (e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)"
            ").map((e) => e.id || e.textContent)"
        )
        assert outside == []
        page.keyboard.press("s")


def test_a_finger_moves_the_divider(visit: Callable[..., Visit]) -> None:
    seen = visit(PHONE, touch=True)
    seen.page.touchscreen.tap(seen.left_edge() + 0.75 * seen.picture_width(), 300)
    assert seen.divider() == pytest.approx(0.75, abs=0.02)
