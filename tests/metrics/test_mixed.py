"""MixMetric: a metric of mixtures is that of their clean labels, each weighted by its share."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as known

from kmix_tf import BetaRatio, KMixupLayer, LocalMixupLoss, MixAccuracy, MixLayer, MixMetric, MixModel, pack_targets

IS_KERAS_3 = keras.__version__.startswith("3")
RNG = np.random.default_rng(3)
N, CLASSES = 60, 5
A, B = RNG.integers(0, CLASSES, (2, N))
RATIO = RNG.random(N).astype(np.float32)
WEIGHT = RNG.integers(0, 4, N).astype(np.float32)
EYE = np.eye(CLASSES, dtype=np.float32)
SOFT = RATIO[:, None] * EYE[A] + (1 - RATIO[:, None]) * EYE[B]
# On a grid between the thresholds of AUC, which then is exact.
P = (RNG.permuted(np.tile([0.605, 0.255, 0.105, 0.025, 0.01], (N, 1)), axis=1)).astype(np.float32)
BINARY_A, BINARY_B = (RNG.random((2, N)) < 0.4).astype(np.float32)
BINARY = RATIO * BINARY_A + (1 - RATIO) * BINARY_B
UNIT = ((RNG.integers(0, 50, N) + 0.5) / 50).astype(np.float32)

FORMS = {
    "soft": SOFT,
    "packed classes": pack_targets(A, B, RATIO, 7.0),
    "packed columns": pack_targets(A[:, None], B[:, None], RATIO, 7.0),
    "packed one-hot": pack_targets(EYE[A], EYE[B], RATIO, 7.0),
}
UNIT_FORMS = {
    "flat": (BINARY, UNIT[:, None]),
    "column": (BINARY[:, None], UNIT[:, None]),
    "all flat": (BINARY, UNIT),
    "packed": (pack_targets(BINARY_A, BINARY_B, RATIO, 7.0), UNIT[:, None]),
    "packed integers": (pack_targets(BINARY_A.astype(int), BINARY_B.astype(int), RATIO, 7.0), UNIT[:, None]),
}


def score(metric, y, p, weight=None):
    metric.update_state(y, p, sample_weight=weight)
    return np.asarray(metric.result())


def weighted(function):
    """A scikit-learn score of both clean labels of each mixture, by their shares and the samples' weights."""

    def expected(y_a, y_b, p, weight):
        share = np.concatenate([RATIO, 1 - RATIO]).astype(np.float64) * np.tile(weight, 2)
        return function(np.concatenate([y_a, y_b]), np.concatenate([p, p]), sample_weight=share)

    return expected


def of_hits(y, p, sample_weight):
    return known.accuracy_score(y, p.argmax(1), sample_weight=sample_weight)


def of_two(y, p, sample_weight):
    return known.top_k_accuracy_score(y, p, k=2, sample_weight=sample_weight, labels=range(CLASSES))


def of_f1(y, p, sample_weight):
    return known.f1_score(y, p.argmax(1), average=None, labels=range(CLASSES), sample_weight=sample_weight)


def of_entries(function):
    def expected(y, p, sample_weight):
        return function(EYE[y].ravel(), p.ravel(), sample_weight=np.repeat(sample_weight, CLASSES))

    return expected


def at_half(function):
    return lambda y, p, sample_weight: function(y, p > 0.5, sample_weight=sample_weight)


