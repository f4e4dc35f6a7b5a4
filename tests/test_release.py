"""A version is written in one place; what must follow it does. The page on compatibility claims what is checked."""

import datetime
import importlib.metadata
import importlib.util
import pathlib
import re

import keras
import pytest

import kmix_tf
from kmix_tf._deprecated import NOTICES

ROOT = pathlib.Path(__file__).parents[1]
VERSION = kmix_tf.__version__


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = module_of(ROOT / "tools" / "tested_versions.py")
PAGE = TOOL.PAGE.read_text()


def test_the_citation_and_the_changelog_are_of_this_version():
    found = re.search(r"^version: (\S+)\ndate-released: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert found[1] == VERSION
    assert f"## [{VERSION}] - {datetime.date.fromisoformat(found[2])}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_page_on_compatibility_names_no_later_versions_than_those_that_run_here():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TOOL.BLOCK.search(PAGE)[0].splitlines()]
    heads, columns = rows[0][1:], list(zip(*rows[2:], strict=True))
    assert heads == list(TOOL.ENVIRONMENTS.values())
    here = 1 if keras.__version__.startswith("2") else 0
    stated = dict(zip(columns[0], columns[1 + here], strict=True))
    for package in ("tensorflow", "keras", "numpy"):
        now = importlib.metadata.version(package)
        assert number(now) >= number(stated[TOOL.PACKAGES[package]]), package


def number(version):
    return [int(part) for part in version.split(".")[:2]]


@pytest.mark.parametrize("package", TOOL.PACKAGES)
def test_versions_are_read_of_an_environment_without_importing_anything(package, tmp_path):
    folder = tmp_path / "lib" / "python3.11" / "site-packages" / f"{package.replace('-', '_')}-1.2.3.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2.3+cpu\n")
    found = TOOL.installed(tmp_path)
    assert found.pop("Python") == "3.11" and found.pop(TOOL.PACKAGES[package]) == "1.2.3"
    assert set(found.values()) == {"-"}


def test_the_page_lists_what_is_deprecated():
    listed = PAGE.partition("Deprecated now:")[2]
    names = {each.what.partition(",")[0] for each in NOTICES}
    assert names == {"uses_targets", "uses_saliency", "interpolations", "times"}
    assert all(f"`{name}`" in listed for name in names)
    assert all(f"| {each.since} | {each.removed_in} |" in listed for each in NOTICES)
