"Sweeps: bit-exact tables wherever they are made, a store that survives kills, and no run computed twice. Covers sweep, cli."
import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import sys
import tempfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, PIPE, TimeoutExpired

import numpy as np
import pandas as pd
import pgpost as pgpost_package
import pytest
import sweep_runs
from hypothesis import given, settings, strategies as st
from pgpost.code import CodeError
from pgpost.sweep import Store, StoreError, SweepFailed, cluster, origin_of, process_pool, product, read_sweep, run_sweep, seeds, zipped, _runs
from processes import alive, run, start

ORIGIN = dict(function="f", version="1", code="c")
PGPOST = Path(sys.executable).with_name("pgpost")
GRID = product(steps=[5, 8], seed=seeds(30))
HELPERS = Path(__file__).parent / "helpers"
of_one_cluster = pytest.mark.xdist_group("dask")
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs Dask: pip install 'pgpost[cluster]'")
plain = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=5)


def bits(value): return struct.pack("d", value)


# grids

@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**64))
def test_more_seeds_never_change_earlier_ones(n, more, entropy):
    assert seeds(n + more, entropy)[:n] == seeds(n, entropy)


def test_seeds_are_those_of_numpy():
    "Child number i is what NumPy defines it to be, and its bits are uniform: the mean of 10,000 is within 4 standard errors (false alarm 6e-5)."
    child = np.random.SeedSequence(7, spawn_key=(3,)).generate_state(1, np.uint64)[0]
    assert seeds(4, entropy=7)[3] == int(child) >> 11
    assert abs(np.mean(seeds(10_000)) / 2**53 - .5) < 4 / np.sqrt(12 * 10_000)


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(), max_size=3)), st.lists(st.integers(), max_size=3))
def test_product_and_zipped_are_those_of_python(values, e):
    expected = [dict(zip([*values, "e"], row)) for row in itertools.product(*values.values(), e)]
    assert product(**values, e=e) == product(product(**values), e=e) == expected
    assert zipped(e=e, f=e[::-1]) == [dict(e=a, f=b) for a, b in zip(e, e[::-1])]


# plain data

@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_floats_keep_every_bit(values):
    "Through a setting, a run, the store and the table. All NaNs are one."
    table = run_sweep(sweep_runs.echo, product(x=values), progress=False)
    once = {repr(x): x for x in values}.values()  # equal settings are one
    canonical = [bits(float("nan") if x != x else x) for x in once]
    assert [bits(float(x)) for x in table.x] == [bits(float(x)) for x in table.y] == canonical


@settings(deadline=None, max_examples=200)
@given(plain)
def test_settings_are_told_apart_exactly_if_their_json_differs(value):
    with Store() as store:
        keys, _ = store.fill(sweep_runs.echo, [dict(x=value), dict(x=value), dict(x=[value])], progress=False)
        assert len(keys) == 2
        for x, (_, _, _, setting, rows, *_) in zip((value, [value]), store._stored(keys)):
            assert json.dumps(setting) == json.dumps(dict(x=x)) and rows == json.dumps([dict(y=x)])


def test_numpy_values_are_settings():
    setting = dict(a=np.int16(3), b=np.float32(.5), c=np.bool_(True), d=(np.float64(.1), 2), e=np.str_("x"))
    assert _runs(ORIGIN, [setting]) == _runs(ORIGIN, [dict(a=3, b=.5, c=True, d=[.1, 2], e="x")])


# where runs happen

@pytest.fixture(scope="module")
def expected(): return run_sweep(sweep_runs.walk, GRID, progress=False).to_csv()


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'pgpost[cluster]'")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as local: yield local


def contents(path):
    with sqlite3.connect(path) as db: return db.execute("select * from runs order by id").fetchall()


@pytest.fixture(params=["serial", "threads", "processes", pytest.param("dask", marks=[needs_dask, of_one_cluster])])
def executor(request):
    if request.param == "serial": yield None
    else:
        make = {"threads": lambda: ThreadPoolExecutor(3), "processes": lambda: process_pool(2),
                "dask": lambda: cluster(request.getfixturevalue("dask").scheduler_address)}[request.param]
        with make() as executor: yield executor


def test_tables_are_byte_equal_wherever_they_are_made(executor, expected, tmp_path):
    "The table, and everything that the store holds of it; in the order of the settings, also if they come in another order later."
    assert run_sweep(sweep_runs.walk, GRID, tmp_path / "a.db", executor, progress=False).to_csv() == expected
    run_sweep(sweep_runs.walk, GRID, tmp_path / "b.db", progress=False)
    assert contents(tmp_path / "a.db") == contents(tmp_path / "b.db")
    with Store(tmp_path / "a.db") as store: assert store.to_dataframe().drop(columns=["function", "version", "code"]).to_csv() == expected
    backwards = run_sweep(sweep_runs.walk, GRID[::-1], tmp_path / "a.db", executor, progress=False)
    assert backwards.seed[::2].tolist() == [s["seed"] for s in GRID[::-1]]


def test_failed_runs_are_kept_with_their_error(executor, tmp_path):
    grid = product(steps=[5, 13, 8], seed=[1])
    for redo in None, None, "failed":
        with pytest.raises(SweepFailed, match="1 runs failed, the first at .*'steps': 13.* with ArithmeticError: no luck") as failed:
            run_sweep(sweep_runs.walk, grid, tmp_path / "a.db", executor, progress=False, redo=redo)
        assert failed.value.table.steps.tolist() == [5, 5, 8, 8] and len(failed.value.failures) == 1
    with Store(tmp_path / "a.db") as store: assert 'raise ArithmeticError("no luck")' in store.failures().traceback[0]


