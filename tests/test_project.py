"The notebooks run, say what they do, and agree with the README and the package."
import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import nbformat
import pytest
import readme
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if not any(part.startswith((".", "_")) for part in p.relative_to(ROOT).parts))
MODULES = sorted(p.stem for p in (ROOT / "pgpost").glob("[!_]*.py"))
names = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: str(p.relative_to(ROOT / "nbs")))


def cells(path, kind): return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


def shown(cell) -> set:
    "The kinds of output of a cell. Warnings and progress bars do not count."
    kinds = {kind for o in cell["outputs"] for kind in o.get("data", {})} | {o["name"] for o in cell["outputs"] if o["output_type"] == "stream"}
    return kinds - {"stderr"}


@pytest.mark.slow
@names
def test_notebook_runs(path):
    "From top to bottom in a fresh kernel, as in JupyterLab, and every cell shows what it shows in the stored notebook."
    notebook = nbformat.read(path, as_version=4)
    stored = [shown(cell) for cell in notebook.cells if cell.cell_type == "code"]
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": path.parent}}).execute()
    assert [shown(cell) for cell in notebook.cells if cell.cell_type == "code"] == stored


@names
def test_notebook_is_stored_executed(path):
    "No cell failed, and what a cell prints is there."
    for cell in cells(path, "code"):
        assert not any(o["output_type"] == "error" for o in cell["outputs"])
        if re.search(r"^print\(", "".join(cell["source"]), re.M): assert any(o["output_type"] == "stream" for o in cell["outputs"])
    title = "".join(next(c for c in cells(path, "markdown"))["source"])
    assert re.match(r"# \S.*\n\n> \S", title), "a notebook opens with a title and one sentence"


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
