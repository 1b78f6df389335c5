"A headless Chromium for the tests that need a browser; they are skipped where there is none. A plugin of pytest, loaded by conftest.py."
import shutil

import pytest

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture
def browser(tmp_path):
    "A Selenium driver with a profile of its own."
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    *browsers, driver = map(shutil.which, ("chromium", "google-chrome", "chromium-browser", "chromedriver"))
    chromium = next(filter(None, browsers), None)
    if not (chromium and driver): pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]: options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def resize(browser, width, height=900):
    "Set the size of the page in CSS pixels, which the size of a window only bounds from above."
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", dict(width=width, height=height, deviceScaleFactor=1, mobile=False))