# the store

def test_a_rerun_computes_what_is_missing(tmp_path, monkeypatch):
    log, store = tmp_path / "log", tmp_path / "a.db"
    grid = [dict(i=i, log=str(log), seconds=0) for i in range(20)]

    def computed(settings, **kwargs):
        log.write_text("")
        run_sweep(sweep_runs.logged, settings, store, progress=False, **kwargs)
        return [int(line.split()[1]) for line in log.read_text().splitlines()[::2]]

    assert computed(grid[:8]) == list(range(8)) and computed(grid[:8]) == []
    assert computed(grid) == list(range(8, 20))
    assert computed([dict(reversed(s.items())) for s in grid]) == []
    assert computed(grid[:3], redo="all") == [0, 1, 2] and computed(grid, redo="failed") == []
    monkeypatch.setattr("pgpost.__version__", "99")
    assert computed(grid) == list(range(20)), "another version of the package computes anew, and keeps the old rows"
    with Store(store) as s: assert s.to_dataframe().groupby("version").size().tolist() == [20, 20]


def test_a_worker_of_another_version_computes_nothing(monkeypatch):
    with process_pool(1) as pool:
        pool.submit(abs, 1).result()
        monkeypatch.setattr("pgpost.__version__", "99")
        with pytest.raises(CodeError, match="the worker has pgpost .*, the sweep pgpost 99"):
            run_sweep(sweep_runs.walk, GRID[:2], executor=pool, progress=False)


@pytest.mark.slow
def test_two_processes_on_one_store(expected, tmp_path):
    "Both finish, neither sees an error, and the file is whole."
    code = ("import sys, sweep_runs\nfrom pgpost.sweep import product, run_sweep, seeds\n"
            "print(run_sweep(sweep_runs.walk, product(steps=[5, 8], seed=seeds(30))[::int(sys.argv[2])], sys.argv[1], progress=False).shape)")
    both = [start(sys.executable, "-c", code, tmp_path / "a.db", direction, cwd=HELPERS, stdout=PIPE, stderr=PIPE, text=True)
            for direction in ("1", "-1", "1")]
    for process in both:
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0 and out == "(120, 5)\n", error
    assert run_sweep(sweep_runs.walk, GRID, tmp_path / "a.db", progress=False).to_csv() == expected
    assert sqlite3.connect(tmp_path / "a.db").execute("pragma integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_processes_that_make_one_store_at_the_same_moment(tmp_path):
    "Five wait for one moment, and all of them find or make a store that is whole."
    code = ("import sys, time\nfrom pgpost.sweep import Store\nwhile time.time() < float(sys.argv[2]): pass\n"
            "with Store(sys.argv[1]) as store: store._register(dict(function='f', version='1', code='c'), {str(i): '{}' for i in range(50)})")
    for n in range(3):
        moment = str(time.time() + 1.5)
        processes = [start(sys.executable, "-c", code, tmp_path / f"{n}.db", moment, stderr=PIPE, text=True) for _ in range(5)]
        for process in processes:
            error = process.communicate(timeout=60)[1]
            assert process.returncode == 0, error
        assert len(contents(tmp_path / f"{n}.db")) == 50


def test_what_another_process_has_stored_meanwhile_is_not_computed(tmp_path):
    "The other process here is a run of the sweep itself, which stores what comes after it."
    path, calls = tmp_path / "a.db", []
    grid = [dict(i=i) for i in range(4)]

    def interfere(setting):
        calls.append(setting["i"])
        if setting["i"] == 0:
            with Store(path) as other: other._keep([('[{"y": 5}]', None, None, key) for key in list(keys)[2:]])
        return [dict(y=setting["i"])]

    sweep_runs.interfere, interfere.__module__, interfere.__qualname__ = interfere, "sweep_runs", "interfere"
    with Store(path) as store:
        keys = _runs(origin_of(interfere), grid)
        assert run_sweep(interfere, grid, store, progress=False).y.tolist() == [0, 1, 5, 5]
    assert calls == [0, 1]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "results.db"
    return path, run_sweep(sweep_runs.walk, GRID, path, progress=False).to_csv(), path.read_bytes()


@settings(deadline=None, max_examples=300, derandomize=True)
@given(data=st.data())
def test_damage_is_never_taken_for_a_result(filled, data):
    "A file that was cut off or partly overwritten gives the same table or an error, and is not touched by being read."
    _, table, whole = filled
    if data.draw(st.booleans(), "cut off"): damaged = whole[:data.draw(st.integers(1, len(whole) - 1), "length")]
    else:
        at, junk = data.draw(st.integers(0, len(whole) - 1), "at"), data.draw(st.binary(min_size=1, max_size=2000), "junk")
        damaged = (whole[:at] + junk + whole[at + len(junk):])[:len(whole)]
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp, "results.db")
        path.write_bytes(damaged)
        try:
            with Store(path) as store: assert store.to_dataframe().drop(columns=["function", "version", "code"], errors="ignore").to_csv() == table
        except StoreError as error: assert str(path) in str(error)
        assert path.read_bytes() == damaged


@contextlib.contextmanager
def as_nobody():
    "Without the rights of the superuser, whom no file mode stops, if that is who runs the tests."
    if os.geteuid(): yield
    else:
        os.setresuid(65534, 65534, 0)
        try: yield
        finally: os.setresuid(0, 0, 0)


