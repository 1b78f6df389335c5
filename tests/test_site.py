"The site: what goes into it fits together, and, where Quarto is installed, what comes out of it does. Covers reference, and all notebooks as pages."
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from pages import MODULES, NBS, NOTEBOOKS, ROOT, Page, anchors, complaints, front, html_name, notebooks, options, page, problems, prose, rendered, slug, symbols
from processes import run

CONFIG = yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8"))
of_one_rendering = pytest.mark.xdist_group("site")


@pytest.mark.parametrize("heading, anchor", [
    ("Figure 1: what outcome rewards cannot reach", "figure-1-what-outcome-rewards-cannot-reach"),
    ("LinearPolicy.log_likelihood", "linearpolicy.log_likelihood"), ("`pass@k` from counts", "passk-from-counts"), ("3. Steps", "steps"),
    ("See [the page](x.ipynb)", "see-the-page"), ("2026", "section")])
def test_anchors_are_those_of_pandoc(heading, anchor): assert slug(heading) == anchor


def listed(contents):
    for item in contents:
        if isinstance(item, str): yield item
        else: yield from listed(item["contents"])


def test_every_notebook_is_on_the_site_once_and_in_reading_order():
    rendered, sidebar = CONFIG["project"]["render"], list(listed(CONFIG["website"]["sidebar"]["contents"]))
    assert rendered[0] == "nbs/index.ipynb" and rendered == sidebar
    assert sorted(rendered) == [str(p.relative_to(ROOT)) for p in NOTEBOOKS]
    reference = CONFIG["website"]["sidebar"]["contents"][-1]
    assert reference["section"] == "Reference" and reference["contents"] == sorted(reference["contents"])
    assert {re.sub(r"^nbs/\d+[a-z]*_|\.ipynb$", "", name) for name in reference["contents"]} >= set(MODULES) - {"explorer"}


def test_files_of_the_site_are_there():
    files = [CONFIG["website"]["favicon"], CONFIG["website"]["image"].lstrip("/"), CONFIG["format"]["html"]["css"], *CONFIG["project"]["resources"]]
    assert all((ROOT / name).is_file() for name in files)
    assert "%" not in CONFIG["website"]["image-alt"], NO_PERCENT


@notebooks
def test_page_has_title_description_and_name(path):
    "Quarto takes the title from the first heading, and the description from the head of the notebook."
    head, title = page(path)[:2]
    assert head["cell_type"] == "raw" and title["cell_type"] == "markdown" and re.match(r"# \S.*\n\n> \S", title["source"])
    description = front(path).get("description", "")
    assert 15 <= len(description) <= 200 and "\n" not in description, "a sentence `description:` belongs into the raw cell at the top"
    if path.stem[0].isdigit(): assert html_name(path) == re.sub(r"^\d+[a-z]*_", "", path.stem) + ".html"  # the page to which nbdev's links lead


def test_page_names_are_unique():
    names = [(p.parent, html_name(p)) for p in NOTEBOOKS]
    assert len(set(names)) == len(names)


def test_notebooks_are_clean(tmp_path):
    "As nbdev_clean leaves them."
    shutil.copytree(NBS, tmp_path / "nbs", ignore=shutil.ignore_patterns(".*"))
    shutil.copy(ROOT / "settings.ini", tmp_path)
    assert run(Path(sys.executable).with_name("nbdev_clean"), cwd=tmp_path).returncode == 0
    for path in NOTEBOOKS: assert (tmp_path / path.relative_to(ROOT)).read_bytes() == path.read_bytes(), f"run nbdev_clean: {path.name}"


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.parent != NBS and p.stem != "notation"], ids=lambda p: p.stem)
def test_parameters_stand_in_one_cell_near_the_top(path):
    code = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    marked = [i for i, cell in enumerate(code) if "".join(cell["source"]).startswith("# Parameters to play with\n")]
    assert len(marked) == 1 and marked[0] < 4


@notebooks
def test_filter_leaves_no_directive_behind(path):
    for cell in page(path): assert options(cell).keys() <= {"echo", "output", "fig-alt", "fig-cap"}


@notebooks
def test_no_warning_is_stored(path):
    for cell in page(path): assert not any(o.get("name") == "stderr" for o in cell.get("outputs", []))


@notebooks
def test_no_link_stands_in_a_link(path):
    "nbdev makes a link of a public name in backticks, also in the text of another link."
    assert not re.findall(r"\[[^\]\n]*\[`[^`]*`\]\([^)]*\)[^\]\n]*\]\([^)]*\)", prose(path))


@notebooks
def test_links_lead_somewhere(path):
    "Links between notebooks and within them, links to files, and the links that nbdev makes of names in backticks."
    pages = {f"/nbs/{html_name(p)}": p for p in MODULES.values()}
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", re.sub(r"`[^`\n]*`(?!\])", "", prose(path))):
        target, _, anchor = link.partition("#")
        other = path if not target else pages[target] if target.startswith("/") else (path.parent / target).resolve()
        assert other.exists(), link
        if anchor: assert anchor in anchors(other), f"{link}: there are {anchors(other)}"


NO_PERCENT = "Quarto decodes alternative texts like addresses and warns of a % in them: write percent"


@notebooks
def test_images_have_alt_text(path):
    for cell in page(path):
        if cell["cell_type"] == "markdown":
            assert not re.search(r"!\[\s*\]\(", cell["source"])
            assert not any("%" in alt for alt in re.findall(r"!\[([^\]]*)\]\(", cell["source"])), NO_PERCENT
            assert not re.search(r"(\A|\n\n)!\[[^\]]*\]\([^)]*\)\s*(\n\n|\Z)", cell["source"]), \
                "alone in its paragraph an image becomes a figure that shows the alt text as its caption: put <!-- --> behind it"
        elif any("image/png" in o.get("data", {}) for o in cell.get("outputs", [])):
            assert all(len(options(cell).get(name, "")) > 20 for name in ("fig-alt", "fig-cap")), "a cell with a figure needs `#| fig-alt:` and `#| fig-cap:`"
            assert "%" not in options(cell)["fig-alt"], NO_PERCENT


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_on_its_page(module):
    "With its source, a link to the line where it is defined, and the anchor to which nbdev's links lead."
    path = MODULES[module]
    lines = (ROOT / f"pgpost/{module}.py").read_text(encoding="utf-8").splitlines()
    entries = dict(re.findall(rf"^###+ (\S+)\n\n\[source\]\(\S+/pgpost/{module}\.py#L(\d+)\)", prose(path), re.M))
    for name in symbols(module):
        assert name in entries and slug(name) in anchors(path), name
        assert name.split(".")[-1] in lines[int(entries[name]) - 1]