METRICS = {
    "accuracy": (lambda: "accuracy", of_hits),
    "categorical": (keras.metrics.CategoricalAccuracy, of_hits),
    "sparse": (keras.metrics.SparseCategoricalAccuracy, of_hits),
    "function": (lambda: keras.metrics.categorical_accuracy, of_hits),
    "ours": (MixAccuracy, of_hits),
    "top-2": (lambda: keras.metrics.TopKCategoricalAccuracy(2), of_two),
    "sparse top-2": (lambda: keras.metrics.SparseTopKCategoricalAccuracy(2), of_two),
    "F1": (lambda: keras.metrics.F1Score(average=None), of_f1),
    "AUC": (keras.metrics.AUC, of_entries(known.roc_auc_score)),
    "precision": (keras.metrics.Precision, of_entries(at_half(known.precision_score))),
    "recall": (lambda: "Recall", of_entries(at_half(known.recall_score))),
    "entries": (keras.metrics.BinaryAccuracy, of_entries(at_half(known.accuracy_score))),
    "loss": (lambda: "ce", lambda y, p, sample_weight: known.log_loss(y, p, sample_weight=sample_weight)),
}
UNIT_METRICS = {
    "accuracy": (lambda: "accuracy", at_half(known.accuracy_score)),
    "binary": (keras.metrics.BinaryAccuracy, at_half(known.accuracy_score)),
    "AUC": (keras.metrics.AUC, known.roc_auc_score),
    "precision": (keras.metrics.Precision, at_half(known.precision_score)),
    "recall": (keras.metrics.Recall, at_half(known.recall_score)),
    "F1": (lambda: keras.metrics.F1Score(threshold=0.5), at_half(known.f1_score)),
    "loss": (lambda: "crossentropy", lambda y, p, sample_weight: known.log_loss(y, p, sample_weight=sample_weight)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.representatives(
    "name, form",
    [
        ("accuracy", "packed columns"),
        ("sparse", "packed classes"),
        ("top-2", "packed one-hot"),
        *((name, "soft") for name in METRICS),
    ],
)
def test_of_classes_it_is_that_of_clean_labels_by_their_shares(name, form):
    made, function = METRICS[name]
    for weight in (None, WEIGHT):
        expected = weighted(function)(A, B, P, np.ones(N) if weight is None else weight)
        ours = score(MixMetric(made()), FORMS[form], P, weight)
        np.testing.assert_allclose(np.squeeze(ours), expected, rtol=1e-4)


@pytest.mark.parametrize("form", UNIT_FORMS)
@pytest.mark.parametrize("name", UNIT_METRICS)
@pytest.mark.representatives(
    "name, form", [*(("accuracy", form) for form in UNIT_FORMS), *((name, "column") for name in UNIT_METRICS)]
)
def test_of_one_unit_it_is_that_of_clean_labels_by_their_shares(name, form):
    made, function = UNIT_METRICS[name]
    for weight in (None, WEIGHT):
        expected = weighted(function)(BINARY_A, BINARY_B, UNIT, np.ones(N) if weight is None else weight)
        ours = score(MixMetric(made()), *UNIT_FORMS[form], weight)
        np.testing.assert_allclose(np.squeeze(ours), expected, rtol=1e-4)


PLAIN = {
    "classes": (A, P, keras.metrics.SparseCategoricalAccuracy, A),
    "columns": (A[:, None], P, keras.metrics.SparseCategoricalAccuracy, A),
    "floats": (A.astype(np.float32), P, keras.metrics.CategoricalAccuracy, EYE[A]),
    "classes for one-hot": (A, P, keras.metrics.AUC, EYE[A]),
    "one-hot for classes": (EYE[A], P, keras.metrics.SparseCategoricalAccuracy, A),
    "unit": (BINARY_A, UNIT[:, None], keras.metrics.AUC, BINARY_A[:, None]),
    "numbers": (3 * P - 7, P, keras.metrics.MeanSquaredError, 3 * P - 7),
}


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", PLAIN)
def test_plain_targets_are_taken_as_they_are(name, weight):
    y, p, made, wanted = PLAIN[name]
    np.testing.assert_allclose(score(MixMetric(made()), y, p, weight), score(made(), wanted, p, weight), rtol=1e-5)


def test_both_numbers_of_packed_targets_count():
    y_a, y_b = RNG.normal(size=(2, N, 2)).astype(np.float32)
    p = RNG.normal(size=(N, 2)).astype(np.float32)
    of_each = [np.square(y - p).mean(1) for y in (y_a, y_b)]
    expected = np.average(RATIO * of_each[0] + (1 - RATIO) * of_each[1], weights=WEIGHT)
    ours = score(MixMetric("mean_squared_error"), pack_targets(y_a, y_b, RATIO), p, WEIGHT)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize("classes", [3, 4, 1000])
def test_every_class_counts_that_has_a_share_in_compiled_functions_too(classes):
    # As label smoothing gives all of them one, and mixtures of many samples several.
    y = RNG.dirichlet(np.full(classes, 0.02), 8).astype(np.float32)
    y[:3] = 0.9 * np.eye(classes)[:3] + 0.1 / classes
    y[3] = np.eye(classes)[0]
    p = RNG.dirichlet(np.ones(classes), 8).astype(np.float32)
    best = np.argsort(-p, axis=1)[:, :2]
    expected = [np.take_along_axis(y, best[:, :k], 1).sum(1).mean() for k in (1, 2)]
    for metric, truth in (
        (MixMetric("sparse_categorical_accuracy"), expected[0]),
        (MixMetric(keras.metrics.TopKCategoricalAccuracy(2)), expected[1]),
    ):
        np.testing.assert_allclose(score(metric, y, p), truth, rtol=1e-4)
        metric.reset_state()

        @tf.function(jit_compile=True)
        def update(metric=metric):
            metric.update_state(tf.constant(y), tf.constant(p))

        update()
        np.testing.assert_allclose(metric.result(), truth, rtol=1e-4)


def test_labels_of_several_at_once_count_each_by_its_share():
    y = RNG.random((N, 3)).astype(np.float32)
    y[:20] = RATIO[:20, None] * (RNG.random((20, 3)) < 0.5) + (1 - RATIO[:20, None]) * (RNG.random((20, 3)) < 0.5)
    y[-1], y[-2] = 0, 1
    p = ((RNG.integers(0, 50, (N, 3)) + 0.5) / 50).astype(np.float32)
    labels, share = np.repeat([1, 0], N), np.concatenate([y, 1 - y]) * np.tile(WEIGHT, 2)[:, None]
    doubled = np.concatenate([p, p])

    def of(function, column):
        return function(labels, doubled[:, column], sample_weight=share[:, column])

    expected = np.mean([of(known.roc_auc_score, column) for column in range(3)])
    metric = keras.metrics.AUC(multi_label=True, num_labels=3)
    np.testing.assert_allclose(score(MixMetric(metric), y, p, WEIGHT), expected, rtol=1e-4)
    expected = [of(at_half(known.f1_score), column) for column in range(3)]
    metric = keras.metrics.F1Score(average=None, threshold=0.5)
    np.testing.assert_allclose(score(MixMetric(metric), y, p, WEIGHT), expected, rtol=1e-4)
    expected = of(at_half(known.precision_score), 1)
    np.testing.assert_allclose(
        score(MixMetric(keras.metrics.Precision(class_id=1)), y, p, WEIGHT), expected, rtol=1e-4
    )


@pytest.mark.parametrize("packed", [True, False])
def test_places_are_samples_of_their_own(packed):
    y_a, y_b = RNG.integers(0, 3, (2, 4, 5, 6))
    ratio, eye = RNG.random((4, 5, 6)).astype(np.float32), np.eye(3, dtype=np.float32)
    p = RNG.dirichlet(np.ones(3), (4, 5, 6)).astype(np.float32)
    y = ratio[..., None] * eye[y_a] + (1 - ratio[..., None]) * eye[y_b]
    hits = np.take_along_axis(y, p.argmax(-1)[..., None], -1)[..., 0]
    weight = np.array([1.0, 0, 2, 3], np.float32)
    y = pack_targets(y_a, y_b, ratio) if packed else y
    for given in (weight, weight[:, None, None], np.broadcast_to(weight[:, None, None], hits.shape)):
        expected = np.average(hits.mean((1, 2)), weights=weight)
        np.testing.assert_allclose(score(MixMetric("accuracy"), y, p, given), expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_targets_and_predictions_of_any_dtype_are_taken(dtype):
    y, p = tf.cast(SOFT, dtype), tf.cast(P, dtype)
    hits = np.take_along_axis(SOFT, P.argmax(1)[:, None], 1).mean()
    assert score(MixMetric("accuracy"), y, p) == pytest.approx(hits, abs=5e-3)
    assert score(MixMetric("sparse_categorical_accuracy"), y, p) == pytest.approx(hits, abs=5e-3)


class Range(keras.metrics.Metric):
    """A metric of one's own whose result is a dictionary, and which branches on a tensor."""

    def __init__(self, name="range", **kwargs):
        super().__init__(name=name, **kwargs)
        self.low = self.add_weight(name="low", shape=(), initializer="zeros")
        self.high = self.add_weight(name="high", shape=(), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        counted = tf.reduce_sum(tf.cast(y_true, tf.float32)[:, 0] * sample_weight)
        self.low.assign_add(counted)
        self.high.assign_add(2 * counted)

    def result(self):
        return {"low": tf.convert_to_tensor(self.low), "high": tf.convert_to_tensor(self.high)}


@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 takes no dictionaries of its own metrics either")
def test_results_may_be_dictionaries():
    metric = MixMetric(Range())
    metric.update_state(BINARY, UNIT)
    assert float(metric.result()["high"]) == pytest.approx(2 * BINARY.sum(), rel=1e-5)


def test_updates_add_up_until_a_reset():
    metric = MixMetric(keras.metrics.Precision())
    for rows in (slice(0, 7), slice(7, None)):
        metric.update_state(BINARY[rows], UNIT[rows])
    once = score(MixMetric(keras.metrics.Precision()), BINARY, UNIT)
    np.testing.assert_allclose(metric.result(), once, rtol=1e-5)
    metric.reset_state()
    assert metric.result() == 0
    metric.update_state([1.0], [0.9])
    assert metric.result() == 1


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def own_hits(y_true, y_pred):
    return tf.cast(tf.equal(tf.argmax(y_true, -1), tf.argmax(y_pred, -1)), tf.float32)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("accuracy", "mix_accuracy"),
        ("AUC", "mix_auc"),
        (keras.metrics.Precision(class_id=1, name="mine"), "mix_mine"),
        (own_hits, "mix_own_hits"),
        (keras.metrics.SparseTopKCategoricalAccuracy(2, name="two"), "mix_two"),
    ],
    ids=["by shape", "name", "object", "function", "sparse"],
)
def test_a_configuration_makes_the_same_metric_anew(metric, name):
    ours = MixMetric(metric)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    assert type(back) is MixMetric
    assert back.name == ours.name or metric == "AUC"
    assert ours.name.startswith(name)
    np.testing.assert_array_equal(score(back, SOFT, P), score(ours, SOFT, P))
    assert MixMetric(metric, name="own").name == "own"


@pytest.mark.parametrize(("jit_compile", "policy"), [(False, "float32"), (True, "float32"), (True, "mixed_bfloat16")])
def test_in_fit_on_a_mapped_dataset_it_is_that_of_clean_labels(jit_compile, policy):
    # AUC counts within thresholds, of which rounding crosses one with some weights.
    keras.utils.set_random_seed(0)
    x, weight = RNG.normal(size=(30, 3)).astype("f4"), WEIGHT[:30]
    layer = KMixupLayer(1, num_classes=CLASSES, targets="packed", seed=0)
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(CLASSES, activation="softmax", dtype=policy)])
    metrics = {
        "metrics": [MixMetric("accuracy"), MixMetric(keras.metrics.AUC(name="auc"))],
        "weighted_metrics": [MixMetric(keras.metrics.SparseTopKCategoricalAccuracy(2), name="two")],
    }
    optimizer = keras.optimizers.SGD(0.0)
    model.compile(optimizer, "categorical_crossentropy", jit_compile=jit_compile, **metrics)
    batches, seen = tf.data.Dataset.from_tensor_slices((x, A[:30], weight)).batch(8), []
    batches = [(x, np.asarray(packed), w) for x, packed, w in batches.map(layer)]
    for x, packed, w in batches:
        one_hot, ratio = packed[:, : 2 * CLASSES].reshape(-1, 2, CLASSES), packed[:, -2]
        seen.append((one_hot.argmax(-1), ratio, np.asarray(w), np.asarray(tf.cast(model(x), tf.float32))))
    pair, ratio, weight, p = (np.concatenate(each) for each in zip(*seen, strict=True))
    share, y = np.concatenate([ratio, 1 - ratio]), np.concatenate([pair[:, 0], pair[:, 1]])
    p = np.concatenate([p, p])
    mixed = [
        (x, (r[:, None] * EYE[pair[:, 0]] + (1 - r[:, None]) * EYE[pair[:, 1]]), w)
        for (x, _, w), (pair, r, _, _) in zip(batches, seen, strict=True)
    ]
    data = tf.data.Dataset.from_generator(
        lambda: iter(mixed),
        output_signature=(tf.TensorSpec([None, 3]), tf.TensorSpec([None, CLASSES]), tf.TensorSpec([None])),
    )
    history = model.fit(data, epochs=2, verbose=0).history
    tolerance = 1e-4 if policy == "float32" else 2e-2
    for epoch in range(2):
        assert history["mix_accuracy"][epoch] == pytest.approx(of_hits(y, p, share), abs=tolerance)
        assert history["two"][epoch] == pytest.approx(of_two(y, p, share * np.tile(weight, 2)), abs=tolerance)
        assert history["mix_auc"][epoch] == pytest.approx(
            of_entries(known.roc_auc_score)(y, p, share), abs=max(tolerance, 3e-3)
        )