def test_a_read_only_store_is_read_and_not_written(filled):
    with tempfile.TemporaryDirectory(dir="/tmp") as tmp:
        path = Path(tmp, "results.db")
        path.write_bytes(filled[2])
        path.chmod(0o444)
        Path(tmp).chmod(0o555)
        try:
            with as_nobody(), Store(path) as store:
                assert len(store.to_dataframe()) == 120
                with pytest.raises(StoreError, match="results.db as a store: attempt to write a readonly database"):
                    run_sweep(sweep_runs.walk, GRID + [dict(steps=1, seed=1)], store, progress=False)
            assert [p.name for p in Path(tmp).iterdir()] == ["results.db"] and path.read_bytes() == filled[2]
        finally: Path(tmp).chmod(0o755)


def test_a_store_whose_making_was_killed_is_new(tmp_path):
    (tmp_path / "a.db").touch()
    with sqlite3.connect(tmp_path / "b.db") as db: db.execute("pragma journal_mode = wal")
    for name in "a.db", "b.db": assert len(run_sweep(sweep_runs.walk, GRID[:1], tmp_path / name, progress=False)) == 2


@pytest.mark.slow
def test_memory_does_not_grow_with_what_is_stored(tmp_path):
    "10,000 runs of 1 kB: what Python holds after 2,000 and after 9,999 differs by less than the rows of 100 runs."
    tracemalloc.start()
    with Store(tmp_path / "a.db") as store:
        try: store.fill(sweep_runs.large, product(i=range(10_000)), progress=False)
        finally: tracemalloc.stop()
        early, late = (json.loads(store._db.execute("select rows from runs where id = ?", (i,)).fetchone()[0])[0]["memory"] for i in (2000, 9999))
    assert abs(late - early) < 1e5


# code

OWN = """
import helper
def run(setting):
    from pgpost.train import train
    return [dict(v=setting["i"] * helper.FACTOR)]
"""

SWEEP = """
import sys
from contextlib import nullcontext
from own import run
from pgpost.sweep import Store, cluster, process_pool

def main(where, *any_code):
    "The number of runs computed now, and the values of all."
    if where == "dask":
        from distributed import LocalCluster
        with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as local: sweep(cluster(local.scheduler_address), any_code)
    else: sweep(process_pool(1) if where == "processes" else nullcontext(), any_code)

def sweep(context, any_code):
    with context as executor, Store("runs.db") as store:
        keys, computed = store.fill(run, [dict(i=i) for i in range(4)], executor, progress=False, any_code=bool(any_code))
        print(computed, store.to_dataframe(keys).v.tolist())

if __name__ == "__main__": main(*sys.argv[1:])
"""


