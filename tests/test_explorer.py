"What the explorer draws, against the calculators: read back from the picture and from a browser. Covers explorer."
import json
import re
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from browser import resize
from pgpost.bounds import algorithm1_budget, algorithm2_budget, path_bound

alt, vlc = pytest.importorskip("altair"), pytest.importorskip("vl_convert")
from pgpost.explorer import _HEIGHT, _MOST_DECADES, _SLIDERS, _TOP, explorer  # noqa: E402

NOTEBOOK = Path(__file__).parent.parent / "nbs/31_explorer.ipynb"
DEFAULT = dict(k=16, N=16, log_alpha=-12, log_eps=-1, log_gamma=-1, log_m=6)
LEAST, MOST = ({name: slider[i] for name, slider in _SLIDERS.items()} for i in (1, 2))
UNIFORM = DEFAULT | dict(k=7, N=3, log_alpha=-20.3, log_m=2.8)


def random_setting(seed):
    "A position that the sliders can take."
    rng = np.random.default_rng(seed)
    return {name: float(np.round(rng.integers(np.rint((most - least) / step) + 1) * step + least, 6)) for name, (_, least, most, step) in _SLIDERS.items()}


SETTINGS = dict(default=DEFAULT, least=LEAST, most=MOST, uniform=UNIFORM) | {f"seed {seed}": random_setting(seed) for seed in range(6)}
settings = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


def budget(reward, k, N, log_alpha, log_eps, log_gamma, **_):
    "From the calculators; the likelihood of a response is spread evenly over its tokens."
    algorithm, parts = dict(outcome=(algorithm1_budget, 1), process=(algorithm2_budget, N))[reward]
    return algorithm(10**log_eps, 10**(log_alpha / parts), int(k), int(N), 10**log_gamma)


def terms(reward, setting):
    "The three terms of a budget."
    k, N, eps = setting["k"], setting["N"], 10**setting["log_eps"]
    found, L = budget(reward, **setting), N if reward == "process" else 1
    B = path_bound(found.T, k, N, 10**setting["log_gamma"]) / (1 - np.exp(-1))
    m0 = 2 * min(10**(-setting["log_alpha"] / N), k) if reward == "process" else found.m
    return dict(contexts=found.T, search=L * m0 * B, leftovers=L * found.m * eps * found.T)


def moved(setting):
    "The chart with its sliders at a setting: the very values that a browser would give."
    spec = explorer().to_dict()
    for param in spec["params"]: param |= {"value": setting[param["name"]]} if param["name"] in setting else {}
    return spec


def svg(setting, **kwargs): return vlc.vegalite_to_svg(moved(setting), **kwargs)
def texts(picture): return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", picture)]
def number(text): return float(text.replace(",", "").replace("−", "-"))
def marks(picture, role): return re.findall(rf'<path aria-label="([^"]*)"[^>]*aria-roledescription="{role}" ([^>]*)>', picture)
def last(label): return label.rsplit(" ", 1)[1]


@settings
def test_picture_shows_the_budgets(setting):
    "Contexts to the last digit, queries at the points to nine digits, the rest as printed."
    picture, draws = svg(setting), np.rint(10**setting["log_m"])
    written = texts(picture)
    points = {last(label): number(re.search(r"queries: ([\d.]+)", label)[1]) for label, _ in marks(picture, "point")}
    for reward in "outcome", "process":
        expected, parts = budget(reward, **setting), terms(reward, setting)
        assert any(text.startswith(f"T = {expected.T:,} contexts") for text in written)
        assert 10**points[reward] == pytest.approx(expected.queries, rel=1e-9)
        queries, term, share = next(filter(None, (re.fullmatch(rf"{reward}: (\S+) queries, largest: (\w+), (\d+)%", text) for text in written))).groups()
        assert number(queries) == pytest.approx(expected.queries, rel=6e-3)
        assert parts[term] == pytest.approx(max(parts.values()), rel=1e-6)
        assert int(share) == pytest.approx(100 * parts[term] / expected.queries, abs=.6)
        needs, reach = next(filter(None, (re.fullmatch(rf"{reward} needs (\S+): α is (within|out of) reach", text) for text in written))).groups()
        assert number(needs) == pytest.approx(expected.m, rel=6e-3)
        assert reach == ("within" if expected.m <= draws else "out of")
    # three terms of outcome, then three of process rewards, in the order in which they are drawn
    numbers = [number(text) for text in written[written.index("contexts") - 6:written.index("contexts")]]
    assert numbers == [pytest.approx(value, rel=6e-3, abs=.5) for reward in ("outcome", "process") for value in terms(reward, setting).values()]


