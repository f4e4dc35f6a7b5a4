"""Environments to install a wheel into: fresh ones, and one of links into this one, made at once."""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator

PACKAGE = "kmix_tf"


def run(*command: str | pathlib.Path, **options: object) -> str:
    """What a command prints. An error shows what it printed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def uv(*arguments: str | pathlib.Path) -> str:
    """What uv prints. `make` says where it is."""
    return run(os.environ.get("UV", "uv"), *arguments)


def fresh(folder: pathlib.Path, requirement: str, is_dry: bool = False) -> pathlib.Path:
    """A new environment with what is asked for. is_dry: only resolved. Returns its Python."""
    uv("venv", "--quiet", "--clear", "--no-python-downloads", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    uv("pip", "install", "--quiet", *(["--dry-run"] if is_dry else []), "--python", python, requirement)
    return python


def of_links(folder: pathlib.Path, wheel: pathlib.Path) -> pathlib.Path:
    """An environment with the wheel, and with what the package needs without extras, as it is in this environment."""
    uv("venv", "--quiet", "--clear", "--no-python-downloads", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    uv("pip", "install", "--quiet", "--no-deps", "--python", python, wheel)
    (site,) = (folder / "lib").glob("python*/site-packages")
    for name in sorted(needed(PACKAGE) - {_normal(PACKAGE)}):
        for path in _parts(name):
            link = site / path.name
            if not link.exists():
                link.symlink_to(path)
    return python


def needed(name: str) -> set[str]:
    """A distribution of this environment and all that it needs without extras, by normal names."""
    found, left = set(), [name]
    while left:
        each = _normal(left.pop())
        if each not in found:
            found.add(each)
            left += _requirements(each)
    return found


def _requirements(name: str) -> Iterator[str]:
    """What a distribution needs in this environment, but for its extras. What is not here is needed elsewhere."""
    for line in importlib.metadata.requires(name) or []:
        needs = re.match(r"[\w.-]+", line)[0]
        if "extra ==" not in line and _is_here(needs):
            yield needs


def _is_here(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _parts(name: str) -> set[pathlib.Path]:
    """What a distribution has put into this environment's site-packages: its folders and files of the first level."""
    distribution = importlib.metadata.distribution(name)
    tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}
    return {pathlib.Path(distribution.locate_file(top)) for top in tops}


def elsewhere() -> tempfile.TemporaryDirectory:
    """A folder that knows nothing of the checkout."""
    return tempfile.TemporaryDirectory(prefix="kmix-tf-wheel-")