@pytest.fixture
def checkout(tmp_path):
    "A folder with a copy of the package, a module with a run, one that this imports, and one that it does not."
    shutil.copytree(Path(pgpost_package.__file__).parent, tmp_path / "pgpost", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in dict(own=OWN, helper="FACTOR = 2\n", other="FACTOR = 3\n", sweep=SWEEP).items(): (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def python(folder, *args):
    "What a Python that starts in `folder`, and imports from there, prints."
    environment = dict(os.environ, PYTHONPATH=str(folder))
    result = run(sys.executable, *args, cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def append(path, text): path.write_text(path.read_text() + text)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["serial", "processes", pytest.param("dask", marks=needs_dask)])
def test_a_run_whose_code_has_changed_is_computed_again(where, checkout):
    "Edits of its own module, of one that is imported, directly or not, at the top or inside of a function; and of what makes no difference."
    def rerun(*options): return python(checkout, "sweep.py", where, *options)

    assert rerun() == "4 [0, 2, 4, 6]\n"
    for path in "other.py", "pgpost/plot.py", "pgpost/cli.py": append(checkout / path, "NEW = 1\n")
    for path in "own.py", "pgpost/train.py": append(checkout / path, "\n# a remark\n")
    assert rerun() == "0 [0, 2, 4, 6]\n", "what is not imported, or no code, makes no difference"
    (checkout / "own.py").write_text(OWN.replace("helper.FACTOR", "helper.FACTOR * 100"))
    assert rerun() == "4 [0, 200, 400, 600]\n", "its own module"
    (checkout / "helper.py").write_text("FACTOR = 30\n")
    assert rerun() == "4 [0, 3000, 6000, 9000]\n", "a module beside it"
    append(checkout / "pgpost/policy.py", "NEW = 1\n")
    assert rerun("--any-code") == "0 [0, 3000, 6000, 9000]\n", "the newest of the other codes"
    assert rerun() == "4 [0, 3000, 6000, 9000]\n", "a module of pgpost that train imports"
    assert rerun() == "0 [0, 3000, 6000, 9000]\n"
    (checkout / "own.py").write_text(OWN)
    (checkout / "helper.py").write_text("FACTOR = 2\n")
    assert rerun("--any-code") == "0 [0, 3000, 6000, 9000]\n" and rerun() == "4 [0, 2, 4, 6]\n"
    with Store(checkout / "runs.db") as store:
        assert store.codes().runs.tolist() == [4] * 5 and store.to_dataframe().groupby("code").v.max().sort_values().tolist() == [6, 6, 600, 9000, 9000]


@pytest.mark.slow
def test_a_change_of_train_computes_the_claims_again(checkout):
    "The command, with one claim of short runs; what it says, and what it exports."
    (checkout / "claim.py").write_text("""
import sys
from dataclasses import replace
from pgpost import theorem
from pgpost.cli import main
claim = next(claim for claim in theorem.CLAIMS if claim.name == "SGD, one token")
theorem.CLAIMS[:] = [replace(claim, settings=tuple(setting | dict(max_steps=20) for setting in claim.settings))]
if __name__ == "__main__": main(["theorems", "--out", "out", "--quick", *sys.argv[1:]])
""")
    assert "2 runs: 2 computed now, 0 failed" in python(checkout, "claim.py")
    append(checkout / "pgpost/train.py", "NEW = 1\n")
    assert "0 computed now" in (taken := python(checkout, "claim.py", "--any-code")) and "2 of 2 runs of other code are taken" in taken
    assert "2 computed now" in (again := python(checkout, "claim.py")) and "2 runs of other code are left aside; --any-code takes them" in again


@pytest.mark.slow
def test_the_command_says_what_is_of_other_code_and_exports_one_code(checkout):
    (checkout / "sweep.toml").write_text('run = "own:run"\n[grid]\ni = [1, 2]\n')
    (checkout / "other.toml").write_text('run = "other:run"\n[grid]\ni = [1]\n')
    append(checkout / "other.py", "def run(setting): return [dict(v=-1)]\n")

    def command(*args): return python(checkout, "-c", "import sys; from pgpost.cli import main; main(['sweep', *sys.argv[1:]])", *args)

    def exported(*args):
        said = command(*args, "--export", "results.csv")
        return pd.read_csv(checkout / "results.csv").v.tolist(), said

    command("other.toml")
    command("sweep.toml")
    (checkout / "helper.py").write_text("FACTOR = 30\n")
    values, said = exported("sweep.toml", "--any-code")
    assert values == [-1, 2, 4] and "2 runs: 0 computed now, 0 failed" in said and "2 of 2 runs of other code are taken" in said
    values, said = exported("sweep.toml")
    assert values == [-1, 30, 60] and "2 runs: 2 computed now" in said and "2 runs of other code are left aside" in said and "2 rows of other code are left out" in said
    (checkout / "helper.py").write_text("FACTOR = 2\n")
    assert exported("sweep.toml")[0] == [-1, 2, 4], "of the function that is run, its present code"
    assert exported()[0] == [-1, 30, 60], "without a sweep, the code that came last"
    values, said = exported("--any-code")
    assert values == [-1, 2, 4, 30, 60] and pd.read_csv(checkout / "results.csv").code.nunique() == 3 and "left out" not in said


@pytest.fixture
def module(tmp_path, monkeypatch):
    "A module that this process can import, and one that it imports from."
    monkeypatch.syspath_prepend(tmp_path)
    names = [f"{word}_{tmp_path.name}" for word in ("outer", "inner")]
    (tmp_path / f"{names[1]}.py").write_text("def double(x): return 2 * x\n")
    (tmp_path / f"{names[0]}.py").write_text(f"from {names[1]} import double\ndef run(setting): return [dict(v=double(setting['i']))]\n")
    importlib.invalidate_caches()
    outer = importlib.import_module(names[0])
    yield outer, sys.modules[names[1]]
    for name in names: del sys.modules[name]


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor])
def test_what_was_loaded_before_an_edit_does_not_count_as_the_new_code(executor, module, tmp_path):
    "In a notebook's kernel. A pool loads what is there now; loading again helps if all that hold something of the old are loaded again."
    outer, inner = module

    def sweep(make=executor):
        with make() if make else contextlib.nullcontext() as executor:
            return run_sweep(outer.run, [dict(i=1)], tmp_path / "runs.db", executor, progress=False).v.tolist()

    assert sweep() == [2]
    Path(inner.__file__).write_text("def double(x): return 200 * x\n")
    with pytest.raises(CodeError, match=f"{inner.__name__} has changed since it was loaded: restart"): sweep()
    importlib.reload(inner)
    with pytest.raises(CodeError, match=f"{inner.__name__} was loaded again, but {outer.__name__} may hold"): sweep()
    importlib.reload(outer)
    assert sweep() == [200]
    Path(outer.__file__).write_text(Path(outer.__file__).read_text() + "# a remark\n")
    Path(inner.__file__).write_text("def double(x):\n    'Two hundred.'\n    return 200 * x\n")
    assert sweep() == [200], "a new remark is no new code"
    Path(inner.__file__).write_text("def double(x): return 3000 * x\n")
    with pytest.raises(CodeError): sweep()
    assert sweep(lambda: process_pool(1)) == [3000]
    with Store(tmp_path / "runs.db") as store: assert store.to_dataframe().v.tolist() == [2, 200, 3000] and len(store.failures()) == 0


def test_a_module_that_is_edited_before_its_first_sweep(module, tmp_path):
    outer, inner = module
    Path(inner.__file__).write_text("def double(x): return 200 * x\n")
    for store in tmp_path / "runs.db", None:
        with pytest.raises(CodeError, match="has changed since it was loaded"): run_sweep(outer.run, [dict(i=1)], store, progress=False)