@pytest.mark.parametrize("targets", ["mixed", "packed"])
def test_in_models_that_mix_validation_is_that_of_the_stock_metric(targets):
    x = RNG.normal(size=(32, 3)).astype("f4")
    stock = [keras.metrics.CategoricalAccuracy(name="hits"), keras.metrics.AUC(name="auc"), keras.metrics.Recall()]
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(CLASSES, activation="softmax")])
    mixing = MixModel(model, KMixupLayer(4, num_classes=CLASSES, targets=targets), seed=0)
    ours = [MixMetric(keras.metrics.deserialize(keras.metrics.serialize(each))) for each in stock]
    mixing.compile(keras.optimizers.SGD(0.0), LocalMixupLoss(), metrics=ours)
    history = mixing.fit(x, A[:32], validation_data=(x, A[:32]), verbose=0).history
    model.compile("sgd", "categorical_crossentropy", metrics=stock)
    clean = model.evaluate(x, EYE[A[:32]], verbose=0, return_dict=True)
    for each, metric in zip(stock, ours, strict=True):
        assert history[f"val_{metric.name}"][0] == pytest.approx(clean[each.name], abs=1e-5)
        assert np.isfinite(history[metric.name]).all()


def test_a_perfect_model_of_mixtures_that_are_not_mixed_is_perfect():
    # What items on screen say: stock AUC and BinaryAccuracy of soft labels were 0 where these are 1.
    y = np.array([1, 0, 1, 0], np.float32)
    _, y = MixLayer(ratio=BetaRatio(0.0))(np.zeros([4, 2], np.float32), y, seed=0)
    for metric in (keras.metrics.AUC(), keras.metrics.BinaryAccuracy(), keras.metrics.Precision()):
        assert score(MixMetric(metric), y, y) == 1


