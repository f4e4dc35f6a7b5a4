"""Which versions the checks run with, for docs/compatibility.md.

    python tools/tested_versions.py            # prints the table
    python tools/tested_versions.py --write    # writes it into the page

They are read from what is installed in the environments that `make` makes; nothing of it is imported.
"""

import argparse
import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
ENVIRONMENTS = {
    ".venv": "newest: all tests",
    ".venv-addons": "TensorFlow 2.15, Keras 2: representatives, before a release all tests",
    ".venv-backends": "JAX and torch: `tests/backends`",
}
PACKAGES = {
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "jax": "JAX",
    "torch": "PyTorch",
    "tensorflow-addons": "TensorFlow Addons",
}
BLOCK = re.compile(r"(?<=<!-- tested -->\n).*?(?=<!-- /tested -->)", re.DOTALL)
_NONE = "-"


def installed(environment: Path) -> dict[str, str]:
    """Versions of Python and of the packages, by the names of the page; of what is not there, a dash."""
    (library,) = (environment / "lib").glob("python*")
    found = {
        each.metadata["Name"].lower(): each.version
        for each in importlib.metadata.distributions(path=[str(library / "site-packages")])
    }
    versions = {name: found.get(package, _NONE).partition("+")[0] for package, name in PACKAGES.items()}
    return {"Python": library.name.removeprefix("python"), **versions}


def table(columns: Sequence[dict[str, str]], heads: Sequence[str]) -> str:
    """A line for Python and each package, a column for each environment."""
    names = list(columns[0])
    rows = [["", *heads], ["---"] * (len(heads) + 1)]
    rows += [[name, *(column[name] for column in columns)] for name in names]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/compatibility.md")
    parser.add_argument("--root", type=Path, default=ROOT, help="where the environments are")
    given = parser.parse_args()
    made = table([installed(given.root / name) for name in ENVIRONMENTS], list(ENVIRONMENTS.values()))
    print(made, end="")
    if given.write:
        PAGE.write_text(BLOCK.sub(lambda _: made, PAGE.read_text()))


if __name__ == "__main__":
    main()
