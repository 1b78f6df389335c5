"""The pages of the site: notebooks after nbdev's filter, which is what Quarto renders, and, where Quarto is installed, what comes out.

Anchors are made the way Pandoc makes them."""
import functools
import importlib
import inspect
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
from html.parser import HTMLParser
from pathlib import Path
from subprocess import STDOUT
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from nbdev.cli import nbdev_filter
from processes import run

ROOT = Path(__file__).parents[2]
NBS = ROOT / "nbs"
NOTEBOOKS = sorted(p for p in NBS.rglob("*.ipynb") if not any(part.startswith((".", "_")) for part in p.relative_to(NBS).parts))
MODULES = {re.sub(r"^\d+[a-z]*_", "", p.stem): p for p in NOTEBOOKS if p.stem[0].isdigit()}
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: str(p.relative_to(NBS)))


@functools.cache
def page(path) -> list:
    "Cells of a notebook after nbdev's filter."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [dict(c, source="".join(c["source"])) for c in json.loads(nbdev_filter(fname=str(path), printit=False))["cells"]]


def front(path) -> dict:
    "The options at the head of a notebook."
    first = page(path)[0]
    return yaml.safe_load(first["source"].strip().strip("-")) if first["cell_type"] == "raw" else {}


def options(cell) -> dict:
    "Quarto's options of a code cell. They are YAML: a text with a colon in it needs quotes."
    lines = re.findall(r"^#\s*\|(.*)$", cell["source"], re.M) if cell["cell_type"] == "code" else []
    return yaml.safe_load("\n".join(line.strip() for line in lines)) or {}


def prose(path) -> str:
    "The Markdown of a page, without its code."
    text = "\n\n".join(c["source"] for c in page(path) if c["cell_type"] == "markdown")
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def slug(heading) -> str:
    "The anchor of a heading."
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"\s+", "-", re.sub(r"[^\w\s.-]", "", text).strip().lower())
    return re.sub(r"^[^a-z]+", "", text) or "section"


@functools.cache
def anchors(path) -> list:
    "The anchors of a page. Its first heading is the title and has none."
    found = []
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.M)[1:]:
        explicit, name = re.search(r"\{#([^\s}]+)[^}]*\}\s*$", heading), slug(heading)
        if explicit: found.append(explicit[1])
        else: found.append(next(a for i in range(100) if (a := f"{name}-{i}" if i else name) not in found))
    return found


def html_name(path): return front(path).get("output-file", f"{path.stem}.html")


def symbols(module):
    "Public names of a module, with the public methods that its classes define."
    lib = importlib.import_module(f"pgpost.{module}")
    for name in lib.__all__:
        yield name
        if inspect.isclass(thing := getattr(lib, name)):
            for method, value in vars(thing).items():
                if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, (property, functools.cached_property, classmethod))):
                    yield f"{name}.{method}"


class Page(HTMLParser):
    "What a page links to and can be linked by."
    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.images, self.meta, self.title, self.redirect = set(), [], [], {}, "", None
        self._in_title = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        self._in_title |= tag == "title" and not self.title
        if tag == "a" and attrs.get("href"): self.links.append(attrs["href"])
        if tag in ("script", "img") and attrs.get("src"): self.links.append(attrs["src"])
        if tag == "link" and attrs.get("href") and attrs.get("rel") in ("stylesheet", "icon"): self.links.append(attrs["href"])
        if tag == "img": self.images.append(attrs)
        if tag == "meta" and attrs.get("name"): self.meta[attrs["name"]] = attrs.get("content") or ""
        if tag == "meta" and (attrs.get("http-equiv") or "").lower() == "refresh": self.redirect = attrs["content"].split("=", 1)[1].strip(" '\"")

    def handle_data(self, data):
        if self._in_title: self.title += data.strip()

    def handle_endtag(self, tag):
        if tag == "title": self._in_title = False


def problems(site) -> list:
    "Broken links and anchors of rendered pages, and pages and images that do not say what they are."
    site = site.resolve()
    pages, found = {p: Page(p) for p in sorted(site.rglob("*.html")) if "site_libs" not in p.parts}, []
    for path, this in pages.items():
        def say(what): found.append(f"{path.relative_to(site)}: {what}")
        if not this.redirect:
            if not this.title: say("no title")
            if not this.meta.get("description"): say("no description")
        for attrs in this.images:
            if not (attrs.get("alt") or attrs.get("role") == "presentation" or attrs.get("aria-hidden") == "true"): say(f"no alt text: {attrs.get('src', '')[:80]}")
        for link in this.links + [this.redirect] * bool(this.redirect):
            url = urlsplit(link)
            if url.scheme or url.netloc: continue
            if url.path.startswith("/"):
                say(f"absolute link: {link}")
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if target.is_dir(): target /= "index.html"
            anchor = unquote(url.fragment)
            if not target.is_file(): say(f"broken link: {link}")
            elif anchor and target in pages and anchor not in pages[target].ids: say(f"broken anchor: {link}")
    return found


def complaints(log) -> list:
    "Lines of Quarto's output that are warnings or errors."
    return [line for line in re.sub(r"\x1b\[[\d;]*m", "", log).splitlines() if re.match(r"\s*\[?(WARN(ING)?|ERROR)\b", line) or "Warning:" in line]


@functools.cache
def rendered() -> tuple:  # folder of the site, output of Quarto, its return code, what removes the folder at the end
    """The site, rendered once from a copy. Skips where Quarto is missing.

    The workflow that deploys has rendered it already, and tests that very folder: `RENDERED_SITE` names it, beside it lies the output of Quarto."""
    if site := os.environ.get("RENDERED_SITE"): return Path(site).resolve(), Path(f"{site}.log").read_text(encoding="utf-8"), 0, None
    if not (quarto := shutil.which("quarto")): pytest.skip("Quarto is not installed, see https://quarto.org/docs/get-started")
    folder = tempfile.TemporaryDirectory()
    root = Path(folder.name) / "site"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".git", ".venv", ".quarto", "_site", "_proc", "*.egg-info", "build", "dist", "out", "tests"))
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "QUARTO_PYTHON": sys.executable}
    result = run(quarto, "render", cwd=root, env=env, stderr=STDOUT, timeout=1200)
    return root / "_site", result.stdout, result.returncode, folder
