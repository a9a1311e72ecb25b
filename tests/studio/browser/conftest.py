"""A studio that serves, and a browser without a window that shows it. Skipped where either is missing."""

import os
import shutil
from pathlib import Path

import pytest
from helpers import ROOT

AXE = ROOT / ".browser" / "node_modules" / "axe-core" / "axe.min.js"
INSTALL = "scripts/install-browser installs it"


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A driver of Chromium, whose downloads go into `browser.downloads`."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install selenium")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip(f"no chromium with chromedriver; {INSTALL}")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu", "--lang=en-US"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # root has none
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.downloads = tmp_path_factory.mktemp("downloads")
    behaviour = {"behavior": "allow", "downloadPath": str(browser.downloads)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    if not AXE.exists():
        pytest.skip(f"no axe-core; {INSTALL}")
    return AXE.read_text()


@pytest.fixture(scope="module")
def studio(browser, vgg16, tmp_path_factory):
    """A client of a studio that paints, by shallow layers."""
    studio_helpers = pytest.importorskip("studio_helpers", reason="the server is not in this tree yet")
    with studio_helpers.serve(tmp_path_factory.mktemp("studio"), load=lambda: vgg16) as client:
        yield client


@pytest.fixture
def page(browser, studio):
    """The studio's page as who comes for the first time has it, in English, 1280 px wide, light."""
    from page import Page

    page = Page(browser, studio.studio.address)
    yield page
    page.leave()
