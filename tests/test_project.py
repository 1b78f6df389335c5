"The notebooks run, say what they do, and agree with the README, the site and the package."
import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import readme
import yaml

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if not any(part.startswith((".", "_")) for part in p.relative_to(ROOT).parts))
MODULES = sorted(p.stem for p in (ROOT / "pgpost").glob("[!_]*.py"))
names = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: str(p.relative_to(ROOT / "nbs")))


def cells(path, kind): return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


@names
def test_notebook_runs(path):
    "Through nbdev's own test runner, each in a fresh interpreter."
    runner = Path(sys.executable).with_name("nbdev_test")
    result = subprocess.run([runner, "--path", path, "--do_print"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0 and f"Completed {path}" in result.stdout, result.stdout + result.stderr


@names
def test_notebook_is_stored_executed(path):
    "No cell failed, and what a cell prints is there."
    for cell in cells(path, "code"):
        assert not any(o["output_type"] == "error" for o in cell["outputs"])
        if re.search(r"^print\(", "".join(cell["source"]), re.M): assert any(o["output_type"] == "stream" for o in cell["outputs"])
    title = "".join(next(c for c in cells(path, "markdown"))["source"])
    assert re.match(r"# \S.*\n\n> \S", title), "a notebook opens with a title and one sentence"


@names
def test_site_filter_accepts_the_notebook(path):
    "nbdev's filter, which the site applies, re-runs the documentation cells and leaves no directive of its own behind."
    filtered = subprocess.run([Path(sys.executable).with_name("nbdev_filter")], input=path.read_text(encoding="utf-8"), cwd=path.parent,
                              capture_output=True, text=True)
    assert filtered.returncode == 0, filtered.stderr
    directives = {line for cell in json.loads(filtered.stdout)["cells"] for line in re.findall(r"^#\s*\|\s*([\w-]+)", "".join(cell["source"]), re.M)}
    assert directives <= {"echo", "output", "fig-alt", "fig-cap"}


@names
def test_links_lead_somewhere(path):
    for cell in cells(path, "markdown"):
        for link in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", "".join(cell["source"])):
            assert (path.parent / link).exists(), link


@names
def test_images_have_alt_text(path):
    for cell in cells(path, "markdown"):
        assert not re.search(r"!\[\s*\]\(", "".join(cell["source"]))
    for cell in cells(path, "code"):
        if any("image/png" in o.get("data", {}) for o in cell["outputs"]):
            options = yaml.safe_load("\n".join(re.findall(r"^#\| (fig-.*)", "".join(cell["source"]), re.M))) or {}  # as Quarto reads them
            assert all(len(options.get(name, "")) > 20 for name in ("fig-alt", "fig-cap")), "a cell with a figure needs `#| fig-alt:` and `#| fig-cap:`"


def test_every_notebook_is_on_the_site():
    listed = re.findall(r"^\s*- (nbs/\S+\.ipynb)$", (ROOT / "_quarto.yml").read_text(), re.M)
    expected = sorted(str(p.relative_to(ROOT)) for p in NOTEBOOKS)
    assert listed[0] == "nbs/index.ipynb"
    assert sorted(set(listed)) == expected and all(listed.count(name) == 2 for name in expected)  # rendered, and in the sidebar


def test_readme_is_the_index():
    assert (ROOT / "README.md").read_text(encoding="utf-8") == readme.readme(), "run `python tests/readme.py`"


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_documented(module):
    "Every exported class and function, and every public method, its own or its base class's, has a docstring."
    lib = importlib.import_module(f"pgpost.{module}")
    for name in lib.__all__:
        thing = getattr(lib, name)
        if inspect.isclass(thing):
            doc = thing.__dict__.get("__doc__") or ""
            assert doc and not doc.startswith(f"{name}("), f"{module}.{name} has no docstring of its own"
            for method, value in vars(thing).items():
                if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    assert inspect.getdoc(getattr(thing, method)), f"{module}.{name}.{method} has no docstring"
        elif inspect.isfunction(thing): assert inspect.getdoc(thing), f"{module}.{name} has no docstring"


@pytest.mark.parametrize("module", MODULES)
def test_modules_import_only_lower_floors(module):
    "A notebook's number is its floor."
    floor = {re.sub(r"^\d+_", "", p.stem): p.stem for p in NOTEBOOKS if p.stem[0].isdigit()}
    for node in ast.walk(ast.parse((ROOT / f"pgpost/{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            assert floor[node.module] < floor[module]
