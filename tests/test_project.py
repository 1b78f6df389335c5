"The notebooks run, say what they do, and agree with the README and the package. Covers all notebooks."
import ast
import importlib
import inspect
import json
import re

import nbformat
import pytest
import readme
from nbclient import NotebookClient
from pages import MODULES, NOTEBOOKS, ROOT, notebooks



def cells(path, kind): return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


VARYING = re.compile(r" *\b\d[\d.,]*(?= (?:seconds|s|ms)\b)|\b[0-9a-f]{32}\b")  # times, and the random names of charts


def shown(cell) -> dict:
    """What a cell shows: texts as they are, but for times, and of pictures that they are there. Warnings and progress bars do not count.

    Of a cell that begins with `#| varies` the kinds of output alone: it measures time, and says so in a table."""
    texts = {}
    for output in cell["outputs"]:
        new = {output["name"]: output["text"]} if output["output_type"] == "stream" else output["data"]
        for kind, text in new.items():
            known = kind.startswith(("text/", "stdout")) and not cell["source"].startswith("#| varies\n")
            texts[kind] = texts.get(kind, "") + (VARYING.sub("#", text) if known else "")
    texts.pop("stderr", None)
    return texts


@pytest.mark.slow
@notebooks
def test_notebook_runs(path):
    "From top to bottom in a fresh kernel, as in JupyterLab, and every cell shows what it shows in the stored notebook."
    notebook = nbformat.read(path, as_version=4)
    stored = [shown(cell) for cell in notebook.cells if cell.cell_type == "code"]
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": path.parent}}).execute()
    for cell, expected in zip([cell for cell in notebook.cells if cell.cell_type == "code"], stored):
        assert shown(cell) == expected, f"run {path.name} again, or put `#| varies` above what differs from run to run:\n{cell.source}"


@pytest.mark.parametrize("stored, now, same", [
    ("2 runs, 0.2 seconds", "2 runs, 10.1 seconds", True), ("2 runs, 0.2 seconds", "3 runs, 0.2 seconds", False), ("  7.9 ms", "326.6 ms", True),
    ("error 0.13", "error 0.14", False), (f"id {'0a' * 16}", f"id {'b1' * 16}", True)])
def test_stored_texts_are_compared_but_for_times(stored, now, same):
    def cell(text): return dict(source="run()", outputs=[dict(output_type="stream", name="stdout", text=text)])
    assert (shown(cell(stored)) == shown(cell(now))) == same
    assert shown(cell(stored) | dict(source="#| varies\nrun()")) == shown(cell(now) | dict(source="#| varies\nrun()"))


@notebooks
def test_notebook_is_stored_executed(path):
    "No cell failed, and what a cell prints is there."
    for cell in cells(path, "code"):
        assert not any(o["output_type"] == "error" for o in cell["outputs"])
        if re.search(r"^print\(", "".join(cell["source"]), re.M): assert any(o["output_type"] == "stream" for o in cell["outputs"])
    title = "".join(next(c for c in cells(path, "markdown"))["source"])
    assert re.match(r"# \S.*\n\n> \S", title), "a notebook opens with a title and one sentence"


def test_readme_is_the_index():
    assert (ROOT / "README.md").read_text(encoding="utf-8") == readme.readme(), "run `python tests/tools/export.py`"


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


def test_every_module_has_tests_that_say_so():
    "The first line of a test file names the notebooks that it covers: `grep -l 'Covers.*policy' tests/test_*.py` finds what checks a module."
    first = [path.read_text(encoding="utf-8").split("\n")[0] for path in sorted((ROOT / "tests").glob("test_*.py"))]
    covered = [re.search(r"\. Covers (.+)\.\"$", line)[1] for line in first]
    for module in MODULES: assert any(re.search(rf"\b{module}\b", names) for names in covered), f"no test file covers {module}"


def imported(source) -> set:
    "The modules of the package that a source imports, relatively or absolutely, at its top or in a function."
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import): names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "pgpost." * node.level + (node.module or "")
            names |= {base} | {f"{base.rstrip('.')}.{alias.name}" for alias in node.names}
    return {parts[1] for name in names if (parts := name.split("."))[0] == "pgpost" and parts[1:]} & set(MODULES)


@pytest.mark.parametrize("source", ["from .task import margin", "from . import task", "import pgpost.task as t", "from pgpost import task",
                                    "def f():\n    from pgpost.task import margin", "def f():\n    import numpy, pgpost.task"])
def test_imports_of_lower_floors_are_seen(source): assert imported(source) == {"task"}


@pytest.mark.parametrize("module", MODULES)
def test_modules_import_only_lower_floors(module):
    "A notebook's number is its floor."
    floor = {re.sub(r"^\d+[a-z]*_", "", p.stem): p.stem for p in NOTEBOOKS if p.stem[0].isdigit()}
    for name in imported((ROOT / f"pgpost/{module}.py").read_text(encoding="utf-8")): assert floor[name] < floor[module]
