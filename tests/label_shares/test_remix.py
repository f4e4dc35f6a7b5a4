"""Remix: shares in labels that lean to the rarer class, against the paper's three cases one by one."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    AttentiveMixLayer,
    CutMixLayer,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    LocalMixupLoss,
    ManifoldMixModel,
    MixAccuracy,
    MixLayer,
    MixModel,
    MultiMixLayer,
    PuzzleMixLayer,
    RandomPairing,
    RemixShares,
    ResizeMixLayer,
    SaliencyMixLayer,
    SmoothMixLayer,
    mix,
    unpack_targets,
)

COUNTS = [900, 300, 299, 30]
RNG = np.random.default_rng(6)
SIZE = 8
IMAGES = RNG.normal(size=(SIZE, 8, 8, 2)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 0, 1, 2, 3])
WEIGHT = np.array([0.5, 2.0, 0.0, 7.0, 1.0, 0.0, 3.0, 1.5], np.float32)


def remixed(ours, theirs, ratio, counts=COUNTS, kappa=3.0, tau=0.5):
    """Case by case, for one pair of classes."""
    if counts[ours] / counts[theirs] >= kappa and ratio < tau:
        return 0.0
    if counts[ours] / counts[theirs] <= 1 / kappa and 1 - ratio < tau:
        return 1.0
    return ratio


def grid():
    pairs = [(i, j, ratio) for i in range(4) for j in range(4) for ratio in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)]
    ours, theirs, ratio = zip(*pairs, strict=True)
    return np.array(ours), np.array(theirs), np.array(ratio, np.float32)


@pytest.mark.parametrize(("kappa", "tau"), [(3.0, 0.5), (1.0, 0.5), (2.0, 0.0), (3.0, 1.0), (11.0, 0.3)])
@pytest.mark.parametrize("kind", ["soft", "one-hot", "integers", "column"])
def test_shares_are_those_of_the_three_cases(kappa, tau, kind):
    ours, theirs, ratio = grid()
    made = {
        "soft": lambda y: (0.7 * np.eye(4)[y] + 0.3 * 0.25).astype(np.float32),
        "one-hot": lambda y: np.eye(4)[y],
        "integers": lambda y: y.astype(np.int32),
        "column": lambda y: y[:, np.newaxis],
    }[kind]
    found = RemixShares(COUNTS, kappa, tau)(made(ours), made(theirs), ratio).numpy()
    assert found.dtype == np.float32
    expected = [remixed(*each, kappa=kappa, tau=tau) for each in zip(ours, theirs, ratio, strict=True)]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    assert tau == 0 or (found != ratio).any()


@pytest.mark.parametrize("column", [False, True])
def test_labels_of_one_unit_are_two_classes(column):
    ours, theirs = np.float32([0, 0, 1, 1, 0.2, 0]), np.float32([0, 1, 0, 1, 0.9, 1])
    ratio = np.float32([0.4, 0.4, 0.6, 0.4, 0.4, 0.6])
    shape = (-1, 1) if column else (-1,)
    found = RemixShares([90, 10])(ours.reshape(shape), theirs.reshape(shape), ratio).numpy()
    np.testing.assert_array_equal(found, np.float32([0.4, 0, 1, 0.4, 0, 0.6]))


LAYERS = {
    "mixup": lambda **options: KMixupLayer(1, scope="sample", **options),
    "k-mixup": lambda **options: KMixupLayer(3, **options),
    "multi-mix": lambda **options: MultiMixLayer(3, scope="sample", **options),
    "self pairs": lambda **options: MixLayer(RandomPairing(with_itself=True), **options),
    "local": lambda **options: LocalMixupLayer(scope="sample", **options),
    "cutmix": lambda **options: CutMixLayer(scope="sample", interpolations=2, **options),
    "fmix": lambda **options: FMixLayer(scope="sample", **options),
    "gridmix": lambda **options: GridMixLayer(scope="sample", **options),
    "smoothmix": lambda **options: SmoothMixLayer(scope="sample", **options),
    "attentivemix": lambda **options: AttentiveMixLayer(grid=4, scope="sample", **options),
    "resizemix": lambda **options: ResizeMixLayer(scope="sample", **options),
    "saliencymix": lambda **options: SaliencyMixLayer(scope="sample", **options),
    "puzzle mix": lambda **options: PuzzleMixLayer(scope="sample", blocks=4, **options),
    "seldom": lambda **options: KMixupLayer(1, probability=0.5, **options),
}
each_layer = pytest.mark.parametrize("name", LAYERS)


def pairs_of(name, x=IMAGES, seed=3):
    """Partner and share realised of each mixture: what one-hot targets of samples, packed, show."""
    _, packed, *_ = LAYERS[name](targets="packed")(x, np.eye(len(x), dtype=np.float32), seed=seed)
    own, other, ratio, weight = (np.asarray(part) for part in unpack_targets(packed))
    return own.argmax(axis=1), other.argmax(axis=1), ratio, weight


def label_shares_of(name, labels=LABELS, seed=3):
    own, other, ratio, weight = pairs_of(name, seed=seed)
    expected = [remixed(labels[i], labels[j], r) for i, j, r in zip(own, other, ratio, strict=True)]
    return own, other, np.array(expected), weight


@each_layer
@pytest.mark.representatives("name", ["multi-mix", "cutmix", "local"])
def test_labels_of_every_layer_follow_the_ratio_realised(name):
    layer = LAYERS[name](num_classes=4, label_shares=RemixShares(COUNTS))
    plain = LAYERS[name](num_classes=4)
    seen = set()
    for seed in range(3, 6):
        own, other, share, _ = label_shares_of(name, seed=seed)
        x, y, *_ = layer(IMAGES, LABELS, seed=seed)
        np.testing.assert_array_equal(x, plain(IMAGES, LABELS, seed=seed)[0])
        hot = np.eye(4)[LABELS]
        expected = share[:, np.newaxis] * hot[own] + (1 - share[:, np.newaxis]) * hot[other]
        np.testing.assert_allclose(y, expected, atol=1e-5)
        seen |= {0.0, 1.0} & set(share[own != other])
    assert seen or name == "seldom"


@each_layer
@pytest.mark.parametrize("classes", [None, 4])
@pytest.mark.representatives("name, classes", [("multi-mix", 4), ("cutmix", None)])
def test_packed_targets_carry_the_share_of_the_label(name, classes):
    layer = LAYERS[name](num_classes=classes, targets="packed", label_shares=RemixShares(COUNTS))
    packed = layer(IMAGES, LABELS, seed=4)[1]
    _, _, share, weight = label_shares_of(name, seed=4)
    found = unpack_targets(packed if classes else tf.squeeze(packed, -2))
    np.testing.assert_allclose(found.ratio, share, atol=1e-6)
    np.testing.assert_allclose(found.weight, weight, atol=1e-6)


@each_layer
@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.representatives("name, by_class", [("mixup", True), ("multi-mix", False)])
def test_losses_of_samples_count_by_share_of_the_label_and_weight(name, by_class):
    options = {"class_weight": [1.0, 2.0, 3.0, 4.0]} if by_class else {}
    layer = LAYERS[name](num_classes=4, label_shares=RemixShares(COUNTS), **options)
    own, other, share, counts = label_shares_of(name, seed=5)
    weight = WEIGHT * (np.array([1, 2, 3, 4])[LABELS] if by_class else 1)
    logs = np.log(RNG.dirichlet(np.ones(4), size=len(own)))
    rows = np.arange(len(own))
    ours = share * weight[own] * -logs[rows, LABELS[own]]
    theirs = (1 - share) * weight[other] * -logs[rows, LABELS[other]]
    _, y, total = layer(IMAGES, LABELS, WEIGHT, seed=5)
    expected = (ours + theirs) * (counts if name == "local" else 1)
    np.testing.assert_allclose(total * -(y * logs).numpy().sum(axis=1), expected, rtol=2e-4, atol=1e-5)


def test_two_loaders():
    layer = KMixupLayer(1, scope="sample", num_classes=4, label_shares=RemixShares(COUNTS))
    plain = KMixupLayer(1, scope="sample")
    first, second = (IMAGES, LABELS), (IMAGES[::-1], (LABELS[::-1] + 1) % 4)
    _, y = layer.between(first, second, seed=7)
    hot = np.eye(2 * SIZE, dtype=np.float32)
    shown = plain.between((IMAGES, hot[:SIZE]), (IMAGES[::-1], hot[SIZE:]), seed=7)[1].numpy()
    share = [remixed(*each) for each in zip(first[1], second[1], np.diag(shown), strict=True)]
    share = np.array(share)[:, np.newaxis]
    np.testing.assert_allclose(y, share * np.eye(4)[first[1]] + (1 - share) * np.eye(4)[second[1]], atol=1e-5)
    assert {0.0, 1.0} & set(share.ravel())


def test_evaluation_and_inference_know_nothing_of_it():
    layer = KMixupLayer(1, num_classes=4, label_shares=RemixShares(COUNTS))
    for _, y in (layer.for_evaluation()(IMAGES, LABELS), layer(IMAGES, LABELS, training=False)):
        np.testing.assert_array_equal(y, np.eye(4)[LABELS])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_pipeline_a_graph_and_xla_agree(jit_compile, same):
    layer = MultiMixLayer(2, scope="sample", num_classes=4, label_shares=RemixShares(COUNTS))
    eager = layer(IMAGES, LABELS, WEIGHT, seed=2)
    specs = [tf.TensorSpec([None, *IMAGES.shape[1:]]), tf.TensorSpec([None], tf.int64), tf.TensorSpec([None])]
    graph = tf.function(lambda *batch: layer(*batch, seed=2), input_signature=specs, jit_compile=jit_compile)
    same(graph(IMAGES, LABELS, WEIGHT), eager, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("plain_functions")
def test_any_size_of_batch_and_half_precision():
    layer = KMixupLayer(1, num_classes=4, label_shares=RemixShares(COUNTS), dtype="mixed_float16")
    for size in (0, 1, 2, 3):
        x, y = layer(IMAGES[:size].astype(np.float16), LABELS[:size], seed=1)
        assert (x.dtype, y.dtype, len(y)) == (tf.float16, tf.float32, size)
        np.testing.assert_allclose(tf.reduce_sum(y, axis=1), np.ones(size), atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.representatives("jit_compile, packed", [(True, True)])
def test_models_are_trained_with_it(jit_compile, packed):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4)(hidden))
    entropy = keras.losses.CategoricalCrossentropy(from_logits=True)
    layer = KMixupLayer(1, num_classes=4, label_shares=RemixShares(COUNTS), targets="packed" if packed else "mixed")
    x = RNG.normal(size=(SIZE, 3)).astype(np.float32)
    for mixing in (MixModel(model, layer, seed=1), ManifoldMixModel(model, ["input", "hidden"], layer, seed=1)):
        mixing.compile("sgd", LocalMixupLoss(entropy), weighted_metrics=[MixAccuracy()], jit_compile=jit_compile)
        history = mixing.fit(x, LABELS, sample_weight=WEIGHT, batch_size=4, epochs=2, verbose=0).history
        assert all(np.isfinite(values).all() for values in history.values())


def test_it_is_saved_with_the_layer(same, tmp_path, elsewhere):
    layer = KMixupLayer(1, num_classes=4, label_shares=RemixShares(np.array(COUNTS), 2.0, 0.25))
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    back = keras.saving.deserialize_keras_object(config)
    assert back.label_shares.get_config() == {"counts": COUNTS, "kappa": 2.0, "tau": 0.25}
    mixed = layer(IMAGES, LABELS, seed=3)
    same(back(IMAGES, LABELS, seed=3), mixed, rtol=0, atol=0)
    (tmp_path / "layer.json").write_text(json.dumps(config))
    np.savez(tmp_path / "data.npz", x=IMAGES, y=LABELS)
    program = """