ELSEWHERE = """
import json
import keras
import numpy as np
import tensorflow as tf
import kmix_tf

devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x, y = np.array({x}, np.float32), np.array({y}, np.float32)
with strategy.scope():
    model = keras.saving.load_model({path!r})
print(json.dumps([strategy.num_replicas_in_sync, model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)]))
"""


@pytest.mark.skipif(
    keras.__version__.startswith("3.5."), reason="it tells other losses and AUC on replicas, of any model"
)
def test_a_saved_model_brings_it_to_another_process_and_its_replicas(tmp_path, elsewhere):
    metrics = [MixMetric(keras.metrics.AUC(name="auc")), MixMetric("accuracy"), MixMetric(keras.metrics.Recall())]
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(CLASSES, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=metrics, jit_compile=False)
    x, y = RNG.normal(size=(12, 3)).astype("f4"), SOFT[:12]
    model.fit(x, y, verbose=0)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    program = ELSEWHERE.format(x=x.tolist(), y=y.tolist(), path=str(tmp_path / "model.keras"))
    replicas, scores = json.loads(elsewhere(program).splitlines()[-1])
    assert replicas == 2
    assert set(scores) == set(expected)
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    ("metric", "y", "message"),
    [
        ("accuracy", [[1.5, -0.5], [0.0, 1.0]], r"soft labels in \[0, 1\]"),
        ("accuracy", [[np.nan, 0.5], [0.0, 1.0]], r"soft labels in \[0, 1\]"),
        ("accuracy", [0, 2], r"classes in \[0, 2\)"),
        ("accuracy", [0, 0.5], r"classes in \[0, 2\)"),
        ("sparse_categorical_accuracy", [[1.0, 1.0], [0.0, 1.0]], r"soft labels in \[0, 1\] that sum to 1"),
    ],
    ids=["range", "nan", "class 2", "class 0.5", "two classes"],
)
def test_what_is_no_label_stops_or_under_xla_gives_nan(metric, y, message):
    p = tf.constant([[0.25, 0.75], [0.5, 0.5]])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"MixMetric: y_true must hold {message}"):
        MixMetric(metric).update_state(y, p)
    ours = MixMetric(metric)

    @tf.function(jit_compile=True)
    def update():
        ours.update_state(y, p)

    update()
    assert np.isnan(ours.result())


def test_other_arguments_are_refused():
    for metric in (3, None, [keras.metrics.AUC()]):
        with pytest.raises(TypeError, match="MixMetric: metric must be a Keras metric, its name or a function"):
            MixMetric(metric)
    with pytest.raises((ValueError, TypeError)):
        MixMetric("no such metric")
    with pytest.raises(ValueError, match=r"MixMetric: metric must count fractions.*dtype int.*dtype='float32'"):
        MixMetric(keras.metrics.MeanIoU(3, dtype="int32"))
    with pytest.raises(ValueError, match="MixMetric: sample_weight must be one number for each sample"):
        MixMetric("accuracy").update_state(SOFT, P, sample_weight=np.ones_like(P))
    with pytest.raises(ValueError, match="MixMetric: targets must be plain, or packed"):
        MixMetric("accuracy").update_state(np.zeros((4, 7), np.float32), np.zeros((4, 3), np.float32))
