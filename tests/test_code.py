"What the code of a run is: the same in every version of Python, whatever the layout, and all that is imported. What follows an edit is in test_sweep. Covers code."
import ast
import hashlib
import importlib
import random
import sys
import time
from pathlib import Path

import pgpost
import pytest
from pgpost.code import CodeError, code_of, normal_form, _sources
from pgpost.theorem import measure

SOURCE = """
from __future__ import annotations
@d(1, *a, k=.1, **b)
async def f(x: int, /, y=None, *z, w: "t" = ..., **v) -> -1j:
    async with a as b, c: yield (await x)[1:2, ..., None]
    global g, h
    match x:
        case {"a": [1, *_], **rest} | P(q=None) if y: return f"{x!r:>{y}} {{}} \\n" "b" if a else rb'x'[0] or (lambda *, k=0: {*a, *b})
    try: del a.b, c[d]
    except* E as e: raise e from None
    else: x: int = 1_000 if (n := 10**20) else 1e400
    finally: assert a < b <= c is not d, "text"
    return [i async for i in a if b if c], {k: v for k, v in {**a}.items()}, u"u", True, a @ b
"""


def test_the_normal_form_is_the_same_in_every_version_of_python():
    "Of a source with every kind of syntax that all of them know."
    assert hashlib.sha256(normal_form(ast.parse(SOURCE)).encode()).hexdigest()[:12] == "2075249597ea"


@pytest.mark.parametrize("path", sorted(Path(pgpost.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_layout_makes_no_difference_and_everything_else_does(path):
    "The package's own modules: written anew by Python, they are the same; with any one name, attribute, number, text or operator changed, they are not."
    tree = ast.parse(path.read_text())
    form = normal_form(tree)
    assert normal_form(ast.parse(ast.unparse(tree))) == form
    idle = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    nodes = [node for node in ast.walk(tree) if id(node) not in idle]
    for node in random.Random(0).sample(nodes, min(25, len(nodes))):
        for name, value in ast.iter_fields(node):
            if isinstance(value, (str, int, float)) or isinstance(value, (ast.operator, ast.cmpop, ast.unaryop)):
                setattr(node, name, ast.Pow() if isinstance(value, ast.AST) else f"{value}x")
                assert (normal_form(tree) != form) == (not isinstance(value, ast.Pow)), ast.dump(node)
                setattr(node, name, value)


def test_hashing_is_fast():
    "A second look at the code of the claims takes milliseconds: sources are parsed once."
    code_of(measure)
    start = time.perf_counter()
    for _ in range(10): code_of(measure)
    assert (time.perf_counter() - start) / 10 < .05


def test_packages_and_what_lies_beside_a_module(tmp_path, monkeypatch):
    "Of a package: its own modules, with the packages that they are in, and names that are no modules. Of a lone module: its neighbors. No installed ones."
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in {"p/__init__": "", "p/a": "import numpy, q\nfrom . import b, none\nfrom .sub import c", "p/b": "", "p/sub/__init__": "from .. import d", "p/sub/c": "from .d import *",
                       "p/sub/d": "import importlib\nimportlib.import_module('p.e')", "p/d": "x = [", "p/e": "", "p/f": "", "q": "", "lone": "import q, p.b, os, numpy, pgpost.task"}.items():
        (tmp_path / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    with pytest.raises(CodeError, match="p.d has no source to read: '\\[' was never closed"): _sources("p.a")
    (tmp_path / "p/d.py").write_text("")
    importlib.invalidate_caches()
    assert _sources("p.a").keys() == {"p", "p.a", "p.b", "p.sub", "p.sub.c", "p.d", "p.sub.d", "p.e"}
    assert {name for name in _sources("lone") if not name.startswith("pgpost")} == {"lone", "q", "p", "p.b"} and "pgpost.policy" in _sources("lone")
    assert _sources("threadpoolctl").keys() == {"threadpoolctl"}, "a lone module that is installed has no neighbors"
    assert not {"p", "q", "lone"} & sys.modules.keys(), "nothing is imported for it"
    with pytest.raises(CodeError, match="sys has no source to read"): _sources("sys")
