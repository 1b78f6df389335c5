"""What is made from the notebooks: modules, stubs and README.md. `python tests/tools/export.py` cleans the notebooks and writes all of them."""
from nbdev.clean import nbdev_clean
from nbdev.doclinks import nbdev_export
from readme import README, readme
from stubs import stubs

if __name__ == "__main__":
    nbdev_clean()
    nbdev_export()
    for path, text in {README: readme(), **stubs()}.items(): path.write_text(text, encoding="utf-8")
