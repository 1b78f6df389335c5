"""Peak memory of `pgpost quantile` on a large log. `python tests/helpers/memory_evallog.py 2048` writes 2048 MB of JSON lines, reads them, and says what it took."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = """
import resource, sys
from pgpost.cli import main
main(["quantile", sys.argv[1], "--json"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


def peak(path, megabytes):
    "Peak resident memory, in MB, while a HumanEval log of that size is read."
    size, sample = 0, 0
    with open(path, "w") as file:
        while size < megabytes << 20:
            size += file.write(json.dumps(dict(task_id=f"HumanEval/{sample % 164}", completion="x" * 9000, result="passed", passed=sample % 3 == 0)) + "\n")
            sample += 1
    result = subprocess.run([sys.executable, "-c", COMMAND, path], capture_output=True, text=True, check=True)
    (row,) = json.loads(result.stdout)["models"].values()
    assert row["answers"] == sample and row["problems"] == 164
    return int(result.stderr.split()[-1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as tmp: print(peak(Path(tmp, "log.jsonl"), int(sys.argv[1])), "MB at most")
