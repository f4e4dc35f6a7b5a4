"""Losses, metrics and outputs are held against what a mix makes of targets, before Keras takes them for labels."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    ExpectedCalibrationError,
    KMixupLayer,
    LocalMixupLoss,
    ManifoldMixModel,
    MixAccuracy,
    MixMetric,
    MixModel,
    unpack_targets,
)
from kmix_tf.models.fitting import require_outputs

IS_KERAS_3 = keras.__version__.startswith("3")
RNG = np.random.default_rng(5)
X = RNG.normal(size=(20, 3)).astype(np.float32)
Y = RNG.integers(0, 10, 20)


def network(units=10, activation="softmax"):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(units, activation=activation, name="out")(hidden))


def two_headed(as_dict=False):
    inputs = keras.Input((3,))
    heads = [keras.layers.Dense(units, name=name)(inputs) for units, name in ((5, "a"), (1, "b"))]
    return keras.Model(inputs, dict(zip("ab", heads, strict=True)) if as_dict else heads)


MODELS = {
    "MixModel": lambda model, mix: MixModel(model, mix, seed=0),
    "ManifoldMixModel": lambda model, mix: ManifoldMixModel(model, ["hidden"], mix, seed=0),
}


class Hits(keras.metrics.SparseCategoricalAccuracy):
    """A subclass with another name."""


class Unpacking(keras.metrics.Mean):
    """A metric of one's own, which knows packed targets."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(unpack_targets(y_true).ratio)


def own_sparse_rate(y_true, y_pred):
    return keras.metrics.sparse_categorical_accuracy(y_true, y_pred)


