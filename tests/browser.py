"A real browser without a window, for the tests of what readers see."
import shutil

import pytest


@pytest.fixture(scope="module")
def browser(request):
    "Chrome or Chromium. Skips where it or its driver is missing."
    webdriver = pytest.importorskip("selenium.webdriver")
    program = next(filter(None, map(shutil.which, ("google-chrome", "chromium", "chromium-browser"))), None)
    driver = shutil.which("chromedriver")
    if not (program and driver): pytest.skip("needs Chrome or Chromium and its chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-quic", "no-first-run", "disable-background-networking",
                 "disable-component-update", "disable-sync", "window-size=1280,1000"): options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    request.addfinalizer(driver.quit)
    return driver
