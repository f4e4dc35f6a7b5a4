"""Metrics under whatever back end Keras runs: values against NumPy, long sums, and what is wrong."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from kmix_tf import ExpectedCalibrationError, LocalMixupLoss, MixAccuracy, MixMetric, pack_targets

pytestmark = pytest.mark.skipif(keras.__version__ < "3", reason="Keras 2 has TensorFlow alone")

BACKEND = keras.backend.backend()
COMPILED = [False] if BACKEND == "torch" else [False, True]
# What is wrong in a batch is told by TensorFlow's own error on TensorFlow, which can tell it in graphs, too.
WRONG = tf.errors.InvalidArgumentError if BACKEND == "tensorflow" else ValueError
RNG = np.random.default_rng(4)
SIZE, CLASSES = 60, 4
ONE_HOT = np.eye(CLASSES, dtype="f4")
BATCH = 16  # of which the last is a partial one
A, B = RNG.integers(0, CLASSES, (2, SIZE)).astype("i4")
RATIO, COUNT = RNG.uniform(0.5, 1, SIZE).astype("f4"), RNG.integers(0, 3, SIZE).astype("f4")
P = RNG.dirichlet(np.ones(CLASSES), SIZE).astype("f4")
MIXED = RATIO[:, np.newaxis] * ONE_HOT[A] + (1 - RATIO[:, np.newaxis]) * ONE_HOT[B]
# Of three samples each, as several interpolations make them.
OF_THREE = (0.5 * ONE_HOT[A] + 0.3 * ONE_HOT[B] + 0.2 * ONE_HOT[RNG.permutation(A)]).astype("f4")


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def result(metric, y, p, weight=None):
    metric.update_state(y, p, sample_weight=weight)
    return array(metric.result())


def calibration_error(labels, p, bins=10, weight=None):
    """By its definition, sample by sample, of float64."""
    p, weight = p.astype("f8"), np.ones(len(p)) if weight is None else weight
    confidence, gaps = p.max(axis=1), np.zeros(bins)
    hit = p.argmax(axis=1) == labels
    for c, h, w in zip(confidence, hit, weight, strict=True):
        gaps[min(int(np.ceil(np.round(c * bins, 12))) - 1, bins - 1)] += w * (h - c)
    return np.abs(gaps).sum() / weight.sum()


def as_it_is(outputs):
    """A model that answers with what it is given, so that metrics see chosen predictions in `evaluate`."""
    return keras.Sequential([keras.Input([outputs]), keras.layers.Identity()])


@pytest.mark.parametrize("jit_compile", COMPILED)
@pytest.mark.parametrize("form", ["packed classes", "packed labels", "soft", "of three"])
@pytest.mark.representatives("form, jit_compile", [("packed classes", COMPILED[-1]), ("of three", COMPILED[-1])])
def test_in_evaluate_they_are_what_the_shares_of_labels_say(form, jit_compile):
    y = {
        "packed classes": lambda: pack_targets(A, B, RATIO, np.linspace(0, 1, SIZE, dtype="f4")),
        "packed labels": lambda: pack_targets(ONE_HOT[A], ONE_HOT[B], RATIO),
        "soft": lambda: MIXED,
        "of three": lambda: OF_THREE,
    }[form]()
    soft = OF_THREE if form == "of three" else MIXED
    share = soft[np.arange(SIZE), P.argmax(axis=1)]
    metrics = [MixAccuracy(), MixMetric("sparse_categorical_accuracy", name="sparse"), ExpectedCalibrationError()]
    metrics += [MixMetric(keras.metrics.AUC(num_thresholds=1000), name="auc")]
    weighted = [MixAccuracy(name="weighted"), MixMetric(keras.metrics.Recall(), name="recall")]
    model = as_it_is(CLASSES)
    kind = "sparse_categorical_crossentropy" if form == "packed classes" else "categorical_crossentropy"
    model.compile(loss=LocalMixupLoss(kind), metrics=metrics, weighted_metrics=weighted, jit_compile=jit_compile)
    for _ in range(2):  # the second time after a reset
        ours = model.evaluate(P, array(y), BATCH, sample_weight=COUNT, verbose=0, return_dict=True)
        assert ours["mix_accuracy"] == pytest.approx(share.mean(), rel=1e-5)
        assert ours["sparse"] == pytest.approx(share.mean(), rel=1e-5)
        assert ours["weighted"] == pytest.approx(np.average(share, weights=COUNT), rel=1e-5)
        recall = (COUNT[:, np.newaxis] * soft * (P > 0.5)).sum() / (COUNT[:, np.newaxis] * soft).sum()
        assert ours["recall"] == pytest.approx(recall, rel=1e-5)
        labels = soft.argmax(axis=1)
        assert ours["expected_calibration_error"] == pytest.approx(calibration_error(labels, P), abs=1e-6)
        assert ours["auc"] == pytest.approx(auc(soft), abs=2e-3)


def auc(soft):
    """Of each label of each sample, there with its share, and not there with the rest, by scikit-learn."""
    there = np.repeat([1, 0], soft.size)
    shares = np.concatenate([soft.ravel(), 1 - soft.ravel()])
    return roc_auc_score(there, np.tile(P.ravel(), 2), sample_weight=shares)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_predictions_in_half_precision_are_taken(policy):
    dtype = policy.removeprefix("mixed_")
    half = array(keras.ops.cast(keras.ops.cast(P, dtype), "float32"))
    p = keras.ops.cast(P, dtype)
    y = pack_targets(A, B, RATIO)
    share = MIXED[np.arange(SIZE), half.argmax(axis=1)]
    assert result(MixAccuracy(), y, p) == pytest.approx(share.mean(), rel=1e-5)
    assert result(MixMetric("accuracy"), y, p) == pytest.approx(share.mean(), rel=1e-5)
    ours = result(ExpectedCalibrationError(bins=3), MIXED, p)
    assert ours == pytest.approx(calibration_error(MIXED.argmax(axis=1), half, 3), abs=1e-5)


def test_labels_of_one_unit_and_several_at_once_are_taken_apart():
    p = RNG.uniform(size=(SIZE, 1)).astype("f4")
    y = RNG.uniform(size=SIZE).astype("f4")
    expected = np.where(p[:, 0] > 0.5, y, 1 - y).mean()
    assert result(MixAccuracy(), y, p) == pytest.approx(expected, rel=1e-5)
    assert result(MixMetric("accuracy"), y, p) == pytest.approx(expected, rel=1e-5)
    several = RNG.uniform(size=(SIZE, 3)).astype("f4")
    q = RNG.uniform(size=(SIZE, 3)).astype("f4")
    ours = result(MixMetric(keras.metrics.Precision()), several, q)
    assert ours == pytest.approx((several * (q > 0.5)).sum() / (q > 0.5).sum(), rel=1e-5)


def test_a_metric_that_makes_its_variables_late_is_counted():
    soft = MIXED
    model = as_it_is(CLASSES)
    model.compile(loss="mse", metrics=[MixMetric(keras.metrics.F1Score(average="macro"), name="f1")])
    ours = model.evaluate(P, soft, batch_size=BATCH, verbose=0, return_dict=True)["f1"]
    predicted = ONE_HOT[P.argmax(axis=1)]
    expected = np.mean(2 * (soft * predicted).sum(axis=0) / (soft.sum(axis=0) + predicted.sum(axis=0)))
    assert ours == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bins", [1, 7, 10, 15, 100])
def test_confidences_on_edges_of_bins_go_where_their_own_dtype_says(bins):
    top = np.float32(np.concatenate([np.arange(6, 11) / 10, np.arange(8, 15) / 14, [0.55, 0.545, 0.7000001]]))
    p = np.stack([top, 1 - top], axis=1)
    labels = np.arange(len(p)) % 2
    assert result(ExpectedCalibrationError(bins), labels, p) == pytest.approx(
        calibration_error(labels, p, bins), abs=1e-6
    )


@pytest.mark.parametrize("units", [1, 4])
def test_logits_become_probabilities(units):
    u, y = (3 * RNG.normal(size=(SIZE, units))).astype("f4"), RNG.integers(0, 2, SIZE)
    both = np.concatenate([np.zeros_like(u), u], axis=1) if units == 1 else u
    e = np.exp(both.astype("f8"))
    ours = result(ExpectedCalibrationError(from_logits=True), y, u)
    assert ours == pytest.approx(calibration_error(y, e / e.sum(axis=1, keepdims=True)), abs=1e-6)


def test_weights_spread_over_the_places_of_maps():
    weight = np.float32([0, 1, 2, 3, 0.5, 7])
    y, p = A.reshape(6, 10), P.reshape(6, 10, CLASSES)
    ours = result(ExpectedCalibrationError(), y, p, weight)
    assert ours == pytest.approx(calibration_error(A, P, weight=np.repeat(weight, 10)), abs=1e-6)
    hits = (P.argmax(axis=1) == A).reshape(6, 10).mean(axis=1)
    assert result(MixMetric("accuracy"), y, p, weight) == pytest.approx(np.average(hits, weights=weight), rel=1e-5)


@pytest.mark.parametrize("jit_compile", COMPILED)
def test_sums_count_on_where_float32_stops(jit_compile):
    # 2^24 + 1 is no float32. Each batch weighs 2^24, then single samples come.
    p = np.float32([[0.75, 0.25]] * 2)
    weight = np.float32([[2.0**24, 0]] * 4 + [[1, 0]] * 64).ravel()
    y, p = np.tile([0, 1], 68), np.tile(p, (68, 1))
    y[8:] = 1
    model = as_it_is(2)
    model.compile(loss="mse", weighted_metrics=[ExpectedCalibrationError(name="ece")], jit_compile=jit_compile)
    ours = model.evaluate(p, y, batch_size=2, sample_weight=weight, verbose=0, return_dict=True)["ece"]
    assert ours == pytest.approx((2**26 * 0.25 - 64 * 0.75) / (2**26 + 64), rel=1e-7)
    metric = model.metrics[-1].metrics[0]
    parts = [metric.total, *([] if metric._total_rest is None else [metric._total_rest])]
    assert sum(float(array(part)) for part in parts) == 2**26 + 64


@pytest.mark.matrix
def test_after_ten_million_samples_it_is_that_of_float64():
    rng = np.random.default_rng(0)
    metric, gaps, size = ExpectedCalibrationError(15), np.zeros(15), 100_000
    for _ in range(100):
        top = rng.uniform(0.5, 1, size).astype("f4")
        labels = (rng.uniform(size=size) > top + 0.02).astype("i4")
        metric.update_state(labels, np.stack([top, 1 - top], axis=1))
        bins = np.ceil(np.round(top.astype("f8") * 15, 12)).astype(int) - 1
        hit = labels == 0
        gaps += np.bincount(bins, top.astype("f8") - hit, minlength=15)
    assert float(array(metric.result())) == pytest.approx(np.abs(gaps).sum() / 1e7, abs=2e-9)


BAD = {
    "logits": ([0, 1], [[3.0, -1.0], [0.0, 2.0]], None),
    "nan": ([0, 1], [[np.nan, 1.0], [0.0, 1.0]], None),
    "class 2": ([0, 2], [[0.5, 0.5], [0.0, 1.0]], None),
    "class -1": ([0, -1], [[0.5, 0.5], [0.0, 1.0]], None),
    "class 0.5": ([0.0, 0.5], [[0.5, 0.5], [0.0, 1.0]], None),
    "weight": ([0, 1], [[0.5, 0.5], [0.0, 1.0]], [1.0, -1.0]),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_prediction_stops_by_hand_and_is_nan_where_it_is_compiled(bad):
    y, p, weight = BAD[bad]
    with pytest.raises(WRONG, match="ExpectedCalibrationError: y_pred must be probabilities that sum to 1"):
        ExpectedCalibrationError().update_state(y, p, sample_weight=weight)
    if BACKEND == "torch":
        return
    weight = np.ones(2) if weight is None else np.array(weight)
    model = as_it_is(2)
    model.compile(loss="mse", weighted_metrics=[ExpectedCalibrationError(name="ece")], jit_compile=True)
    ours = model.evaluate(np.array(p), np.array(y), sample_weight=weight, verbose=0, return_dict=True)
    assert np.isnan(ours["ece"])


@pytest.mark.parametrize("soft", [[[0.7, 0.7], [1, 0]], [[1.5, -0.5], [1, 0]]], ids=["sum", "range"])
def test_soft_labels_that_are_none_stop_by_hand_and_are_nan_where_it_is_compiled(soft):
    metric = MixMetric("sparse_categorical_accuracy", name="mixed")
    with pytest.raises(WRONG, match="MixMetric: y_true must hold soft labels in"):
        metric.update_state(soft, P[:2, :2])
    if BACKEND == "torch":
        return
    model = as_it_is(2)
    model.compile(loss="mse", metrics=[MixMetric("sparse_categorical_accuracy", name="mixed")], jit_compile=True)
    assert np.isnan(model.evaluate(P[:2, :2], np.array(soft), verbose=0, return_dict=True)["mixed"])


@pytest.mark.parametrize("metric", [MixAccuracy, ExpectedCalibrationError, lambda: MixMetric("accuracy")])
def test_targets_that_fit_no_form_are_refused_by_name(metric):
    metric = metric()
    with pytest.raises(ValueError, match=rf"{type(metric).__name__}: targets must be plain.*\(60, 5\).*\(60, 4\)"):
        metric.update_state(np.zeros((SIZE, 5), "f4"), P)


ELSEWHERE = """
import json, sys
import keras, numpy as np
import kmix_tf
model = keras.saving.load_model(sys.argv[1])
data = np.load(sys.argv[2])
print(json.dumps(model.evaluate(data["p"], data["y"], batch_size=16, verbose=0, return_dict=True)))
"""


def test_a_saved_model_brings_its_metrics_to_another_process(tmp_path, elsewhere):
    metrics = [MixAccuracy(threshold=0.25), ExpectedCalibrationError(7, name="ece")]
    model = as_it_is(CLASSES)
    model.compile(loss="mse", metrics=[*metrics, MixMetric(keras.metrics.AUC(num_thresholds=50), name="auc")])
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", p=P, y=MIXED)
    told = json.loads(elsewhere(ELSEWHERE, tmp_path / "model.keras", tmp_path / "data.npz").splitlines()[-1])
    here = model.evaluate(P, MIXED, batch_size=16, verbose=0, return_dict=True)
    assert told == pytest.approx(here, rel=1e-5)
    assert told["ece"] == pytest.approx(calibration_error(MIXED.argmax(axis=1), P, 7), abs=1e-6)