import json, sys, keras, numpy as np
import kmix_tf
data = np.load(sys.argv[1] + "/data.npz")
layer = keras.saving.deserialize_keras_object(json.load(open(sys.argv[1] + "/layer.json")))
np.savez(sys.argv[1] + "/mixed.npz", y=layer(data["x"], data["y"], seed=3)[1])
"""
    elsewhere(program, tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "mixed.npz")["y"], mixed[1], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": [10]}, r"counts must be a list of numbers > 0, one for each of at least two classes. Received"),
        ({"counts": 10}, r"counts must be a list of numbers > 0"),
        ({"counts": {0: 5, 1: 6}}, r"counts must be a list of numbers > 0"),
        ({"counts": ["5", "6"]}, r"counts must be a list of numbers > 0"),
        ({"counts": np.ones((2, 2))}, r"counts must be a list of numbers > 0"),
        ({"counts": [5, 0]}, r"counts must be > 0 and finite. Received: 0 for class 1. Give a class without"),
        ({"counts": [-1, 5]}, r"counts must be > 0 and finite. Received: -1 for class 0"),
        ({"counts": [5, float("nan")]}, r"counts must be > 0 and finite"),
        ({"counts": [5, 6], "kappa": 0.5}, r"kappa must be >= 1 and finite. Received: kappa=0.5"),
        ({"counts": [5, 6], "kappa": float("inf")}, r"kappa must be >= 1 and finite"),
        ({"counts": [5, 6], "tau": 1.5}, r"tau must be in \[0, 1\]. Received: tau=1.5"),
    ],
    ids=str,
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"RemixShares: {message}"):
        RemixShares(**arguments)


def test_counts_of_another_number_of_classes_are_refused():
    with pytest.raises(ValueError, match=r"RemixShares: counts must be as many as there are classes, 4. Received"):
        KMixupLayer(1, num_classes=4, label_shares=RemixShares([5, 6, 7]))
    with pytest.raises(ValueError, match="RemixShares: counts must be as many as there are classes, 4"):
        KMixupLayer(1, label_shares=RemixShares([5, 6, 7]))(IMAGES, np.eye(4)[LABELS])


PLACES = np.eye(4)[RNG.integers(0, 4, (SIZE, 8, 8))]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (RNG.normal(size=(SIZE,)), "one class of each sample"),
        (PLACES[:, 0], "one class of each sample"),
        (np.eye(4)[LABELS] * 2, "soft labels must be >= 0 and sum to 1"),
        (np.eye(4)[LABELS] + [0.5, -0.5, 0, 0], "soft labels must be >= 0 and sum to 1"),
    ],
    ids=["numbers", "sequences", "multi-hot", "negative"],
)
def test_targets_that_are_no_classes_are_refused(y, message):
    layer = KMixupLayer(1, label_shares=RemixShares(COUNTS))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=f"RemixShares: .*{message}"):
        layer(IMAGES, y)


def test_labels_without_a_count_are_refused_and_under_xla_not_passed_over():
    layer = KMixupLayer(1, targets="packed", label_shares=RemixShares([5, 6, 7]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"RemixShares: labels must be classes in \[0, 3\)"):
        layer(IMAGES, LABELS)
    graph = tf.function(lambda x, y: layer(x, y, seed=1), jit_compile=True)
    ratio = unpack_targets(tf.squeeze(graph(IMAGES, LABELS)[1], -2)).ratio.numpy()
    partner = layer.plan([IMAGES], 1).partner.numpy()
    assert np.isnan(ratio[(LABELS == 3) | (LABELS[partner] == 3)]).all()
    assert np.isfinite(ratio[(LABELS < 3) & (LABELS[partner] < 3)]).all()


def test_the_recipe_of_a_pipeline_with_bincount():
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(3)
    layer = KMixupLayer(1, num_classes=4, label_shares=RemixShares(np.bincount(LABELS)))
    for x, y in data.apply(mix(layer, seed=0)):
        assert len(x) == len(y)