@settings
def test_curves_and_reach(setting):
    "Both curves over the whole axis, to a hundredth of a pixel; the broad line covers the alphas for which m draws are enough."
    picture, draws, log_alpha = svg(setting), np.rint(10**setting["log_m"]), np.linspace(-30, 0, 301)
    paths = [(last(label), np.array(re.findall(r"[ML]([\d.-]+),([\d.-]+)", rest), float)) for label, rest in marks(picture, "line mark")]
    assert [reward for reward, _ in paths[:2]] == ["outcome", "process"]
    pixel = _MOST_DECADES / (_HEIGHT - _TOP)
    broad = {reward: len(path) for reward, path in paths[2:]}
    for reward, path in paths[:2]:
        expected = [budget(reward, **setting | dict(log_alpha=a)) for a in log_alpha]
        np.testing.assert_array_less(abs((_HEIGHT - path[:, 1]) * pixel - np.log10([b.queries for b in expected])), .01 * pixel)
        assert broad.get(reward, 0) == sum(b.m <= draws for b in expected)


@settings
def test_what_m_draws_reach(setting):
    "Enough for the smallest alpha that is named, too few for a smaller one; and what they cost at most."
    draws, N, eps = np.rint(10**setting["log_m"]), setting["N"], 10**setting["log_eps"]
    written = [text for text in texts(svg(setting)) if text.startswith("these reach")]
    for reward, text in zip(("outcome", "process"), written, strict=True):
        def m(log_alpha): return budget(reward, **setting | dict(log_alpha=log_alpha)).m
        reach, spent = re.fullmatch(r"these reach (.+); at most (\S+) queries", text).groups()
        if reach == "no α at all": assert draws < m(0)
        elif reach == "every α": assert m(-N * np.log10(setting["k"]) - 1e-9) <= draws + 1
        else:
            smallest = number(reach.removeprefix("α ≥ 10^"))
            assert m(min(smallest + .06, 0)) <= draws < m(smallest - .06)
        expected, parts, L = budget(reward, **setting), terms(reward, setting), N if reward == "process" else 1
        most = expected.T + parts["search"] + L * draws * eps * expected.T if expected.m <= draws else expected.T * (1 + L * draws)
        assert number(spent) == pytest.approx(most, rel=6e-3)


def test_start_values_are_those_of_the_sliders():
    "In natural units, refused outside of the sliders, whose ends are told in the same unit."
    chart = explorer(k=3, N=5, alpha=1e-3, eps=.01, gamma=.1, m=100).to_dict()
    values = {param["name"]: param["value"] for param in chart["params"] if "bind" in param}
    assert values == pytest.approx(dict(k=3, N=5, log_alpha=-3, log_eps=-2, log_gamma=-1, log_m=2))
    for values in dict(alpha=1e-30, eps=1e-4, gamma=1e-3, m=1), dict(alpha=1, eps=.501, gamma=1, m=1e15): explorer(**values)
    for name, wrong, message in [
            ("k", 1, "k must be at least 2, got 1"), ("k", 65, "k must lie in [2, 64], got 65"), ("k", 2.5, "k must be an integer, got 2.5"),
            ("N", 0, "N must be at least 1, got 0"), ("N", 257, "N must lie in [1, 256], got 257"), ("N", 3.7, "N must be an integer, got 3.7"),
            ("alpha", 1e-31, "alpha must lie in [1e-30, 1], got 1e-31"), ("alpha", 0, "alpha must lie in [1e-30, 1], got 0"),
            ("eps", .9, "eps must lie in [0.0001, 0.501], got 0.9"), ("eps", float("nan"), "eps must lie in [0.0001, 0.501], got nan"),
            ("gamma", 2, "gamma must lie in [0.001, 1], got 2"), ("m", .5, "m must lie in [1, 1e+15], got 0.5")]:
        with pytest.raises(ValueError, match=re.escape(message)): explorer(**{name: wrong})


@pytest.mark.slow
def test_older_vega_lite_draws_the_same():
    "JupyterLab brings Vega-Lite 5."
    assert texts(svg(DEFAULT, vl_version="5.8")) == texts(svg(DEFAULT))