@pytest.mark.parametrize("edited, complete", [(0, 5), (1, 3)])
def test_edits_during_a_sweep(edited, complete, module, tmp_path, monkeypatch):
    "What is loaded is loaded, and stays. What is loaded only later, inside of a run, and is not what it was when the sweep began, stops it."
    outer, inner = module
    Path(outer.__file__).write_text(f"def run(setting):\n    if setting['i'] == 3: import {inner.__name__}\n    return [dict(v=setting['i'])]\n")
    importlib.reload(outer)
    monkeypatch.delitem(sys.modules, inner.__name__)
    with Store(tmp_path / "runs.db") as store:
        keep = store._keep
        def edit_and_keep(outcomes):
            keep(outcomes)
            append(Path(module[edited].__file__), "NEW = 1\n")
        store._keep = edit_and_keep
        with pytest.raises(CodeError) if complete < 5 else contextlib.nullcontext(): store.fill(outer.run, [dict(i=i) for i in range(5)], progress=False)
        assert store.to_dataframe().v.tolist() == [*range(complete)]


def test_workers_with_other_code_are_refused(module, tmp_path):
    "Those of a pool that has loaded it before it was edited. What is complete is kept, and nothing counts as failed."
    outer, inner = module
    with process_pool(1) as pool:
        run_sweep(outer.run, [dict(i=1)], tmp_path / "runs.db", pool, progress=False)
        Path(inner.__file__).write_text("def double(x): return 200 * x\n")
        with pytest.raises(CodeError, match=f"{inner.__name__} has changed since it was loaded: restart .* the workers"):
            run_sweep(outer.run, [dict(i=1)], tmp_path / "runs.db", pool, progress=False)
    with Store(tmp_path / "runs.db") as store: assert store.to_dataframe().v.tolist() == [2] and len(store.failures()) == 0


@needs_dask
def test_workers_of_a_cluster_with_other_files_are_refused(dask, module, tmp_path):
    outer, inner = module
    there = tmp_path / "there"
    there.mkdir()
    for m in module: (there / Path(m.__file__).name).write_text(Path(m.__file__).read_text())
    (there / Path(inner.__file__).name).write_text("def double(x): return 200 * x\n")
    with cluster(dask.scheduler_address) as executor:
        with pytest.raises(CodeError, match=f"cannot import what it needs: No module named '{outer.__name__}'"):
            run_sweep(outer.run, [dict(i=1)], executor=executor, progress=False)
        executor._client.run(lambda path: sys.path.insert(0, path), str(there))
        with pytest.raises(CodeError, match=f"a worker has another {inner.__name__} than the sweep: give it the same code"):
            run_sweep(outer.run, [dict(i=1)], tmp_path / "runs.db", executor, progress=False)


def test_a_function_of_a_notebook_has_its_rows_in_one_store_in_memory():
    "As long as it is the same function; any_code takes those of the one that it replaced."
    calls = []

    def make(factor):
        def run(setting):
            calls.append(setting["i"])
            return [dict(v=factor * setting["i"])]
        return run

    first, second = make(2), make(3)
    with Store() as store:
        for run, any_code, values in [(first, False, [2]), (first, False, [2]), (second, True, [2]), (second, False, [3]), (first, False, [2]),
                                      (second, True, [3])]:
            table = run_sweep(run, [dict(i=1)], store, progress=False, any_code=any_code)
            assert table.v.tolist() == values and ("code" in table) == any_code
    assert calls == [1, 1]


@pytest.mark.parametrize("make", [None, lambda: process_pool(1)], ids=["serial", "processes"])
def test_a_run_gets_an_object_of_the_class_that_annotates_its_argument(make):
    "With its defaults and its checks; the table has what the setting says, and a wrong one is refused before anything is run."
    with make() if make else contextlib.nullcontext() as executor:
        table = run_sweep(sweep_runs.typed, [dict(steps=2), dict(steps=3, scale=2)], executor=executor, progress=False)
        assert table.end.tolist() == [1, 6] and table.kind.tolist() == ["Typed"] * 2 and table.scale.isna().tolist() == [True, False]
        for setting, message in [(dict(step=1), "'step' is not a parameter of sweep_runs:typed; did you mean 'steps'?"), (dict(steps=1.), "steps must be of type int, got 1.0"),
                                 (dict(), "missing 1 required positional argument: 'steps'"), (dict(steps=-1), "steps must be at least 0, got -1")]:
            with Store() as store, pytest.raises(ValueError, match=re.escape(message)):
                try: run_sweep(sweep_runs.typed, [dict(steps=2), setting], store, executor, progress=False)
                finally: assert not list(store._select("id", None)), "nothing is asked for"


def test_progress_is_shown_by_what_is_called_like_tqdm(capsys):
    seen = []
    def bar(runs, total, initial, postfix=None):
        for key in runs:
            yield key
            seen.append((key, total, initial))
    with Store() as store:
        keys, _ = store.fill(sweep_runs.echo, [dict(x=1)], progress=False)
        more, computed = store.fill(sweep_runs.echo, [dict(x=1), dict(x=2), dict(x=3)], progress=bar)
        assert seen == [(key, 3, 1) for key in more[1:]] and computed == 2
        assert capsys.readouterr().err == ""
        store.fill(sweep_runs.echo, [dict(x=1)], progress=True)
        assert "1/1" in capsys.readouterr().err


def test_any_code_and_anew_exclude_each_other():
    with Store() as store, pytest.raises(ValueError, match="any_code takes what is there, redo='all' computes it again"):
        store.fill(sweep_runs.echo, [dict(x=1)], redo="all", any_code=True)


# stores of schema 1

