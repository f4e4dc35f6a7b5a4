"""What becomes of a measured theta: the equation, files, shards, and what is refused or warned of."""

import pickle
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    ApproximateMixupModel,
    CutMixLayer,
    ExponentialWeight,
    KMixupLayer,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    MultiMixLayer,
    NearestNeighborPairing,
    OtherClassPairing,
    PuzzleMixLayer,
    RemixShares,
    RescaledModel,
    SaliencyMixLayer,
)
from kmix_tf.models import MeasuredTheta
from kmix_tf.models.rescaled import TrainingMeans, regressing

RNG = np.random.default_rng(4)
SIZE = 256
X = RNG.normal(1, 2, size=(SIZE, 3)).astype("f4")
LABELS = RNG.integers(0, 2, SIZE)


@pytest.fixture(autouse=True)
def is_quick(monkeypatch):
    monkeypatch.setattr(regressing, "PRECISION", 0.02)
    monkeypatch.setattr(regressing, "_TOLERATED", 0.02)


def linear(units=2, activation=None):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation)])


def adapted(layer=None, model=None, **options):
    layer = KMixupLayer(8, num_classes=2) if layer is None else layer
    rescaled = RescaledModel(linear() if model is None else model, layer, theta="measured", **options)
    rescaled.adapt(X, LABELS, batch_size=64)
    return rescaled


def by_equation(rescaled, x=X):
    kernel, bias = rescaled.model.get_weights()
    theta_x, theta_y = rescaled.theta_x, rescaled.theta_y
    shrunk = theta_x * x + (1 - theta_x) * X.mean(axis=0, dtype="f8")
    y_mean = np.eye(2)[LABELS].mean(axis=0)
    return y_mean * (1 - 1 / theta_y) + (shrunk @ kernel + bias) / theta_y


def test_inputs_and_answers_go_by_their_own_theta():
    rescaled = adapted()
    assert rescaled.theta_x > rescaled.theta_bar + 0.05  # k-mixup shrinks less than 3/4
    assert abs(rescaled.theta_x - rescaled.theta_y) > 0.001
    np.testing.assert_allclose(rescaled(X), by_equation(rescaled), atol=1e-5)
    np.testing.assert_allclose(rescaled.predict(X, verbose=0), by_equation(rescaled), atol=1e-5)


def test_before_adapt_theta_is_to_be_measured_and_without_it_exact():
    rescaled = RescaledModel(linear(), KMixupLayer(8, num_classes=2), theta="measured")
    assert rescaled.theta == "measured"
    exact = RescaledModel(linear(), 1.0)
    exact.adapt(X, LABELS)
    assert (exact.theta, exact.theta_x, exact.theta_y) == (None, 0.75, 0.75)


def test_measuring_is_the_same_every_time_and_tells_how_much_was_seen():
    first, second = adapted(), adapted()
    assert first.theta == second.theta
    assert first.theta.mixtures >= 20 * 64
    assert max(first.theta.x_error + first.theta.y_error) <= 0.02


def test_what_was_traced_goes_by_what_is_learnt_later():
    rescaled = adapted(MixLayer(num_classes=2, probability=0.5))
    rescaled.predict(X, verbose=0)
    before = rescaled.theta
    rescaled.adapt(X, LABELS, batch_size=16)
    assert rescaled.theta != before
    np.testing.assert_allclose(rescaled.predict(X, verbose=0), by_equation(rescaled), atol=1e-5)


def test_files_keep_it_without_the_layer(tmp_path):
    rescaled = adapted()
    rescaled.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    assert loaded.theta == rescaled.theta and loaded.theta_bar == rescaled.theta_bar
    np.testing.assert_allclose(loaded(X), rescaled(X), atol=1e-6)
    loaded.adapt(X + 1, LABELS)  # There is no layer to measure: other means, the same theta.
    assert loaded.theta == rescaled.theta
    np.testing.assert_allclose(loaded.feature_means[0], X.mean(axis=0) + 1, atol=1e-5)
    rescaled.export(str(tmp_path / "served"))
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(X), rescaled(X), atol=1e-6)


