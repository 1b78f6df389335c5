"""Damaged logs of every shape: whatever happens to the bytes, a table of possible counts or a `LogError` comes out, with and without skipping.

`python tests/helpers/fuzz_evallog.py 1000` tries 1000 mutations of each of the shapes in `logs.py`, each read twice, and says what came out.
"""
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from logs import write
from pgpost.evallog import LogError, read_log

TOKENS = [b'"', b"{", b"}", b"[", b"]", b",", b"\n", b"\x00", b"\xff", b"null", b"NaN", b"-Infinity", b"1e999", b"true", b"{}", b"[]", b'""', b"[" * 5000, b"9" * 5000, b"\\ud800"]


def mutations(content, number, rng):
    "Damaged versions of the bytes: flipped, cut, doubled, shuffled, with tokens put in or numbers replaced."
    for _ in range(number):
        data = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            i, j = np.sort(rng.integers(0, len(data) + 1, size=2))
            kind, token = rng.integers(7), TOKENS[rng.integers(len(TOKENS))]
            if kind == 0: data[i:i + 1] = rng.bytes(1)
            elif kind == 1: data[i:min(j, i + 50)] = b""
            elif kind == 2: data[i:i] = token
            elif kind == 3: data[i:i + 4] = token
            elif kind == 4: data[i:i] = data[i:min(j, i + 2000)]
            elif kind == 5: del data[j:]
            else: data[i:j] = bytes(reversed(data[i:j])) if rng.random() < .2 else data[i:j].replace(b"1", token).replace(b"true", token)
            if not data: break
        yield bytes(data)


def outcome(path, options, target, content):
    "What reading the damaged log gives, once strictly and once skipping: 'table' or 'error'; anything else is raised."
    target.write_bytes(content)
    results = []
    for skipped in None, Counter():
        try: table = read_log(target, skipped=skipped, **options)
        except LogError as error:
            assert str(error) and error.where and str(target) in str(error.where)
            results.append("error")
        else:
            assert len(table) and ((0 <= table.n_correct) & (table.n_correct <= table.n_samples) & (table.n_samples >= 1)).all()
            results.append("table")
    assert results != ["table", "error"], "what can be read strictly can be read skipping"
    return results[0]


if __name__ == "__main__":
    number, seen = int(sys.argv[1]), Counter()
    with tempfile.TemporaryDirectory() as tmp:
        for seed, (path, options, _) in enumerate(write(tmp)):
            for content in mutations(path.read_bytes(), number, np.random.default_rng([seed, number])):
                seen[path.name, outcome(path, options, Path(tmp) / f"x{path.suffix}", content)] += 1
            print(path.name, dict(table=seen[path.name, "table"], error=seen[path.name, "error"]), flush=True)
    print(sum(seen.values()), "damaged files, each read twice")