SPARSE = {
    "object": keras.metrics.SparseCategoricalAccuracy,
    "renamed": lambda: keras.metrics.SparseCategoricalAccuracy(name="acc"),
    "top": lambda: keras.metrics.SparseTopKCategoricalAccuracy(3),
    "loss": keras.metrics.SparseCategoricalCrossentropy,
    "subclass": Hits,
    "name": lambda: "sparse_categorical_accuracy",
    "name of a class": lambda: "SparseTopKCategoricalAccuracy",
    "function": lambda: keras.metrics.sparse_top_k_categorical_accuracy,
    "partial": lambda: functools.partial(keras.metrics.sparse_top_k_categorical_accuracy, k=3),
    "wrapped": lambda: keras.metrics.MeanMetricWrapper(keras.metrics.sparse_categorical_accuracy, name="acc"),
    "mean IoU": lambda: keras.metrics.MeanIoU(10, sparse_y_pred=False),
    "own": lambda: own_sparse_rate,
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_metrics_are_refused_saying_what_would_do(model, name):
    mixing = MODELS[model](network(), KMixupLayer(1, num_classes=10))
    message = (
        rf"{model}: (weighted_)?metrics must take soft labels.*Use CategoricalAccuracy.*MixAccuracy.*MixMetric\("
    )
    for options in ({"metrics": [SPARSE[name]()]}, {"weighted_metrics": ["mse", SPARSE[name]()]}):
        with pytest.raises(ValueError, match=message):
            mixing.compile("sgd", "categorical_crossentropy", **options)


@pytest.mark.parametrize(
    "nested",
    [
        lambda metric: {"a": metric},
        lambda metric: {"a": ["mse", metric]},
        lambda metric: [[metric], ["mse"]],
        lambda metric: [None, metric],
    ],
    ids=["dict", "lists in a dict", "lists in a list", "list"],
)
@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
def test_they_are_found_in_every_structure(nested, argument):
    mixing = MixModel(two_headed(), KMixupLayer(1))
    with pytest.raises(ValueError, match=f"MixModel: {argument} must take soft labels"):
        mixing.compile("sgd", "mse", **{argument: nested(keras.metrics.SparseCategoricalAccuracy())})


def test_a_target_that_rides_along_may_have_sparse_ones_and_the_others_may_not():
    mixing = MixModel(two_headed(as_dict=True), KMixupLayer(1, passthrough=["a"]))
    sparse = keras.metrics.SparseCategoricalAccuracy
    loss = {"a": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "b": "mse"}
    mixing.compile("sgd", loss, metrics={"a": [sparse()]}, weighted_metrics={"a": sparse()})
    y = {"a": RNG.integers(0, 5, 20), "b": X[:, :1]}
    assert np.isfinite(mixing.fit(X, y, verbose=0).history["loss"]).all()
    with pytest.raises(ValueError, match="MixModel: metrics must take soft labels"):
        mixing.compile("sgd", loss, metrics={"b": sparse()})
    with pytest.raises(ValueError, match="MixModel: loss must take soft labels"):
        mixing.compile("sgd", {"a": "mse", "b": "sparse_categorical_crossentropy"})
    # Names of features alone keep no target as it is.
    features = MixModel(network(), KMixupLayer(1, num_classes=10, passthrough=["id"]))
    with pytest.raises(ValueError, match="MixModel: loss must take soft labels"):
        features.compile("sgd", "sparse_categorical_crossentropy")


class OwnLoss(keras.losses.SparseCategoricalCrossentropy):
    """A subclass with another name."""


@pytest.mark.parametrize(
    "loss",
    [
        OwnLoss(),
        functools.partial(keras.losses.sparse_categorical_crossentropy, from_logits=True),
        LocalMixupLoss("sparse_categorical_crossentropy"),
        LocalMixupLoss(keras.losses.SparseCategoricalCrossentropy()),
    ],
    ids=["subclass", "partial", "name in ours", "object in ours"],
)
def test_sparse_losses_are_found_under_other_names(loss):
    with pytest.raises(ValueError, match=r"MixModel: loss must take soft labels.*LocalMixupLoss"):
        MixModel(network(), KMixupLayer(1, num_classes=10)).compile("sgd", loss)


STOCK = {
    "accuracy": lambda: "accuracy",
    "acc": lambda: "acc",
    "categorical": keras.metrics.CategoricalAccuracy,
    "sparse": keras.metrics.SparseCategoricalAccuracy,
    "subclass": Hits,
    "AUC": keras.metrics.AUC,
    "name": lambda: "mean_squared_error",
    "function": lambda: keras.metrics.binary_accuracy,
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", STOCK)
def test_no_stock_metric_takes_packed_targets(model, name):
    mixing = MODELS[model](network(), KMixupLayer(1, targets="packed"))
    message = rf"{model}: (weighted_)?metrics must take packed targets apart.*Use MixMetric\(.*MixAccuracy"
    loss = LocalMixupLoss("sparse_categorical_crossentropy")
    for options in ({"metrics": [STOCK[name]()]}, {"weighted_metrics": [STOCK[name]()]}):
        with pytest.raises(ValueError, match=message):
            mixing.compile("sgd", loss, **options)


@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy", keras.losses.BinaryCrossentropy()])
def test_no_stock_loss_takes_packed_targets(loss):
    # Those of (batch, 4) and outputs of one unit broadcast without a word.
    with pytest.raises(ValueError, match=r"MixModel: loss must take packed targets apart.*Use LocalMixupLoss\("):
        MixModel(network(1), KMixupLayer(1, targets="packed")).compile("sgd", loss)


def test_what_takes_packed_targets_apart_may():
    def own(y_true, y_pred):
        y_a, y_b, ratio, weight = unpack_targets(y_true)
        return weight * tf.reduce_mean(tf.square(ratio[..., None] * y_a + (1 - ratio[..., None]) * y_b - y_pred), -1)

    mixing = MixModel(network(), KMixupLayer(1, num_classes=10, targets="packed"), seed=0)
    metrics = [Unpacking("own"), MixAccuracy(), ExpectedCalibrationError(), MixMetric("sparse_categorical_accuracy")]
    mixing.compile("sgd", own, metrics=metrics, weighted_metrics=[MixMetric(keras.metrics.AUC())])
    assert np.isfinite(mixing.fit(X, Y, validation_data=(X, Y), verbose=0).history["val_own"]).all()


def perfect(classes):
    """A model that knows the class of its one-hot input."""
    weights = lambda shape, dtype=None: 50 * tf.eye(classes)  # noqa: E731
    return keras.Sequential(
        [keras.Input((classes,)), keras.layers.Dense(classes, kernel_initializer=weights), keras.layers.Softmax()]
    )


@pytest.mark.parametrize("batch", [1, 8, 10])
@pytest.mark.parametrize("targets", ["mixed", "packed"])
def test_what_is_left_to_use_shows_1_for_a_perfect_model(batch, targets):
    # As many samples as classes: where SparseCategoricalAccuracy showed 0.1.
    y = np.arange(40) % 10
    mixing = MixModel(perfect(10), KMixupLayer(1, num_classes=10, targets=targets), seed=0)
    metrics = [MixAccuracy(name="a"), MixMetric(keras.metrics.SparseCategoricalAccuracy(), name="b")]
    metrics += [keras.metrics.CategoricalAccuracy(name="c"), "accuracy"] if targets == "mixed" else []
    mixing.compile(keras.optimizers.SGD(0.0), LocalMixupLoss(), metrics=metrics)
    scores = mixing.evaluate(np.eye(10, dtype=np.float32)[y], y, batch_size=batch, verbose=0, return_dict=True)
    assert all(value == 1 for name, value in scores.items() if name != "loss")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_names_that_go_by_shapes_resolve_for_soft_labels(model, name):
    mixing = MODELS[model](network(), KMixupLayer(1, num_classes=10))
    mixing.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy", metrics=[name], weighted_metrics=[name])
    history = mixing.fit(X, Y, validation_data=(X, Y[:, None]), batch_size=10, verbose=0).history
    right = (mixing.predict(X, verbose=0).argmax(1) == Y).mean()
    assert history[f"val_{name}"] == pytest.approx([right])


WRONG = [
    ([keras.metrics.AUC()], 1, "AUC"),
    (["binary_accuracy"], 1, "binary_accuracy"),
    (["accuracy"], 1, "accuracy"),
    ([[keras.metrics.Precision(), "mse"]], 1, "Precision"),
    ([keras.metrics.Recall()], 10, "Recall"),
]


@pytest.mark.parametrize(("metrics", "units", "name"), WRONG, ids=[each[2] for each in WRONG])
def test_of_stock_metrics_that_make_labels_0_or_1_a_model_warns(metrics, units, name):
    mixing = MixModel(network(units, "sigmoid"), KMixupLayer(1))
    with pytest.warns(
        UserWarning, match=rf"MixModel: '?{name}'? would be wrong in training.*Give MixMetric\('?{name}"
    ):
        mixing.compile("sgd", "binary_crossentropy", metrics=metrics)


def test_of_others_it_does_not():
    # Made outside: a Keras layer may warn of its own doing, where another test has set a global seed.
    mixing = MixModel(network(), KMixupLayer(1, num_classes=10))
    metrics = [
        "accuracy",
        "mse",
        MixMetric(keras.metrics.AUC()),
        MixAccuracy(),
        keras.metrics.TopKCategoricalAccuracy(3),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixing.compile("sgd", "mse", metrics=metrics)


UNITS = {
    "one unit": (
        1,
        2,
        r"num_classes=2, and an output of shape \(\d+|None, 1\).*0/1 labels of one unit: cast to float32",
    ),
    "too few": (5, 10, r"num_classes=10, and an output of shape .*, 5\).*last layer 10 units; or num_classes=5"),
    "too many": (10, 3, r"num_classes=3, .*last layer 3 units; or num_classes=10"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("targets", ["mixed", "packed"])
@pytest.mark.parametrize("name", UNITS)
def test_outputs_need_a_unit_for_each_class(model, targets, name):
    units, classes, message = UNITS[name]
    mixing = MODELS[model](network(units), KMixupLayer(1, num_classes=classes, targets=targets))
    mixing.compile("sgd", LocalMixupLoss("binary_crossentropy"))
    for attempt in (mixing.fit, mixing.evaluate):
        with pytest.raises(ValueError, match=f"{model}: an output must have a unit for each class.*{message}"):
            attempt(X, Y % classes, verbose=0)


@pytest.mark.parametrize("as_dict", [True, False])
def test_the_output_of_several_is_named(as_dict):
    y = {"a": Y, "b": X[:, :1]}
    classes = {"a": 10, "b": None}
    mixing = MixModel(two_headed(as_dict), KMixupLayer(1, num_classes=classes if as_dict else list(classes.values())))
    mixing.compile("sgd", {"a": "mse", "b": "mse"} if as_dict else ["mse", "mse"])
    name = "'a'" if as_dict else "'0'"
    with pytest.raises(
        ValueError, match=f"MixModel: an output must have a unit.*num_classes=10, and output {name} of"
    ):
        mixing.fit(tf.data.Dataset.from_tensors((X, y if as_dict else (Y, X[:, :1]))), verbose=0)


def test_a_loss_of_ones_own_may_compare_other_shapes_but_not_one_unit_with_two_classes():
    def to_centres(y_true, y_pred):
        return tf.reduce_mean(tf.square(tf.matmul(y_true, tf.eye(10, 4)) - y_pred), -1)

    mixing = MixModel(network(4), KMixupLayer(1, num_classes=10))
    mixing.compile("sgd", to_centres)
    assert np.isfinite(mixing.fit(X, Y, verbose=0).history["loss"]).all()
    mixing = MixModel(network(1), KMixupLayer(1, num_classes=2))
    mixing.compile("sgd", lambda y_true, y_pred: tf.reduce_mean(tf.square(y_true - y_pred), -1))
    with pytest.raises(ValueError, match="0/1 labels of one unit: cast to float32"):
        mixing.fit(X, Y % 2, verbose=0)


def test_outputs_without_a_loss_are_not_asked():
    mix = KMixupLayer(1, num_classes={"a": 9, "b": None})
    y, y_pred = ({"a": tf.zeros([20, units]), "b": tf.zeros([20, 1])} for units in (9, 5))
    require_outputs(y, y_pred, mix, two_headed(True), {"b": "mse"})
    require_outputs(y, y_pred, mix, two_headed(True), None)
    with pytest.raises(ValueError, match="num_classes=9, and output 'a'"):
        require_outputs(y, y_pred, mix, two_headed(True), {"a": "mse"})


@pytest.mark.parametrize("y", [Y.astype(np.float32), Y[:, None].astype(np.float32)], ids=["flat", "column"])
def test_class_labels_as_floats_are_not_averaged(y):
    # A squared error would broadcast them to all units.
    mixing = MixModel(network(), KMixupLayer(1))
    mixing.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"MixModel: targets must have as many numbers .*int32.*num_classes=10"):
        mixing.fit(X, y, verbose=0)


@pytest.mark.parametrize("shape", [(20,), (20, 1)])
@pytest.mark.parametrize("model", MODELS)
def test_0_and_1_as_floats_train_one_unit(model, shape):
    mixing = MODELS[model](network(1, "sigmoid"), KMixupLayer(1))
    mixing.compile("sgd", "binary_crossentropy", metrics=[MixMetric("accuracy"), MixMetric(keras.metrics.AUC())])
    y = (Y % 2).astype(np.float32).reshape(shape)
    history = mixing.fit(X, y, validation_data=(X, y), verbose=0).history
    hits = (mixing.predict(X, verbose=0)[:, 0] > 0.5) == (Y % 2)
    assert history["val_mix_accuracy"][0] == pytest.approx(hits.mean())


def test_a_model_saved_with_it_is_compiled_anew(tmp_path):
    mixing = MixModel(network(), KMixupLayer(1, num_classes=10), seed=0)
    mixing.compile("sgd", LocalMixupLoss(), metrics=[MixMetric("sparse_categorical_accuracy"), "accuracy"])
    mixing.fit(X, Y, verbose=0)
    mixing.save(tmp_path / "model.keras")
    back = keras.saving.load_model(tmp_path / "model.keras")
    ours, theirs = (each.evaluate(X, Y, verbose=0, return_dict=True) for each in (mixing, back))
    assert ours == pytest.approx(theirs)