def test_a_configuration_holds_the_layer_until_it_has_been_measured():
    rescaled = RescaledModel(linear(), KMixupLayer(8, num_classes=2), theta="measured")
    copy = RescaledModel.from_config(rescaled.get_config())
    copy.adapt(X, LABELS, batch_size=64)
    rescaled.adapt(X, LABELS, batch_size=64)
    assert copy.theta == rescaled.theta


def test_configurations_of_old_have_no_theta():
    config = RescaledModel(linear(), 1.0).get_config()
    del config["theta"]
    assert RescaledModel.from_config(config).theta is None


def test_a_ratio_of_ones_own_need_not_be_known():
    layer = MixLayer(ratio=lambda group, seed: tf.fill(tf.shape(group), 0.9), num_classes=2)
    with pytest.raises(TypeError, match="theta_moments_of"):
        RescaledModel(linear(), layer)
    rescaled = adapted(layer)
    # Partners are others of the batch of 64, but there are 256 in all.
    assert rescaled.theta_x == pytest.approx(0.9, abs=4 * rescaled.theta.x_error[0] + 0.1 / 255)
    again = RescaledModel.from_config(rescaled.get_config())
    assert again.theta == rescaled.theta and again.alpha is None


def test_theta_can_be_given_as_it_was_measured_elsewhere():
    theta = MeasuredTheta(x=(0.9,), y=(0.8,), x_error=(0.001,), y_error=(0.001,), mixtures=1000)
    rescaled = RescaledModel(linear(), theta=theta)
    rescaled.adapt(X, LABELS)
    assert (rescaled.theta_x, rescaled.theta_y) == (0.9, 0.8)
    np.testing.assert_allclose(rescaled(X), by_equation(rescaled), atol=1e-5)


def test_shards_are_joined_with_their_slopes():
    layer = MixLayer(num_classes=2)
    rescaled = RescaledModel(linear(), layer, theta="measured")
    halves = [rescaled.measure(X[rows], LABELS[rows], 64) for rows in (slice(0, 128), slice(128, None))]
    halves = [pickle.loads(pickle.dumps(half)) for half in halves]
    joined = halves[0].merge(halves[1])
    assert joined.theta.mixtures == sum(half.theta.mixtures for half in halves)
    assert joined.theta.y_error[0] < min(half.theta.y_error[0] for half in halves)
    # Of other samples of the same half; those are 127.
    assert joined.theta.y[0] == pytest.approx(0.75 - 0.25 / 127, abs=4 * joined.theta.y_error[0] + 0.001)
    rescaled.adapt(joined)
    assert rescaled.theta == joined.theta
    plain = RescaledModel(linear(), 1.0).measure(X, LABELS)
    for one, other in ((plain, halves[0]), (halves[0], plain)):
        with pytest.raises(ValueError, match="TrainingMeans: merge needs means of which all measured theta, or none"):
            one.merge(other)
    with pytest.raises(ValueError, match="RescaledModel: adapt needs means that come with theta"):
        RescaledModel(linear(), layer, theta="measured").adapt(plain)
    RescaledModel(linear(), 1.0).adapt(halves[0])  # Where theta is exact, means are means.


def test_means_pickled_before_there_was_theta_can_be_used():
    means = RescaledModel(linear(), 1.0).measure(X, LABELS)
    old = TrainingMeans.__new__(TrainingMeans)
    old.__dict__.update({name: value for name, value in vars(means).items() if name != "slopes"})
    RescaledModel(linear(), 1.0).adapt(old.merge(means))


