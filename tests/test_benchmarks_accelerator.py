"""What `benchmarks/accelerator.py` exports is what TensorFlow runs, and differences are told.

That JAX runs it is asked in tests/backends.
"""

import importlib
import json
import pathlib
import re
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from kmix_tf._compat import IS_KERAS_3

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def accelerator():
    """The benchmark, as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("accelerator")
    sys.path.remove(str(BENCHMARKS))


def rows_of(*names, device=None):
    """What a run gives: the times of programs are 1, 2, 4, ... on a device."""
    times = [None if device is None else 2.0**number for number in range(len(names))]
    both = zip(names, times, strict=True)
    rows = {name: {"ms": ms, "accelerator_error": ms, "error": 0.0, "agrees": True} for name, ms in both}
    return {"device": device, "quick": False, "programs": rows}


NAMES = ("copy", "blend", "mix", "step", "mixed step")


def test_differences_are_told(accelerator):
    x = np.array([1.0, -4.0], np.float32)
    assert accelerator.error(x, x) == 0
    assert accelerator.error(x + np.float32([0.5, 0]), x) == pytest.approx(0.5 / 4)
    assert accelerator.error(x / 100, x / 50) == pytest.approx(4 / 100)  # Small numbers are measured by 1.
    assert accelerator.error(np.array([0, 2, 1, 3]), np.array([0, 1, 2, 3])) == 0.5
    assert accelerator.error(x[:1], x) == accelerator.error(x.astype(np.float64), x) == 1
    assert accelerator.error(x * np.nan, x) == 1


def test_without_an_accelerator_there_are_no_numbers_but_a_word(accelerator):
    text = accelerator.markdown(rows_of(*NAMES))
    assert accelerator.NO_ACCELERATOR in text and "| mix | yes | 0.0e+00 |  |  |" in text
    assert accelerator.NO_JAX in accelerator.markdown({"device": None, "quick": False, "programs": {}})


def test_with_one_there_are(accelerator):
    text = accelerator.markdown(rows_of(*NAMES, device="a device"))
    assert "Accelerator: a device" in text and "| mix | yes | 0.0e+00 | 4.000 | 4.0e+00 |" in text


@pytest.fixture(scope="module")
def exported(accelerator, tmp_path_factory):
    if not IS_KERAS_3:
        pytest.skip("Keras 2 has no call without state, by which a step takes weights as arguments")
    folder = tmp_path_factory.mktemp("programs")
    importlib.import_module("accelerator_programs").export(folder, quick=True)
    names = [each["name"] for each in json.loads((folder / "programs.json").read_text())["programs"]]
    files = [(f"{folder}/{number}-inputs.npz", f"{folder}/{number}-results.npz") for number in range(len(names))]
    found = {name: [accelerator.arrays(file) for file in both] for name, both in zip(names, files, strict=True)}
    return folder, found


def test_all_that_a_program_reads_is_an_argument(exported):
    folder, found = exported
    for number, (inputs, results) in enumerate(found.values()):
        text = (folder / f"{number}.mlir").read_text()
        head = re.search(r"func\.func (?:public )?@main\((.*?)\) -> ", text, re.DOTALL)[1]
        assert head.count("%arg") == len(inputs) and results


def test_results_are_those_of_the_ideas(exported):
    _, found = exported
    (images,), (copied,) = found["copy"]
    assert np.array_equal(images, copied)
    (cost,), (columns,) = found["assignment, 2 x 4x4"]
    assert all((linear_sum_assignment(c)[1] == ours).all() for c, ours in zip(cost, columns, strict=True))
    (images, partners, order, ratio), (blended,) = found["blend"]
    share = ratio[:, np.newaxis, np.newaxis, np.newaxis]
    np.testing.assert_allclose(blended, share * images + (1 - share) * partners[order], rtol=1e-6)
    (_, labels, _), (_, mixed_labels) = found["mix"]
    np.testing.assert_allclose(mixed_labels.sum(1), 1, rtol=1e-6)
    assert not np.array_equal(labels, mixed_labels)


def test_a_step_lowers_its_loss_and_is_mixed_or_not(exported):
    _, found = exported
    programs = importlib.import_module("accelerator_programs")
    losses = {}
    for name in ("step", "mixed step"):
        inputs, results = found[name]
        images, labels, weights = inputs[0], inputs[1], inputs[3:]
        assert [each.shape for each in weights] == [each.shape for each in results[1:]]
        model = programs.networks.residual_network(2, 1, images.shape[1])
        all_weights = [*model.trainable_variables, *model.non_trainable_variables]
        for variable, value in zip(all_weights, weights, strict=True):
            variable.assign(value)
        logits = model(images, training=True)
        losses[name] = float(tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits)))
        losses[f"{name}, exported"] = float(results[0])
    assert losses["step"] == pytest.approx(losses["step, exported"], rel=1e-4)
    assert losses["step, exported"] != pytest.approx(losses["mixed step, exported"], rel=1e-4)
