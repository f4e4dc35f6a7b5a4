"""What is built, locked and run elsewhere is what the checkout says; each tool sees what is wrong."""

import configparser
import importlib
import io
import pathlib
import re
import subprocess
import tarfile
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[1]


def tool(monkeypatch, name, folder="tools/package"):
    monkeypatch.syspath_prepend(str(ROOT / folder))
    return importlib.import_module(name)


def metadata():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.fixture
def checkout(tmp_path):
    """A small checkout, with a file that git ignores and one that nobody has added yet."""
    root = tmp_path / "checkout"
    for name in ("README.md", "kmix_tf/one.py", "kmix_tf/page.html", "kmix_tf/junk.pyc", "tests/test_one.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / ".gitignore").write_text("*.pyc\n")
    subprocess.run(["git", "init", "--quiet", root], check=True)
    subprocess.run(["git", "-C", root, "add", "README.md", "kmix_tf"], check=True)
    return root


def packed(folder, sdist, wheel):
    """Archives of these files, as a build names them, with a file of the build's own in each."""
    paths = folder / "kmix_tf-1.2.3.tar.gz", folder / "kmix_tf-1.2.3-py3-none-any.whl"
    with tarfile.open(paths[0], "w:gz") as archive:
        for name in ["PKG-INFO", "kmix_tf.egg-info/SOURCES.txt", *sdist]:
            archive.addfile(tarfile.TarInfo(f"kmix_tf-1.2.3/{name}"), io.BytesIO())
    with zipfile.ZipFile(paths[1], "w") as archive:
        for name in ["kmix_tf-1.2.3.dist-info/RECORD", *wheel]:
            archive.writestr(name, "")
    return paths


SOURCES = [".gitignore", "README.md", "kmix_tf/one.py", "kmix_tf/page.html", "tests/test_one.py"]
PACKAGE = ["kmix_tf/one.py", "kmix_tf/page.html"]


@pytest.mark.parametrize(
    ("sdist", "wheel", "told"),
    [
        (SOURCES, PACKAGE, []),
        ([*SOURCES, "kmix_tf/junk.pyc"], PACKAGE, ["the sdist has kmix_tf/junk.pyc, which git does not hold"]),
        (SOURCES[1:], PACKAGE, ["the sdist lacks .gitignore"]),
        (SOURCES, [*PACKAGE, "tests/test_one.py"], ["the wheel has tests/test_one.py, which git does not hold"]),
        (SOURCES, PACKAGE[:1], ["the wheel lacks kmix_tf/page.html"]),
        (SOURCES, [*PACKAGE, "kmix_tf-1.2.3.dist-info/other"], ["kmix_tf-1.2.3.dist-info/other"]),
    ],
)
def test_what_a_build_has_too_many_or_lacks_is_named(monkeypatch, tmp_path, checkout, sdist, wheel, told):
    found = tool(monkeypatch, "contents").wrong(checkout, *packed(tmp_path, sdist, wheel))
    assert len(found) == len(told) and all(part in line for part, line in zip(told, found, strict=True)), found


def test_what_the_package_needs_is_without_extras(monkeypatch):
    needed = tool(monkeypatch, "environments").needed("kmix_tf")
    # Of the second step, too, and nothing that an extra brings.
    assert {"tensorflow", "keras", "scipy", "numpy", "protobuf", "absl-py"} <= needed
    assert not {"matplotlib", "click", "scikit-learn", "pyarrow", "jinja2", "pytest"} & needed


@pytest.mark.parametrize(
    ("tag", "changelog", "told"),
    [
        ("v1.2.3", "## [1.2.3] - 2026-01-02\n", None),
        ("1.2.3", "## [1.2.3] - 2026-01-02\n", "The tag is 1.2.3, but kmix_tf/_version.py says 1.2.3"),
        ("v1.2.4", "## [1.2.3] - 2026-01-02\n", "The tag is v1.2.4"),
        ("v1.2.3", "## [Unreleased]\n", "no heading"),
        ("v1.2.3", "## [11.2.3] - 2026-01-02\n## [1.2.30] - 2026-01-02\n", "no heading"),
    ],
)
def test_a_tag_is_the_version_that_the_changelog_dates(monkeypatch, tag, changelog, told):
    found = tool(monkeypatch, "tag").wrong(tag, "1.2.3", changelog)
    assert found is None if told is None else told in found


def test_coverage_is_told_by_package_and_counts_branches(monkeypatch, capsys):
    coverage_table = tool(monkeypatch, "coverage_table", "tools")

    def file(lines, run, branches, taken):
        numbers = dict(zip(coverage_table.COUNTS, (lines, run, branches, taken), strict=True))
        return {"summary": numbers, "missing_lines": [], "missing_branches": []}

    files = {"kmix_tf/a.py": file(10, 10, 0, 0), "kmix_tf/batch/b.py": file(80, 79, 20, 16)}
    files["kmix_tf/batch/deep/c.py"] = file(10, 8, 20, 20)
    packages = coverage_table.by_package(files)
    assert {name: coverage_table.shares(counts) for name, counts in packages.items()} == {
        "batch": (pytest.approx(100 * 87 / 90), 90.0),
        "kmix_tf/*.py": (100.0, 100.0),
        "all": (97.0, 90.0),
    }
    monkeypatch.setattr(coverage_table, "counted", lambda: files)
    monkeypatch.setattr("sys.argv", ["coverage_table.py"])
    coverage_table.main()
    files["kmix_tf/a.py"] = file(10, 10, 1, 0)
    with pytest.raises(SystemExit, match="Less than 90 %"):
        coverage_table.main()
    assert "| batch | 90 | 96.7 % | 40 | 90.0 % |" in capsys.readouterr().out


def test_coverage_leaves_out_the_same_folders_wherever_a_program_of_a_test_runs():
    omitted = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["run"]["omit"]
    for pattern in omitted:
        assert pattern.startswith("*/kmix_tf/"), f"{pattern} would be read from the folder in which the program runs"
        assert list(ROOT.glob(pattern.removeprefix("*/"))), f"{pattern} names nothing"


LOCKS = {"newest": ("dev", "docs", "examples", "plot", "cli"), "addons": ("addons", "dev", "examples", "plot", "cli")}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_and_is_what_the_metadata_asks_for(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    # No host of anybody's: the registry is the business of whoever installs.
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    locked = {}
    for entry in entries:
        package, version = re.match(r"([\w.-]+)==(\S+) \\\n", entry).groups()
        assert "--hash=sha256:" in entry, package
        locked[package] = version
    options = metadata()["options"]["install_requires"].splitlines()
    for extra in LOCKS[name]:
        options += metadata()["options.extras_require"][extra].splitlines()
    for line in options:
        if line.strip() and not line.startswith("#"):
            wanted = Requirement(line)
            assert wanted.specifier.contains(locked[re.sub(r"[-_.]+", "-", wanted.name).lower()]), line


def test_workflows_call_the_targets_of_the_checks():
    yaml = pytest.importorskip("yaml")
    makefile = (ROOT / "Makefile").read_text()
    workflows = {
        path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")
    }
    jobs = {name: next(iter(workflow["jobs"].values())) for name, workflow in workflows.items()}
    asked = {name: job["strategy"]["matrix"]["target"] for name, job in jobs.items() if "strategy" in job}
    steps = re.findall(r"^(?:step make|beside) ([\w -]+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    ours = " ".join(steps).split()
    assert sorted(asked["checks"]) == sorted(ours)
    for job in jobs.values():
        called = re.findall(r"make ([\w-]+)", " ".join(step.get("run", "") for step in job["steps"]))
        asked.setdefault("released", []).extend(called)
    told = (ROOT / "CONTRIBUTING.md").read_text()
    for target in {each for targets in asked.values() for each in targets}:
        assert re.search(rf"^{target}: ", makefile, re.MULTILINE), target
        assert target in told, target