def test_several_inputs_and_outputs_have_theta_each_and_what_is_kept_none():
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((2,), name="b"), "id": keras.Input((1,), name="id")}
    both = keras.layers.Concatenate()([inputs["a"], inputs["b"]])
    outputs = {"kind": keras.layers.Dense(2, name="kind")(both), "size": keras.layers.Dense(1, name="size")(both)}
    layer = KMixupLayer(8, match_on="a", passthrough="id", num_classes={"kind": 2, "size": None})
    rescaled = RescaledModel(keras.Model(inputs, outputs), layer, {"kind": "logits", "size": "regression"},
                             theta="measured")  # fmt: skip
    noise = RNG.normal(size=(SIZE, 2)).astype("f4")
    x = {"a": X, "b": noise, "id": np.arange(SIZE, dtype="f4")[:, None]}
    rescaled.adapt(x, {"kind": LABELS, "size": X[:, 0]}, batch_size=64)
    theta_x, theta_y = rescaled.theta_x, rescaled.theta_y
    assert theta_x["id"] is None
    # What is matched on shrinks less than what is not, which partners share by chance alone.
    assert theta_x["a"] > 0.8 and theta_x["b"] == pytest.approx(0.75, abs=0.04)
    assert theta_y["size"] > 0.8 and theta_y["kind"] < 0.8
    shrunk = [theta * leaf + (1 - theta) * leaf.mean(axis=0)
              for theta, leaf in ((theta_x["a"], X), (theta_x["b"], noise))]  # fmt: skip
    kernel, bias = rescaled.model.get_layer("size").get_weights()
    expected = X[:, :1].mean() * (1 - 1 / theta_y["size"])
    expected = expected + (np.concatenate(shrunk, axis=1) @ kernel + bias) / theta_y["size"]
    np.testing.assert_allclose(rescaled(x)["size"], expected, atol=1e-4)


def test_padding_counts_for_no_slope():
    """What is there shrinks by theta, whoever is mixed in; padding that counted would say something else."""
    steps = RNG.normal(size=(SIZE, 6, 2)).astype("f4")
    there = np.arange(6) < RNG.integers(1, 7, (SIZE, 1))
    steps[~there] = 5.0
    inputs = {"x": keras.Input((6, 2), name="x"), "there": keras.Input((6,), dtype="bool", name="there")}
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs["x"])))
    rescaled = RescaledModel(model, MixLayer(masks="there", num_classes=2), theta="measured")
    rescaled.adapt({"x": steps, "there": there}, LABELS, batch_size=64)
    _, error = rescaled.theta.x_error
    assert rescaled.theta_x["there"] is None
    assert rescaled.theta_x["x"] == pytest.approx(0.75, abs=4 * error + 0.25 / 255)
    assert rescaled.theta_y == pytest.approx(0.75, abs=4 * rescaled.theta.y_error[0] + 0.25 / 255)


LAYERS = {
    "k-mixup": lambda: KMixupLayer(8, num_classes=2),
    "neighbours": lambda: MixLayer(NearestNeighborPairing(4), num_classes=2),
    "weights": lambda: MixLayer(weight=ExponentialWeight(0.1), num_classes=2),
    "shares": lambda: MixLayer(num_classes=2, label_shares=RemixShares([9, 1])),
    "classes": lambda: MixLayer(num_classes=2, class_weight={0: 1.0, 1: 9.0}),
    "packed": lambda: MixLayer(num_classes=2, targets="packed"),
    "packed classes": lambda: MixLayer(targets="packed"),
    "several": lambda: MultiMixLayer(3, num_classes=2),
    "other class": lambda: MixLayer(OtherClassPairing(), num_classes=2),
}
IMAGE_LAYERS = {"cutmix": CutMixLayer, "puzzle": PuzzleMixLayer, "saliency": SaliencyMixLayer}


