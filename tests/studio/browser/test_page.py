"""The studio's page in a real browser: the whole path, as somebody walks it who has never seen a terminal."""

import json
import re

import pytest
from helpers import ROOT
from page import png
from selenium.webdriver import ActionChains, Keys

STATIC = ROOT / "jnst" / "studio" / "static"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def test_from_two_files_to_a_picture_whose_settings_come_back(page, browser):
    page.choose()
    page.drafted()
    page.size(64)
    assert page.slide("strength", 1.3), "a slider is moved, and the page does not say that it works"
    page.slide("stroke", 0.5)
    page.slide("quality", 0)
    page.click("#colors")
    page.drafted()
    page.wait(lambda: re.match("64 . 48 px", page.text("#plan")))
    before, count = page.settings(), len(page.results())
    page.paint()
    page.wait(lambda: page.shown("#compare"))
    page.wait(lambda: len(page.results()) == count + 1)

    browser.execute_script("arguments[0].focus()", page.find("#split"))
    page.find("#split").send_keys(Keys.HOME)
    assert "100%" in page.find("#before").value_of_css_property("clip-path"), (
        "at the left end nothing of the photograph"
    )
    page.find("#split").send_keys(Keys.END)
    assert page.find("#before").value_of_css_property("clip-path") in ("inset(0px)", "inset(0px 0% 0px 0px)")
    page.click("[data-zoom=full]")
    page.wait(lambda: page.find("#compare").size == {"width": 64, "height": 48})

    page.click("#open-download summary")
    page.click("#open-download [data-format=png]")
    (kept,) = page.wait(lambda: list(browser.downloads.glob("*.png")))
    content = kept.read_bytes()
    kept.unlink()

    for name, value in {"strength": 0.2, "stroke": 1.5, "quality": 2}.items():
        page.slide(name, value)
    page.click("#colors")
    page.size(256)
    assert page.settings() != before
    page.give(content, "result.png")
    page.wait(lambda: "All settings" in page.text("#messages"))
    assert page.settings() == before
    assert page.text(".well[data-role=photograph] .name") == "photo1.png"
    assert page.text(".well[data-role=painting] .name") == "painting2.png"
    assert page.complaints() == []


def test_stop_keeps_the_picture_and_the_queue_goes_on(page):
    page.choose()
    page.size(64)
    page.slide("quality", 2)
    count = len(page.results())
    page.paint()
    page.wait(lambda: page.shown("#queue-box"))
    page.paint()
    page.wait(lambda: len(page.all("#queue > li")) == 2)
    page.click("#queue > li:last-child button")  # never begun: nothing is kept of it
    page.wait(lambda: len(page.all("#queue > li")) == 1)
    page.wait(lambda: page.shown("#progress") and float(page.find("#bar").get_attribute("aria-valuenow")) > 0)
    page.click("#stop")
    page.wait(lambda: len(page.results()) == count + 1)
    page.wait(lambda: not page.shown("#queue-box"))


def test_what_is_pasted_fills_the_first_empty_well(page):
    page.give(png(seed=5), "", how="paste")
    page.wait(lambda: page.shown(".well[data-role=photograph].full"))
    page.give(png(seed=6), "", how="paste")
    page.drafted()


@pytest.mark.thorough
def test_every_painting_is_tried_on_the_photograph(page):
    page.choose()
    page.give(png(seed=7), "second.png", to=".well[data-role=painting]")
    page.wait(lambda: "second" in page.text(".well[data-role=painting] .name"))
    page.click("#make-sheet")
    tried = "#paintings img[src*='/api/jobs/']"
    page.wait(lambda: len(page.all(tried)) == len(page.all("#paintings > li")) >= 2)
    page.click("#paintings > li:first-child .thumb")
    assert page.find("#paintings > li:first-child .thumb").get_attribute("aria-pressed") == "true"


@pytest.mark.thorough
def test_a_mix_has_weights_and_a_mask_is_painted_by_keys(page, browser):
    page.choose()
    page.click("#paintings > li:last-child .plus")
    assert len(page.all("#mix > li")) == 2
    page.click("#mix button")
    canvas = page.find("#mask-canvas")
    assert browser.switch_to.active_element == canvas
    assert not page.find("#mask-save").is_enabled(), "a painting that is nowhere"
    canvas.send_keys(" ")
    covered = canvas.get_attribute("aria-label")
    assert "0 %" not in covered.split()
    canvas.send_keys(Keys.ARROW_LEFT * 5, " ")
    assert canvas.get_attribute("aria-label") != covered
    page.click("#mask-undo")
    assert canvas.get_attribute("aria-label") == covered
    page.click("#mask-save")
    page.wait(lambda: not page.shown("#mask"))
    assert "✓" in page.text("#mix")
    kept = json.loads(page.run("return localStorage.getItem('jnst-studio')"))
    assert [bool(part["mask"]) for part in kept["paintings"]] == [True, False]
    page.drafted()
    assert page.complaints() == []


def test_a_mask_is_white_where_the_hand_has_painted(page, browser):
    page.choose()
    page.click("#mix button")
    brush = page.find("#mask-canvas")
    ActionChains(browser).move_to_element(brush).click_and_hold().move_by_offset(40, 0).release().perform()
    # the eraser takes it away again
    page.click("[data-tool=erase]")
    page.run("arguments[0].value = 200", page.find("#brush-size"))
    page.run("arguments[0].value = 100", page.find("#brush-hardness"))
    drawn = "const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; "
    drawn += "let s = 0; for (let k = 3; k < d.length; k += 4) s += d[k]; return s"
    assert page.run(drawn, brush) > 0
    ActionChains(browser).move_to_element(brush).click_and_hold().move_by_offset(40, 0).release().perform()
    assert page.run(drawn, brush) == 0


