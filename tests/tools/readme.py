"README.md is the index notebook as Markdown. `python tests/tools/export.py` writes it; a test keeps the two in step."
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def readme() -> str:
    "The index notebook as Markdown, with links that work from the top folder."
    parts = []
    for cell in json.loads((ROOT / "nbs/index.ipynb").read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(re.sub(r"\]\((?!https?://|#)", "](nbs/", source))
        elif cell["cell_type"] == "code":
            parts.append(f"```python\n{source}\n```")
            text = "".join("".join(o["text"]) for o in cell["outputs"] if "text" in o)
            if text: parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"
