"""The page, as a hand and an eye have it."""

import base64
import io
import time

import numpy as np
from PIL import Image
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By

SECONDS = 120.0  # that anything may take on a busy machine

# a drop, or a paste, of files with these names and contents (base64)
GIVE = """
const [how, target, files] = arguments, given = new DataTransfer();
for (const [name, type, content] of files)
  given.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, {type}));
const more = {bubbles: true, cancelable: true};
target.dispatchEvent(how === "drop" ? new DragEvent("drop", {dataTransfer: given, ...more})
                                    : new ClipboardEvent("paste", {clipboardData: given, ...more}));
"""

# what is shown as soon as the page has heard of a slider: no timer has run in between
SLIDE = """
const [slider, value, done] = arguments;
slider.value = value;
slider.dispatchEvent(new Event("input", {bubbles: true}));
Promise.resolve().then(() => done(!document.querySelector("#working").hidden));
"""


def png(*, seed=0, width=64, height=48):
    """A file of smooth colours."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
    kept = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(kept, "PNG")
    return kept.getvalue()


class Page:
    """Opened anew, without what the browser remembers."""

    def __init__(self, browser, address):
        self.browser = browser
        self.look()
        browser.get(address)
        browser.execute_script("localStorage.clear()")
        browser.get(address)
        self.wait(lambda: self.text("#strength-value"))

    def leave(self):
        """Opens nothing, so that no connection is held."""
        self.browser.get("about:blank")
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.browser.get_log("browser")

    def look(self, *, width=1280, height=900, scheme="light", motion="no-preference"):
        """Sets the window and the reader's wishes."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def shown(self, selector):
        return any(found.is_displayed() for found in self.all(selector))

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def wait(self, true):
        """Until something is true: its value."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                if value := true():
                    return value
            except StaleElementReferenceException:  # drawn anew in between
                pass
            time.sleep(0.05)
        raise AssertionError(f"waited {SECONDS:.0f} s; the page says: {self.text('body')}")

    def click(self, selector):
        """Where it is, whatever lies over it at the window's edge."""
        self.run("arguments[0].click()", self.wait(lambda: self.find(selector)))

    def give(self, content, name, *, to="body", how="drop", type="image/png"):
        files = [[name, type, base64.b64encode(content).decode()]]
        self.run(GIVE, how, self.find(to), files)

    def choose(self, *, photograph=1, painting=2):
        """A photograph and a painting, dropped on their wells."""
        self.give(png(seed=photograph), f"photo{photograph}.png", to=".well[data-role=photograph]")
        self.wait(lambda: self.shown(".well[data-role=photograph].full"))
        self.give(png(seed=painting), f"painting{painting}.png", to=".well[data-role=painting]")
        self.wait(lambda: self.shown(".well[data-role=painting].full"))

    def slide(self, name, value):
        """Moves a slider: whether the page shows at once that it works."""
        return self.browser.execute_async_script(SLIDE, self.find(f"#{name}"), str(value))

    def size(self, pixels):
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
        self.run(script, self.find("#image_size"), str(pixels))

    def settings(self):
        names = ("strength", "stroke", "quality", "image_size", "seed")
        values = {name: self.find(f"#{name}").get_property("value") for name in names}
        return values | {"colors": self.find("#colors").is_selected()}

    def drafted(self):
        """Waits for a draft that is done."""
        self.wait(lambda: self.shown("#live") and self.find("#frame").get_attribute("aria-busy") == "false")

    def paint(self):
        self.wait(lambda: self.find("#paint").is_enabled())
        self.click("#paint")

    def results(self):
        return self.all("#results > li")

    def complaints(self):
        """What the browser's console holds: refused scripts and styles, errors."""
        return [entry["message"] for entry in self.browser.get_log("browser") if "favicon" not in entry["message"]]
