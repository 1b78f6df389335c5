"What readers do in a browser: change a parameter of a notebook in JupyterLab, and read the site, on a desk and on a phone. Covers barrier in JupyterLab, explorer, and the rendered pages."
import json
import os
import re
import secrets
import shutil
import socket
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from subprocess import STDOUT
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from browser import resize
from pages import NBS, html_name, rendered
from processes import start

pytestmark = pytest.mark.slow
PATIENCE = 300  # seconds before a condition counts as not met; far longer than anything takes


def wait(what, condition, seconds=PATIENCE):
    "Until the condition holds. A page may draw an element anew while it is looked at: then one looks again."
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.wait import WebDriverWait
    return WebDriverWait(what, seconds, ignored_exceptions=[StaleElementReferenceException]).until(condition)


@pytest.fixture
def lab(tmp_path, browser):
    "From a notebook to its address in a JupyterLab that has a copy of the notebooks, and settings of its own."
    folder = tmp_path / "lab"
    shutil.copytree(NBS, folder / "nbs", ignore=shutil.ignore_patterns(".*"))
    settings = folder / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"windowingMode": "none"}))  # all cells are in the page, not only those in view
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", str(folder / "nbs"), "--no-browser", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
               f"--IdentityProvider.token={token}", "--LabApp.news_url=None"] + ["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0)
    env = os.environ | {f"JUPYTER{name}_DIR": str(folder / name.lower()) for name in ("_CONFIG", "_DATA", "_RUNTIME", "LAB_WORKSPACES")}
    env |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "IPYTHONDIR": str(folder / "ipython")}
    with open(folder / "log", "w") as log:
        server = start(*command, env=env, stdout=log, stderr=STDOUT)

    def answers(server):
        assert server.poll() is None, (folder / "log").read_text()
        try: return urlopen(f"http://127.0.0.1:{port}/api/status?token={token}").status == 200
        except (URLError, ConnectionError): return False
    try:
        wait(server, answers)
        yield lambda notebook: f"http://127.0.0.1:{port}/lab/tree/{notebook}?token={token}"
    finally:
        server.terminate()
        server.wait()


def test_a_parameter_is_changed_and_everything_is_run_again(lab, browser):
    "With another N, the likelihood of a random guess in the table below is another."
    from selenium.common.exceptions import TimeoutException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def find(css): return browser.find_elements(By.CSS_SELECTOR, css)
    def texts(css): return browser.execute_script("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", css)
    def prompts(): return [text.strip() for text in texts(".jp-Notebook .jp-CodeCell .jp-InputPrompt")]
    def outputs(): return "\n".join(texts(".jp-Notebook .jp-OutputArea-output"))
    def parameter(_=None): return next((e for e in find(".jp-Notebook .cm-line") if e.text.startswith("N = 12 ")), None)
    def done(): return all(re.fullmatch(r"\[\d+\]:", p) for p in prompts())

    resize(browser, 1280)
    browser.get(lab("learn/barrier.ipynb"))
    wait(browser, parameter)
    assert "6.0e-08" in outputs() and "2.4e-04" not in outputs()
    wait(browser, lambda _: find(".jp-NotebookPanel-toolbar .jp-Notebook-ExecutionIndicator[data-status=idle]"))

    wait(browser, lambda _: browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", parameter()) is None)
    wait(browser, lambda _: parameter().click() is None)
    keys = browser.switch_to.active_element
    keys.send_keys(Keys.HOME, Keys.SHIFT, Keys.END, Keys.NULL, "N = 6")
    wait(browser, lambda _: "N = 6" in texts(".jp-Notebook .cm-line"))

    def command(name):
        "Run the command of that name, as it stands in the palette."
        browser.switch_to.active_element.send_keys(Keys.CONTROL, Keys.SHIFT, "c")
        search = wait(browser, lambda _: next((e for e in find(".lm-CommandPalette-input, .jp-ModalCommandPalette input") if e.is_displayed()), None))
        search.send_keys(name)
        wait(browser, lambda _: name in " ".join(texts(".lm-CommandPalette-item.lm-mod-active")))
        search.send_keys(Keys.ENTER)

    command("Restart Kernel and Run All Cells")
    wait(browser, lambda _: next((e for e in find(".jp-Dialog .jp-mod-accept") if e.is_displayed()), None)).click()
    for _ in range(5):  # on a busy machine the new kernel can be too late for the first request
        try: wait(browser, lambda _: set(prompts()) != {"[ ]:"}, 30)
        except TimeoutException: command("Run All Cells")

    wait(browser, lambda _: "2.4e-04" in outputs())
    wait(browser, lambda _: done() or find(".jp-Notebook .jp-mod-error, [data-mime-type='application/vnd.jupyter.error']"))
    assert "6.0e-08" not in outputs()
    assert done(), outputs()


# --- the rendered site

@pytest.fixture(scope="module")
def site():
    "Address of the rendered site."
    folder, *_ = rendered()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(params=[1280, 400], ids=["desk", "phone"])
def width(request, browser):
    resize(browser, request.param)
    return request.param


def sideways(browser) -> list:
    "By how many pixels the page can be scrolled sideways, and what sticks out; empty if it cannot."
    return browser.execute_script("""
        const width = document.documentElement.clientWidth, more = document.documentElement.scrollWidth - width
        const out = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > width + 1)
        return more > 0 ? [more, ...out.map(e => e.outerHTML.slice(0, 200))] : []""")


@pytest.mark.parametrize("body, sticks_out", [("<p>short</p>", False), ("<pre style='overflow-x: auto'>" + "x" * 999 + "</pre>", False), ("<pre>" + "x" * 999 + "</pre>", True)])
def test_the_check_for_sideways_scroll(browser, width, body, sticks_out):
    browser.get("data:text/html,<!doctype html><meta name=viewport content=width=device-width>" + body)
    assert bool(sideways(browser)) == sticks_out


@pytest.mark.parametrize("name", ["index", "10_quantile", "11_bounds", "learn/barrier", "paper/theorems", "31_explorer"])
def test_pages_do_not_scroll_sideways(site, browser, width, name):
    path = NBS / f"{name}.ipynb"
    browser.get(site + path.relative_to(NBS.parent).with_name(html_name(path)).as_posix())
    wait(browser, lambda b: b.execute_script("return document.readyState") == "complete")
    browser.set_script_timeout(PATIENCE)
    browser.execute_async_script("(window.MathJax?.startup?.promise ?? Promise.resolve()).then(arguments[0])")
    assert sideways(browser) == []


def follows_its_sliders(browser):
    "Move the first slider of a chart and move it back: the picture changes and is as before."
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    seen = [""]

    def picture(_=None):
        return browser.execute_script("return [...document.querySelectorAll('.vega-embed canvas, .vega-embed svg.marks')].map(e => e.toDataURL ? e.toDataURL() : e.outerHTML).join()")

    def settled(_):
        seen.append(picture())
        return seen[-1] and seen[-1] == seen[-2]
    slider = wait(browser, lambda b: next(iter(b.find_elements(By.CSS_SELECTOR, ".vega-bind input[type=range]")), None))
    wait(browser, settled)
    before = seen[-1]
    slider.send_keys(Keys.ARROW_LEFT * 5)
    wait(browser, lambda _: picture() != before)
    slider.send_keys(Keys.ARROW_RIGHT * 5)
    wait(browser, lambda _: picture() == before)


def test_the_explorer_follows_its_sliders(site, browser, width):
    browser.get(site + "nbs/explorer.html")
    follows_its_sliders(browser)
