"Readers change the parameters of the pages: within the range that stands beside a parameter nothing fails. Covers all notebooks."
# A range is the end of a parameter's comment, `T = 4000  # updates; 10 .. 100_000`. In a list it holds for each value.
import ast
import re

import nbformat
import pytest
from nbclient import NotebookClient
from pages import NBS, NOTEBOOKS

HEAD = "# Parameters to play with\n"
PARAMETER = re.compile(r"(\w+) = (.+?)  # .*; (\S+) \.\. (\S+)")


def cell_of(notebook): return next((c for c in notebook.cells if c.source.startswith(HEAD)), None)


PAGES = {str(p.relative_to(NBS)): p for p in NOTEBOOKS if p.parent != NBS and cell_of(nbformat.read(p, as_version=4))}


def ranges(source) -> dict:
    "For each parameter with a range its value, the least and the largest."
    return {m[1]: tuple(map(ast.literal_eval, m.groups()[1:])) for line in source.split("\n") if (m := PARAMETER.fullmatch(line))}


def changed(source) -> str:
    "The cell with every parameter at its least; of several values the first."
    lines = source.split("\n")
    for i, line in enumerate(lines):
        if m := PARAMETER.fullmatch(line):
            value, least = ast.literal_eval(m[2]), ast.literal_eval(m[3])
            new = type(value)([least, *value[1:]]) if isinstance(value, (list, tuple)) else least
            lines[i] = f"{m[1]} = {new!r}"
    return "\n".join(lines)


def test_the_least_values_of_a_small_cell():
    source = "# Parameters to play with\nT = 40  # updates; 1 .. 1_000\nN = [4, 5]  # tokens; 2 .. 8\na, b = 1, 2  # as they are\nquick = True  # or not"
    assert ranges(source) == {"T": (40, 1, 1000), "N": ([4, 5], 2, 8)}
    assert changed(source) == "# Parameters to play with\nT = 1\nN = [2, 5]\na, b = 1, 2  # as they are\nquick = True  # or not"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_what_its_parameters_may_be(name):
    found = ranges(cell_of(nbformat.read(PAGES[name], as_version=4)).source)
    assert found or name in ("paper/theorems.ipynb", "paper/abstract.ipynb")  # whose parameters are names
    for value, least, largest in found.values():
        for v in value if isinstance(value, (list, tuple)) else [value]: assert least <= v <= largest


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_with_its_parameters_at_their_least(name):
    notebook = nbformat.read(PAGES[name], as_version=4)
    cell = cell_of(notebook)
    cell.source = changed(cell.source)
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": PAGES[name].parent}}).execute()