def test_what_is_no_image_is_told_in_one_line(page):
    page.give(b"<svg/>", "drawing.png")
    page.wait(lambda: page.shown(".message.error"))
    assert "\n" not in page.text(".message.error p")
    assert not page.all(".well.full")


def test_the_choice_outlives_a_reload(page, browser):
    page.choose()
    page.slide("strength", 0.4)
    browser.refresh()
    page.wait(lambda: len(page.all(".well.full")) == 2)
    assert page.find("#strength").get_property("value") == "0.4"


def test_a_lost_connection_is_told(page):
    page.choose()
    page.drafted()
    page.run("self.kept = fetch; fetch = () => Promise.reject(new TypeError('no network'))")
    page.slide("strength", 0.7)
    page.wait(lambda: "connection" in page.text("#messages"))
    page.run("fetch = self.kept")
    page.slide("strength", 0.8)
    page.drafted()


def test_a_result_is_deleted_after_a_second_question(page):
    page.choose()
    page.size(64)
    page.slide("quality", 0)
    count = len(page.results())
    page.paint()
    page.wait(lambda: len(page.results()) == count + 1)
    erase = "#results > li:first-child .row > button:last-child"
    page.click(erase)
    assert "for good" in page.text(erase)
    assert len(page.results()) == count + 1
    page.click(erase)
    page.wait(lambda: len(page.results()) == count)


def test_german_and_back(page):
    page.click("#language")
    assert page.text("#paint") == "Malen"
    assert page.find("html").get_attribute("lang") == "de"
    page.click("#language")
    assert page.text("#paint") == "Paint"


def test_every_text_is_there_twice_with_the_same_values(page, browser):
    script = "import('/static/texts.js').then((m) => arguments[0](Object.entries(m.TEXTS)))"
    for key, languages in browser.execute_async_script(script):
        assert len(languages) == 2, key
        values = [sorted(part.split("}")[0] for part in words.split("{")[1:]) for words in languages]
        assert values[0] == values[1], key
        assert all(languages), key


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (390, "dark"),
        pytest.param(1280, "dark", marks=pytest.mark.thorough),
        pytest.param(390, "light", marks=pytest.mark.thorough),
    ],
)
def test_for_everyone_by_axe(page, browser, axe, scheme, width):
    page.look(width=width, scheme=scheme, motion="reduce")
    page.run(axe)

    def violations():
        script = f"axe.run(document, {{runOnly: {RULES}}}).then(arguments[0])"
        found = browser.execute_async_script(script)["violations"]
        return [(one["id"], node["html"][:120], node["failureSummary"]) for one in found for node in one["nodes"]]

    assert violations() == []
    page.choose()
    page.drafted()
    page.size(64)
    page.slide("quality", 0)
    page.paint()
    page.wait(lambda: page.shown("#progress"))
    assert violations() == []
    page.wait(lambda: page.shown("#compare"))
    page.click("#open-download summary")
    assert violations() == []
    page.click("#mix button")
    assert violations() == []


@pytest.mark.parametrize(
    ("width", "language"),
    [(390, "en"), (390, "de"), (1280, "de"), pytest.param(1280, "en", marks=pytest.mark.thorough)],
)
def test_nothing_is_wider_than_the_window(page, width, language):
    page.look(width=width)
    if language == "de":
        page.click("#language")
    page.choose()
    page.drafted()
    assert page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    wide = (
        "return [...document.querySelectorAll('button, h2, summary')].filter((n) => n.scrollWidth > n.clientWidth + 1"
    )
    assert (
        page.run(wide + " && getComputedStyle(n).overflow === 'visible' && n.offsetParent).map((n) => n.outerHTML)")
        == []
    )


def test_the_picture_stays_while_the_settings_scroll_but_hides_no_gallery(page):
    page.look(width=1280, height=700)
    page.choose()
    box = "const box = (id) => document.querySelector(id).getBoundingClientRect(); "
    page.run("document.querySelector('#seed').scrollIntoView({block: 'end'})")
    assert page.run(box + "return box('#stage').top") >= 0
    page.run("scrollTo(0, document.body.scrollHeight)")
    assert page.run(box + "return box('#stage').bottom <= box('#gallery').top")


def test_who_wants_no_motion_sees_none(page):
    page.look(motion="reduce")
    assert page.run("return getComputedStyle(document.querySelector('#working i')).animationName") == "none"


def test_tab_reaches_all_in_the_order_of_the_page(page, browser):
    page.choose()
    page.drafted()
    focusable = "[...document.querySelectorAll('a, button, input, select, summary')]"
    wanted = page.run(f"return {focusable}.filter((n) => !n.disabled && n.checkVisibility()).length")
    page.run("document.activeElement.blur(); scrollTo(0, 0)")
    seen = []
    for _ in range(wanted + 5):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        seen.append(page.run(f"return {focusable}.indexOf(document.activeElement)"))
    assert len({place for place in seen if place >= 0}) == wanted
    first = seen[: seen.index(max(seen)) + 1]
    assert first == sorted(first)


def test_the_page_is_small_and_asks_no_other_host():
    files = list(STATIC.iterdir())
    assert sum(path.stat().st_size for path in files) < 200_000
    for path in files:
        words = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search("https?://|@import|url\\(", words), path.name
        assert not re.search(r"\sstyle=|\son\w+=\"|<script(?![^>]*\ssrc=)", words), path.name


def test_pages_that_were_left_hold_no_connection(page, browser, studio):
    browser.set_page_load_timeout(40)  # a browser has six to a server; the seventh page would wait for about a minute
    try:
        for _ in range(8):
            browser.get(studio.studio.address)
            page.wait(lambda: page.text("#strength-value"))
            browser.get("about:blank")
    finally:
        browser.set_page_load_timeout(300)