def test_names_link_to_their_entries():
    "The index of names that other packages link by knows only anchors that are there; what is private has none."
    from pgpost._modidx import d
    pages = {html_name(p): p for p in MODULES.values()}
    for module, names in d["syms"].items():
        public = {f"{module}.{name}" for name in symbols(module.split(".")[1])} & names.keys()
        assert public
        for name in public:
            target, _, anchor = names[name][0].partition("#")
            assert anchor in anchors(pages[target]), name
        for name in names.keys() - public:
            target, _, anchor = names[name][0].partition("#")
            assert anchor not in anchors(pages[target]), name
            assert not re.search(rf"^#+ `?{re.escape(name.removeprefix(f'{module}.'))}`?$", prose(pages[target]), re.M), name


def test_the_reference_names_its_extra():
    code = "import sys; sys.modules['nbdev'] = None; import pgpost.reference"
    result = run(sys.executable, "-c", code)
    assert result.returncode == 1 and result.stderr.endswith("ModuleNotFoundError: the reference pages need nbdev: pip install 'pgpost[dev]'\n")


# --- the rendered site


GOOD = {
    "index.html": '<meta http-equiv="refresh" content="0; url=nbs/index.html"><title>Redirect</title>',
    "nbs/index.html": '<title>Home</title><meta name="description" content="d"><a href="task.html#task.margin">x</a><a href="https://x.y/z">x</a>'
                      '<img src="a.png" alt="A curve"><link rel="stylesheet" href="../site_libs/s.css"><a href="">toggle</a><a href="../">up</a>',
    "nbs/task.html": '<title>Task</title><meta name="description" content="d"><section id="task.margin"><a href="#task.margin">x</a></section>',
    "nbs/a.png": "", "site_libs/s.css": ""}


@pytest.mark.parametrize("name, old, new, problem", [
    ("nbs/index.html", "task.html", "tusk.html", "nbs/index.html: broken link: tusk.html#task.margin"),
    ("nbs/index.html", "#task.margin", "#task.width", "nbs/index.html: broken anchor: task.html#task.width"),
    ("nbs/index.html", "s.css", "t.css", "nbs/index.html: broken link: ../site_libs/t.css"),
    ("nbs/index.html", 'alt="A curve"', 'alt=""', "nbs/index.html: no alt text: a.png"),
    ("nbs/index.html", "a.png", "b.png", "nbs/index.html: broken link: b.png"),
    ("nbs/index.html", '"task.html', '"/nbs/task.html', "nbs/index.html: absolute link: /nbs/task.html#task.margin"),
    ("nbs/task.html", '"#task.margin"', '"#elsewhere"', "nbs/task.html: broken anchor: #elsewhere"),
    ("nbs/task.html", "<title>Task</title>", "<title></title>", "nbs/task.html: no title"),
    ("nbs/task.html", 'content="d"', 'content=""', "nbs/task.html: no description"),
    ("index.html", "nbs/index.html", "nbs/home.html", "index.html: broken link: nbs/home.html")])
def test_the_check_of_pages_finds(tmp_path, name, old, new, problem):
    for file, text in GOOD.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert problems(tmp_path) == []
    assert GOOD[name].count(old) >= 1
    (tmp_path / name).write_text(GOOD[name].replace(old, new), encoding="utf-8")
    assert problems(tmp_path) == [problem]


def test_the_check_of_quarto_finds_warnings():
    good = "[ 1/27] nbs/index.ipynb\npandoc \n  to: html\nOutput created: _site/index.html\n"
    assert complaints(good) == []
    for line in ("\x1b[33mWARNING: Unable to resolve link target: nbs/x.ipynb\x1b[39m", "[WARNING] Citeproc: citation a not found", "WARN: x", "ERROR: Validation of YAML failed",
                 "processors.py:233: UserWarning: Found cells containing imports"):
        assert len(complaints(good + line + "\n")) == 1


@of_one_rendering
def test_quarto_renders_without_warnings():
    _, log, code, _ = rendered()
    assert code == 0 and complaints(log) == [], log


@of_one_rendering
def test_rendered_pages_link_to_what_is_there():
    site, *_ = rendered()
    assert problems(site) == []
    for path in NOTEBOOKS: assert (site / path.relative_to(ROOT).with_name(html_name(path))).is_file()


@of_one_rendering
@pytest.mark.parametrize("module", MODULES)
def test_rendered_page_has_every_public_name(module):
    site, *_ = rendered()
    assert {slug(name) for name in symbols(module)} <= Page(site / "nbs" / html_name(MODULES[module])).ids
