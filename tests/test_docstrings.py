"""Every public object shows how it is used, and what it shows is true."""

import doctest
import importlib
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmix_tf

# Functions that the subpackages offer beside the package's own names.
SUBPACKAGES = [
    "analysis",
    "batch",
    "blend",
    "callbacks",
    "label_shares",
    "layers",
    "maths",
    "paired",
    "pairing",
    "plot",
    "ratio",
    "saliency",
    "trial",
    "weight",
]
NAMES = {"np": np, "tf": tf, "keras": keras, **{name: getattr(kmix_tf, name) for name in kmix_tf.__all__}}
PUBLIC = {name: value for name, value in NAMES.items() if name in kmix_tf.__all__ and callable(value)}


def examples(name, value, names):
    found = doctest.DocTestFinder().find(value, name, module=inspect.getmodule(value), globs=dict(names))
    return [test for test in found if test.examples]


def run(test):
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    runner.run(test, out=report.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", kmix_tf.__all__)
def test_every_public_name_exists(name):
    assert getattr(kmix_tf, name) is not None


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_object_has_an_example(name):
    # A class must show how it is made, which an example of one of its methods may not.
    assert ">>>" in (inspect.getdoc(PUBLIC[name]) or "")


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_are_true(name):
    for test in examples(name, PUBLIC[name], NAMES):
        run(test)


def offered():
    for package in SUBPACKAGES:
        module = importlib.import_module(f"kmix_tf.{package}")
        for name in module.__all__:
            value = getattr(module, name)
            known = any(value is public for public in PUBLIC.values())
            if callable(value) and not known and examples(name, value, {}):
                yield pytest.param(value, {**NAMES, **vars(module)}, id=f"{package}.{name}")


@pytest.mark.parametrize(("value", "names"), list(offered()))
def test_examples_of_the_subpackages_are_true(value, names):
    for test in examples(value.__name__, value, names):
        run(test)