@pytest.mark.parametrize("name", LAYERS)
def test_what_measuring_covers_is_not_warned_of(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        layer = LAYERS[name]()
        for model, alpha in (
            (linear(), layer),
            (MixModel(linear(), layer), None),
            (MixModel(linear(), layer), layer),
        ):
            rescaled = RescaledModel(model, alpha, theta="measured")
        rescaled.adapt(X, LABELS, batch_size=64)
    assert 0.3 < rescaled.theta_y < 1 and 0.3 < rescaled.theta_x < 1


@pytest.mark.parametrize("name", IMAGE_LAYERS)
def test_blends_of_images_are_measured(name):
    images = RNG.normal(size=(SIZE, 8, 8, 1)).astype("f4")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        rescaled = RescaledModel(model, IMAGE_LAYERS[name](num_classes=2), theta="measured")
        rescaled.adapt(images, LABELS, batch_size=64)
    assert 0.6 < rescaled.theta_y < 1 and 0.5 < rescaled.theta_x < 1


@pytest.mark.parametrize(
    ("model", "alpha", "error", "message"),
    [
        (linear, 1.0, ValueError, "RescaledModel: alpha must be the mix layer .*else leave theta out.*alpha=1.0"),
        (linear, None, ValueError, "alpha must be the mix layer that the model was trained with.*alpha=None"),
        (lambda: ApproximateMixupModel(linear(), 1.0), None, ValueError, "alpha must be the mix layer"),
        (
            lambda: ManifoldMixModel(keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="hidden"),
                                                       keras.layers.Dense(2)]), ["hidden"], KMixupLayer(1)),
            None,
            ValueError,
            "hidden layers 'hidden' were mixed. Leave theta out, and compare by evaluate_both",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(model, alpha, error, message):
    with pytest.raises(error, match=message):
        RescaledModel(model(), alpha, theta="measured")


def test_another_word_for_theta_is_refused():
    with pytest.raises(ValueError, match=r"RescaledModel: theta must be one of 'measured'. Received: theta='exact'"):
        RescaledModel(linear(), MixLayer(), theta="exact")


def test_targets_that_follow_nobody_are_refused_and_the_model_stays_as_it_was():
    """Labels of the farther end: eq. (22) would divide by a slope of about 0."""
    layer = MixLayer(
        ratio=lambda group, seed: tf.fill(tf.shape(group), 0.7),
        label_shares=lambda first, second, ratio: tf.zeros_like(ratio),
        num_classes=2,
    )
    rescaled = RescaledModel(linear(), layer, theta="measured")
    message = r"RescaledModel: theta='measured' needs targets .*Received: output, of which"
    with pytest.raises(ValueError, match=message):
        rescaled.adapt(X, LABELS, batch_size=64)
    with pytest.raises(ValueError, match=r"adapt\(dataset\) must come first"):
        rescaled(X)


def test_batches_smaller_than_two_groups_and_sorted_ones_are_warned_of():
    with pytest.warns(UserWarning, match=r"at least 2 k = 32 samples for groups of 16. Received: at most 8"):
        RescaledModel(linear(), KMixupLayer(16, num_classes=2), theta="measured").adapt(X, LABELS, batch_size=8)
    order = np.argsort(LABELS, kind="stable")
    data = tf.data.Dataset.from_tensor_slices((X[order], LABELS[order])).batch(64)
    with pytest.warns(UserWarning, match=r"sorted by class.*theta is that of such batches"):
        RescaledModel(linear(), MixLayer(num_classes=2), theta="measured").adapt(data)


def test_too_little_precision_is_warned_of(monkeypatch):
    monkeypatch.setattr(regressing, "_MOST", 25)
    monkeypatch.setattr(regressing, "_TOLERATED", 0.001)
    monkeypatch.setattr(regressing, "PRECISION", 0.0001)
    with pytest.warns(UserWarning, match=r"theta was measured with a standard error of 0.0\d+ only, by 200 mixtures"):
        RescaledModel(linear(), MixLayer(num_classes=2), theta="measured").adapt(X, LABELS, batch_size=8)