def old_store(path):
    "A store of schema 1 with a run of `walk` for each of GRID, the first of them failed."
    rows = run_sweep(sweep_runs.walk, GRID, progress=False)
    with sqlite3.connect(path) as db:
        db.executescript(f"""create table runs (id integer primary key, key text not null unique, function text not null, version text not null, setting text not null,
                             rows text, checksum text, error text, traceback text);
                             pragma application_id = {int.from_bytes(b"pgps", "big")}; pragma user_version = 1; pragma journal_mode = wal;""")
        for i, setting in enumerate(GRID):
            text = json.dumps(rows[2 * i:2 * i + 2].drop(columns=["steps", "seed"]).to_dict("records")) if i else None
            key = hashlib.sha256(json.dumps(["sweep_runs:walk", "0.1.0", setting], sort_keys=True).encode()).hexdigest()
            checksum = hashlib.sha256(text.encode()).hexdigest() if i else None
            db.execute("insert into runs (key, function, version, setting, rows, checksum, error, traceback) values (?, ?, ?, ?, ?, ?, ?, ?)",
                       (key, "sweep_runs:walk", "0.1.0", json.dumps(setting), text, checksum, None if i else "E: no", None if i else "..."))
    return path


def test_a_store_of_schema_1_is_read_and_its_runs_are_of_unknown_code(expected, tmp_path):
    path = old_store(tmp_path / "a.db")
    with Store(path) as store:
        assert len(store.to_dataframe()) == 2 * len(GRID) - 2 and store.to_dataframe().code.isna().all() and store.failures().error.tolist() == ["E: no"]
        assert store.codes().values.tolist() == [["sweep_runs:walk", "0.1.0", None, len(GRID) - 1]]
        keys, computed = store.fill(sweep_runs.walk, GRID, progress=False, any_code=True)
        assert computed == 1 and store.to_dataframe(keys).drop(columns=["function", "version", "code"]).to_csv() == expected
        keys, computed = store.fill(sweep_runs.walk, GRID, progress=False)
        assert computed == len(GRID) - 1 and store.to_dataframe(keys).drop(columns=["function", "version", "code"]).to_csv() == expected
        assert store.codes().runs.tolist() == [len(GRID) - 1, len(GRID)]
    assert sqlite3.connect(path).execute("pragma user_version").fetchone() == (2,), "so that earlier versions of pgpost refuse it"


def test_a_store_of_schema_1_is_brought_up_to_date_once(tmp_path):
    "By one of five that open it at the same moment."
    code = "import sys, time\nfrom pgpost.sweep import Store\nwhile time.time() < float(sys.argv[2]): pass\nwith Store(sys.argv[1]) as store: print(len(store.to_dataframe()))"
    moment, path = str(time.time() + 1.5), old_store(tmp_path / "a.db")
    processes = [start(sys.executable, "-c", code, path, moment, stdout=PIPE, stderr=PIPE, text=True) for _ in range(5)]
    for process in processes: assert process.communicate(timeout=60) == (f"{2 * len(GRID) - 2}\n", "")


def test_a_read_only_store_of_schema_1_says_what_to_do():
    with tempfile.TemporaryDirectory(dir="/tmp") as tmp:
        path = old_store(Path(tmp, "a.db"))
        content = path.read_bytes()
        path.chmod(0o444)
        Path(tmp).chmod(0o555)
        try:
            with as_nobody(), pytest.raises(StoreError, match="a.db is of an earlier version of pgpost and has to be brought up to date, but cannot be written to"): Store(path)
        finally: Path(tmp).chmod(0o755)
        assert path.read_bytes() == content


# kills

def sweep_file(folder, n, seconds):
    (folder / "log").touch()
    (folder / "sweep.toml").write_text(f'run = "sweep_runs:logged"\n[setting]\nlog = "{folder}/log"\nseconds = {seconds}\n[grid]\ni = {list(range(n))}\n')
    (folder / "sweep_runs.py").write_text((HELPERS / "sweep_runs.py").read_text())


def pgpost(*args, **kwargs): return run(PGPOST, *args, **kwargs)


def stored(folder):
    "Numbers of the runs that are complete in the store."
    if not (folder / "results.db").exists(): return []
    with Store(folder / "results.db") as store: table = store.to_dataframe()
    return table.i.tolist() if len(table) else []


def computed(folder): return [int(line.split()[1]) for line in (folder / "log").read_text().splitlines() if line.startswith("start")]


@pytest.mark.slow
@pytest.mark.parametrize("workers, kills", [(1, 20), (2, 5)])
def test_kills_at_random_moments_cost_only_what_was_under_way(workers, kills, tmp_path):
    "At least so many SIGKILLs hit the running sweep. The table is that of an undisturbed one, and nothing stored is computed again."
    rng, n, killed, before = random.Random(workers), 1000 // workers, 0, 0
    for name in "killed", "undisturbed":
        (tmp_path / name).mkdir()
        sweep_file(tmp_path / name, n, .003)
    folder = tmp_path / "killed"
    while True:
        already = set(stored(folder))
        process = start(PGPOST, "sweep", "sweep.toml", "--workers", workers, cwd=folder, stdout=DEVNULL, stderr=DEVNULL)
        try:
            while killed < kills and process.poll() is None and len(computed(folder)) == before: time.sleep(.01)  # until it has begun
            if killed < kills: process.wait(rng.uniform(0, .25))
            else: process.wait(120)
        except TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        assert not already & set(computed(folder)[before:]), "what was stored is not computed again"
        before = len(computed(folder))
        if len(stored(folder)) == n: break
    assert killed == kills and process.returncode == 0
    assert n <= before <= n + killed * workers * 20 and set(computed(folder)) == set(range(n))
    for name in "killed", "undisturbed": assert pgpost("sweep", "sweep.toml", "--export", "results.csv", cwd=tmp_path / name).returncode == 0
    tables = [(tmp_path / name / "results.csv").read_text().replace(f"{tmp_path / name}/log", "log") for name in ("killed", "undisturbed")]
    assert tables[0] == tables[1] and tables[0].count("\n") == n + 1


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path):
    sweep_file(tmp_path, 1000, .05)
    process = start(PGPOST, "sweep", "sweep.toml", "--workers", 2, cwd=tmp_path, stdout=DEVNULL, stderr=DEVNULL)

    def workers(): return {int(line.split()[2]) for line in (tmp_path / "log").read_text().splitlines()}

    wait_until(lambda: len(workers()) == 2)
    assert all(map(alive, workers()))
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(alive, workers())))