def test_without_altair_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ImportError, match=r"pip install 'pgpost\[explorer\]'"): explorer()


def outputs(mime):
    "What the notebook stores under a MIME type."
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [output["data"][mime] for cell in cells for output in cell.get("outputs", []) if mime in output.get("data", {})]


def test_notebook_stores_the_chart_of_the_code():
    "For JupyterLab as data, with a picture beside it for everyone else."
    [spec], pictures = outputs("application/vnd.vegalite.v5+json"), outputs("image/png")
    now = explorer().properties(width=560).to_dict()
    assert spec | {"$schema": now["$schema"]} == now  # the address of the schema is Altair's
    assert len(pictures) == 6 and len(set(pictures)) == 6  # four explorers, and two of their parts


def stored(page):
    "The output that the notebook stores for the site, with scripts from a folder instead of the CDN."
    html = "".join(line for output in outputs("text/html") for line in output)
    paths = re.findall(r"https://cdn.jsdelivr.net/npm/([^?\"]+)\?noext", html)
    assert [path.split("@")[0] for path in paths] == ["vega", "vega-lib", "vega-lite", "vega-embed"]
    for path in paths: (page.parent / path).write_text(vlc.javascript_bundle() if "embed" in path else "", encoding="utf-8")
    page.write_text(f"<!DOCTYPE html><meta charset=utf-8>{html.replace('https://cdn.jsdelivr.net/npm', '.')}", encoding="utf-8")


def wait(browser, condition):
    "Until the condition holds; its limit is far longer than anything takes."
    from selenium.webdriver.support.wait import WebDriverWait
    return WebDriverWait(browser, 300).until(condition)


def inline(page): explorer().save(page, inline=True)


@pytest.mark.slow
@pytest.mark.parametrize("write", [inline, stored])
@pytest.mark.parametrize("width", [1280, 400])
def test_sliders_in_a_browser(browser, tmp_path, write, width):
    "With the keys of a real slider: the curve and the numbers follow, and nothing is wider than the page."
    from selenium.webdriver.common.keys import Keys
    page = tmp_path / "explorer.html"
    write(page)
    resize(browser, width)
    browser.get(page.as_uri())

    def state():
        return browser.execute_script("""return [[...document.querySelectorAll("svg.marks text")].map(t => t.textContent).join("\\n"),
            document.querySelector("svg.marks path[aria-roledescription='line mark']").getAttribute("d")]""")

    wait(browser, lambda browser: browser.find_elements("css selector", "input[name=log_m]"))
    setting, (words, curve) = dict(DEFAULT), state()
    assert f"T = {budget('outcome', **setting).T:,} contexts" in words
    for name in "log_gamma", "k", "log_alpha":
        browser.find_element("name", name).send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
        setting[name] -= 2 * _SLIDERS[name][3]
        outcome = budget("outcome", **setting)
        wait(browser, lambda browser: f"T = {outcome.T:,} contexts" in state()[0])
    words, new_curve = state()
    assert new_curve != curve
    assert number(re.search(r"outcome: (\S+) queries", words)[1]) == pytest.approx(outcome.queries, rel=6e-3)
    inner, scroll, drawn, texts_end, inputs_end = browser.execute_script("""
        const box = selector => [...document.querySelectorAll(selector)].map(e => e.getBoundingClientRect())
        const end = selector => Math.max(...box(selector).map(b => b.right))
        return [innerWidth, document.documentElement.scrollWidth, box("svg.marks")[0].width,
                end("svg.marks text") - end("svg.marks"), end("input, label")]""")
    assert inner == width and scroll <= inner and inputs_end <= inner
    assert drawn > .8 * inner and texts_end <= 0


@pytest.mark.slow
def test_a_dark_theme_changes_nothing(browser, tmp_path):
    "JupyterLab asks for Vega's dark theme when its own is dark; the chart stays black on white."
    pictures = []
    for theme in "default", "dark":
        page = tmp_path / f"{theme}.html"
        explorer().save(page, inline=True, embed_options=dict(theme=theme))
        browser.get(page.as_uri())
        [picture] = wait(browser, lambda browser: browser.find_elements("css selector", "svg.marks"))
        pictures.append(picture.get_attribute("outerHTML"))
    light, dark = pictures
    assert "likelihood quantile" in light and dark == light
