"""What comes from files is data: it is never run, neither here nor by the program that opens what was written."""

import ast
import csv
import io
import pathlib

import pytest

import kmix_tf
from kmix_tf.cli.audit.contradicting import table

PACKAGE = pathlib.Path(kmix_tf.__file__).parent
# Names that run text, import by name, or read what runs when it is read; and who may use them, with constants only.
RUN = {
    "eval", "exec", "compile", "__import__", "import_module", "Lambda", "enable_unsafe_deserialization",
    "run_path", "run_module", "popen", "getoutput", "unsafe_load",
}  # fmt: skip
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "runpy", "code", "ctypes"}
# Packages whose names stand in the code, and the experiments of the clone that `reproduce` runs in.
ALLOWED = {
    (file, "import_module") for file in ("_extras.py", "in_keras.py", "formats.py", "finding.py", "summary.py")
}


def name_of(node):
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)


def suspicious(tree):
    """What of a file's syntax would run what it is given."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            yield from (module for module in modules if module.partition(".")[0] in MODULES)
            yield from (each.name for each in node.names if each.name in RUN)
        if isinstance(node, ast.Call):
            called = name_of(node.func)
            options = {each.arg: getattr(each.value, "value", None) for each in node.keywords}
            # Keras' own `compile` of a model is none of Python's.
            if called in RUN and not (called == "compile" and isinstance(node.func, ast.Attribute)):
                yield called
            if options.get("safe_mode", True) is not True or options.get("allow_pickle", False) is not False:
                yield f"{called}(safe_mode or allow_pickle)"
            is_numpy = isinstance(node.func, ast.Attribute) and name_of(node.func.value) in ("np", "numpy")
            if called == "load" and is_numpy and "allow_pickle" not in options:
                yield "np.load without allow_pickle=False"


def test_nothing_in_the_package_runs_what_it_is_given():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 300
    for file in files:
        found = set(suspicious(ast.parse(file.read_text(encoding="utf-8"))))
        assert {(file.name, name) for name in found} <= ALLOWED, file


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')",
        "import pickle",
        "from joblib import load",
        "keras.layers.Lambda(f)",
        "importlib.import_module(x)",
        "keras.models.load_model(p, safe_mode=False)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "os.popen(x)",
    ],
)
def test_what_would_run_is_seen(code):
    assert list(suspicious(ast.parse(code)))


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-x", "@SUM(A1)", "\t=1", "\n=1", "=HYPERLINK(1)/a.png"])
def test_no_name_is_a_formula_in_a_spreadsheet(name):
    groups = [{"kind": "equal", "samples": [name, "a/b.png"], "labels": [name, "-1"], "distance": 0.0}]
    rows = list(csv.reader(io.StringIO(table(groups), newline="")))
    assert rows[1][2:4] == [f"'{name}"] * 2
    # Numbers are none, and other names stay as they are.
    assert rows[2][2:4] == ["a/b.png", "-1"]
