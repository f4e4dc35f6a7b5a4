"""What a sdist and a wheel hold, beside what they should: what git holds."""

import pathlib
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable

# What the build writes into each. A sdist lies in a folder of its name.
_EGG = ("PKG-INFO", "SOURCES.txt", "dependency_links.txt", "entry_points.txt", "requires.txt", "top_level.txt")
_IN_SDIST = {"PKG-INFO", *(f"kmix_tf.egg-info/{name}" for name in _EGG)}
_IN_WHEEL = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt")


def of_checkout(root: pathlib.Path) -> set[str]:
    """The files that git holds, or would if they were added: all but those it ignores."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name for name in told.split("\0") if name and (root / name).is_file()}


def of_sdist(path: pathlib.Path) -> set[str]:
    """The files of a sdist, without the folder that holds them, and without what the build writes."""
    with tarfile.open(path) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers() if not member.isdir()]
    return set(names) - _IN_SDIST


def of_wheel(path: pathlib.Path) -> set[str]:
    """The files of a wheel, without what the build writes."""
    with zipfile.ZipFile(path) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    folder = "-".join(path.name.split("-")[:2]) + ".dist-info"
    return names - {f"{folder}/{name}" for name in _IN_WHEEL}


def differences(what: str, found: Iterable[str], expected: Iterable[str]) -> list[str]:
    """A line for each file that should not be there, or is missing."""
    found, expected = set(found), set(expected)
    return [
        *(f"{what} has {name}, which git does not hold" for name in sorted(found - expected)),
        *(f"{what} lacks {name}" for name in sorted(expected - found)),
    ]


def wrong(root: pathlib.Path, sdist: pathlib.Path, wheel: pathlib.Path) -> list[str]:
    """What is wrong with both: the sdist should be the checkout, and the wheel its folder kmix_tf."""
    checkout = of_checkout(root)
    package = {name for name in checkout if name.startswith("kmix_tf/")}
    return [
        *differences("the sdist", of_sdist(sdist), checkout),
        *differences("the wheel", of_wheel(wheel), package),
    ]