def wait_until(condition, seconds=60):
    "Wait for something that is bound to happen."
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, "it did not happen"
        time.sleep(.02)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_interrupt_stops_cleanly_and_keeps_what_is_complete(workers, tmp_path):
    sweep_file(tmp_path, 200, .02)
    process = start(PGPOST, "sweep", "sweep.toml", "--workers", workers, cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True)
    wait_until(lambda: len(computed(tmp_path)) > 50)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted; what was complete is kept" in said and "Traceback" not in said and out == ""
    already = stored(tmp_path)
    assert 0 < len(already) < 200
    before = len(computed(tmp_path))
    result = pgpost("sweep", "sweep.toml", "--resume", "--export", "results.csv", cwd=tmp_path)
    assert result.returncode == 0 and f"200 runs: {200 - len(already)} computed now, 0 failed" in result.stdout
    assert sorted(already + computed(tmp_path)[before:]) == list(range(200)) and "run/s" in result.stderr
    assert len(pd.read_csv(tmp_path / "results.csv")) == 200


@pytest.mark.slow
@needs_dask
@of_one_cluster
def test_a_killed_dask_worker_costs_a_retry(dask, tmp_path):
    grid = [dict(i=i, victim=str(tmp_path / "victim")) for i in range(200)]
    with cluster(dask.scheduler_address) as executor: table = run_sweep(sweep_runs.deadly, grid, tmp_path / "a.db", executor, progress=False)
    assert (tmp_path / "victim").exists(), "a worker was killed"
    assert table.root.tolist() == [i ** .5 for i in range(200)]


@pytest.mark.slow
def test_a_killed_process_of_a_pool_stops_the_sweep_and_loses_nothing(tmp_path):
    grid = [dict(i=i, victim=str(tmp_path / "victim")) for i in range(40)]
    with process_pool(2) as executor, pytest.raises(ChildProcessError, match="what is complete is kept"):
        run_sweep(sweep_runs.deadly, grid, tmp_path / "a.db", executor, progress=False)
    with Store(tmp_path / "a.db") as store: assert len(store.failures()) == 0
    with process_pool(2) as executor: assert run_sweep(sweep_runs.deadly, grid, tmp_path / "a.db", executor, progress=False).i.tolist() == list(range(40))


def cluster_of_processes(folder, scheduler_path, worker_path):
    "The address of a `dask scheduler` with one `dask worker`, in processes of their own that look for modules in folders of their own."
    file, dask = folder / "scheduler.json", [sys.executable, "-m", "dask"]
    for part, path in ("scheduler", scheduler_path), ("worker", worker_path):
        more = ["--port", "0", "--host", "127.0.0.1"] if part == "scheduler" else ["--nthreads", "1"]
        start(*dask, part, "--scheduler-file", file, "--no-dashboard", *more, cwd=path, env=os.environ | dict(PYTHONPATH=str(path)), stderr=DEVNULL)
        wait_until(file.exists)
    wait_until(file.read_text)
    return json.loads(file.read_text())["address"]


@pytest.mark.slow
@needs_dask
@of_one_cluster
@pytest.mark.parametrize("on_scheduler, on_worker, missing", [("nothing", "module", None), ("nothing", "nothing", "{module}"), ("no pgpost", "module", "pgpost")])
def test_what_a_scheduler_and_workers_have_to_import(on_scheduler, on_worker, missing, module, tmp_path):
    "The worker the module of the run, the scheduler pgpost alone. What is missing is named, and no run counts as failed: the same call computes them all."
    outer, _ = module
    folders = {"module": Path(outer.__file__).parent, "nothing": tmp_path / "nothing", "no pgpost": tmp_path / "no_pgpost"}
    folders["nothing"].mkdir()
    (folders["no pgpost"] / "pgpost").mkdir(parents=True)
    (folders["no pgpost"] / "pgpost/__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'pgpost'\")")
    grid = [dict(i=i) for i in range(5)]
    address = cluster_of_processes(tmp_path, folders[on_scheduler], folders[on_worker])
    if missing:
        with cluster(address) as executor, pytest.raises(CodeError, match=f"cannot import what it needs: No module named '{missing.format(module=outer.__name__)}'"):
            run_sweep(outer.run, grid, tmp_path / "a.db", executor, progress=False)
        with Store(tmp_path / "a.db") as store: assert len(store.failures()) == 0 and len(store.to_dataframe()) == 0
        (tmp_path / "again").mkdir()
        address = cluster_of_processes(tmp_path / "again", folders["nothing"], folders["module"])
    with cluster(address) as executor: assert run_sweep(outer.run, grid, tmp_path / "a.db", executor, progress=False).v.tolist() == [0, 2, 4, 6, 8]


# the command

