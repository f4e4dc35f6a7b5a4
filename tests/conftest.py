"""What the tests share: quiet TensorFlow, repeatable Hypothesis, and oracles that know nothing of the package."""

import json
import os
import pathlib
import re
import subprocess
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported, which reads it once

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import settings
from scipy.optimize import linear_sum_assignment

# The first example of a shape compiles it, so time says nothing; and a red build should be red again when rerun.
settings.register_profile("kmix_tf", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("kmix_tf")


def _flat(x):
    """All leaves of a batch side by side, in float64."""
    leaves = [np.asarray(leaf).astype(np.float64) for leaf in (x if isinstance(x, list) else [x])]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def _distances(first, second, cost):
    squared = np.square(first[:, np.newaxis] - second[np.newaxis]).sum(axis=2)
    return squared if cost == "sqeuclidean" else np.sqrt(squared)


def _excess(first, second, partner, group, cost="sqeuclidean"):
    """By how much of its least cost the worst group's matching misses it, by SciPy on the plain distances."""
    first, second = _flat(first), _flat(second)
    # Squares of the oracle's own must neither over- nor underflow.
    unit = max(np.abs(first).max(), np.abs(second).max()) or 1.0
    first, second = first / unit, second / unit
    worst = 0.0
    for number in np.unique(group):
        rows = np.flatnonzero(group == number)
        costs = _distances(first[rows], second[partner[rows]], cost)
        least = costs[linear_sum_assignment(costs)].sum()
        worst = max(worst, (np.trace(costs) - least) / max(least, np.finfo(np.float64).tiny))
    return worst


@pytest.fixture(scope="session")
def excess():
    """`excess(first, second, partner, group, cost)`: 0 if each group is matched optimally with its partners."""
    return _excess


@pytest.fixture(scope="class")
def plain_functions():
    """Runs tf.functions without compiling them, for tests that see many shapes and care for values only.

    Of class scope because Hypothesis refuses those of function scope; a function outside classes is a class to it.
    """
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="class", params=["plain", pytest.param("compiled", marks=pytest.mark.matrix)])
def plain_and_compiled(request):
    """As `plain_functions`, and in the matrix compiled as well: for tests of values, each of a shape of its own."""
    tf.config.run_functions_eagerly(request.param == "plain")
    yield
    tf.config.run_functions_eagerly(False)


def _same(first, second, rtol=1e-6, atol=1e-6):
    tf.nest.assert_same_structure(first, second)
    for ours, theirs in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


@pytest.fixture(scope="session")
def same():
    """`same(first, second)`: equal structures, dtypes and, but for rounding, values."""
    return _same


@pytest.fixture(scope="session")
def elsewhere():
    """`elsewhere(program, *arguments, folder=".")`: what a program printed, run in a process of its own, to its end.

    For what must hold in another process. Each is forked from one that has imported TensorFlow and Keras, which takes
    seconds, and has done nothing else: it has no devices yet, has seen nothing of the package, and knows no other
    program.
    """
    servers = []

    def run(program, *arguments, folder="."):
        if not servers or servers[-1].poll() is not None:
            servers.append(_server())
        server = servers[-1]
        told = {"program": program, "arguments": list(map(str, arguments)), "folder": os.path.abspath(folder)}
        print(json.dumps(told), file=server.stdin, flush=True)
        answer = server.stdout.readline()
        assert answer, f"the process that programs are forked from has ended with {server.wait()}"
        status, out, error = json.loads(answer)
        assert status == 0, error[-3000:]
        return out

    yield run
    for server in servers:
        server.communicate()


def _server():
    return subprocess.Popen(
        [sys.executable, str(pathlib.Path(__file__).with_name("elsewhere.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks with `matrix` what `representatives("a, b", [(1, 2), ...])` does not name, as `parametrize` would."""
    for item in items:
        for names, values in (mark.args for mark in item.iter_markers("representatives")):
            names = names.split(", ")
            values = [value if len(names) > 1 else (value,) for value in values]
            for name, among in zip(names, zip(*values, strict=True), strict=True):
                # Else a value that was renamed would leave a question to the matrix, and nobody would know.
                if any(value not in _parameters(item, name) for value in among):
                    raise pytest.UsageError(f"{item.nodeid}: not all representatives are parameters: {name}={among}")
            if tuple(item.callspec.params[name] for name in names) not in values:
                item.add_marker("matrix")


def _parameters(item, name):
    """All values that a test is asked for."""
    for mark in item.iter_markers("parametrize"):
        names, values = mark.args
        names = [each.strip() for each in names.split(",")] if isinstance(names, str) else list(names)
        if name in names:
            known = type(pytest.param())
            sets = [each.values if isinstance(each, known) else each if names[1:] else (each,) for each in values]
            return [each[names.index(name)] for each in sets]
    return []


def pytest_make_parametrize_id(val, argname):
    """Names of tests must be the same in every process: objects are named by their class, not where they lie."""
    return type(val).__name__ if re.search(r" at 0x[0-9a-f]+", repr(val)) else None