@pytest.mark.slow
@needs_dask
@of_one_cluster
def test_a_scheduler_that_does_not_answer(tmp_path):
    sweep_file(tmp_path, 3, 0)
    result = pgpost("sweep", "sweep.toml", "--scheduler", "tcp://127.0.0.1:9", cwd=tmp_path)
    assert result.returncode == 2 and "no scheduler answers at tcp://127.0.0.1:9 within 10 seconds" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "results.db").exists()


@pytest.mark.slow
@needs_dask
@of_one_cluster
def test_the_command_on_a_cluster(dask, tmp_path):
    (tmp_path / "sweep.toml").write_text('run = "figure1"\nseeds = 4\n[setting]\nd = 4\nk = 4\nN = 8\nn_components = 4\nbase_steps = 5\nsteps = 5\n')
    for where in ["--scheduler", dask.scheduler_address, "--store", "a.db"], ["--store", "b.db"]:
        result = pgpost("sweep", "sweep.toml", *where, cwd=tmp_path)
        assert result.returncode == 0 and "4 runs: 4 computed now, 0 failed" in result.stdout, result.stderr
    assert contents(tmp_path / "a.db") == contents(tmp_path / "b.db")


def test_without_dask_the_extra_is_named(tmp_path):
    sweep_file(tmp_path, 3, 0)
    code = "import sys; sys.modules['distributed'] = None; from pgpost.cli import main; main(['sweep', 'sweep.toml', '--scheduler', 'tcp://a:1'])"
    result = run(sys.executable, "-c", code, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr == "Error: a cluster needs Dask: pip install 'pgpost[cluster]'\n"


@pytest.mark.slow
def test_failures_fresh_and_export(tmp_path):
    sweep_file(tmp_path, 3, 0)
    (tmp_path / "walk.toml").write_text('run = "sweep_runs:walk"\n[grid]\nsteps = [5, 13]\nseed = [1, 2]\n')
    for options, now in ([], 4), ([], 0), (["--retry-failed"], 2), (["--fresh"], 4):
        result = pgpost("sweep", "walk.toml", "--export", "results.csv", *options, cwd=tmp_path)
        assert result.returncode == 1 and f"4 runs: {now} computed now, 2 failed" in result.stdout and "ArithmeticError: no luck" in result.stdout
        assert pd.read_csv(tmp_path / "results.csv").steps.tolist() == [5] * 4
    whole = (tmp_path / "results.csv").read_bytes()
    (tmp_path / "results.csv").unlink()
    assert pgpost("sweep", "--export", "results.csv", cwd=tmp_path).returncode == 0 and (tmp_path / "results.csv").read_bytes() == whole
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.is_file()) == ["", ".csv", ".db", ".py", ".toml", ".toml"]


@pytest.mark.parametrize("text, options, message", [
    ('run = "figure1"\n[grid]\nsteqs = [1]', [], "sweep.toml: 'steqs' is not a parameter of pgpost.experiment:figure1_row; did you mean 'steps'?"),
    ('run = "figure1"\n[grid]\nsteps = ["1"]', [], "sweep.toml: steps must be of type int, got '1'"),
    ('run = "figure1"\n[setting]\nsigma = "big"', [], "sweep.toml: sigma must be of type float, got 'big'"),
    ('run = "figure1"\n[grid]\nsteps = []', [], "there are no settings: a list in the grid is empty"),
    ('run = "theorm"', [], "'theorm' is not an experiment or a module:function; did you mean 'theorem'?"),
    ('', [], 'an entry such as run = "figure1" is missing'),
    ('run = "figure1"', ["--workers", "2", "--scheduler", "tcp://a:1"], "--workers and --scheduler exclude each other"),
    ('run = "figure1"', ["--fresh", "--resume"], "--resume and --fresh exclude each other"),
    ('run = "figure1"', ["--export", "no/such/folder.csv"], "'--export': cannot write no/such/folder.csv"),
    ('run = "figure1"', ["--store", "sweep.toml"], "sweep.toml is no store: it is too short for an SQLite file"),
    ('run = "figure1"', ["--store", "no/such.db"], "there is no folder for no/such.db"),
    ('run = "figure1"', ["--stor", "x.db"], "No such option '--stor'"),
])
def test_bad_requests_are_refused_before_the_work(text, options, message, tmp_path):
    (tmp_path / "sweep.toml").write_text(text)
    result = pgpost("sweep", "sweep.toml", *options, cwd=tmp_path)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr and result.stdout == ""
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("sweep.toml", text)]


def test_sweep_files_describe_settings(tmp_path):
    (tmp_path / "sweep.toml").write_text('run = "sweep_runs:walk"\nseeds = 2\nentropy = 5\n[setting]\na = 1.5\n[zip]\nb = [1, 2]\nc = ["x", "y"]\n[grid]\nsteps = [3]\n')
    fn, found = read_sweep(tmp_path / "sweep.toml")
    assert fn is sweep_runs.walk and found == [dict(a=1.5, b=b, c=c, steps=3, seed=s) for b, c in ((1, "x"), (2, "y")) for s in seeds(2, 5)]


def test_help_tells_the_options():
    text = pgpost("sweep", "--help").stdout
    assert all(option in text for option in ["FILE.toml", "--store", "results.db", "--workers", "--scheduler", "--resume", "--retry-failed", "--fresh", "--export"])


def test_an_export_of_nothing_writes_nothing(tmp_path):
    Store(tmp_path / "results.db").close()
    result = pgpost("sweep", "--export", "results.csv", cwd=tmp_path)
    assert result.returncode == 2 and "results.db has no complete runs: there is nothing to export" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["results.db"]
