"""What samples, classes and places count: the loss of a mixture is share x weight x loss, summed over its samples."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf import (
    BetaRatio,
    CutMixLayer,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    LocalMixupLoss,
    MixLayer,
    MixModel,
    MultiMixLayer,
    PuzzleMixLayer,
    ResizeMixLayer,
    SaliencyMixLayer,
    SmoothMixLayer,
    mix,
    unpack_targets,
)

RNG = np.random.default_rng(12)
SIZE, CLASSES = 6, 4
X = RNG.normal(size=(SIZE, 8, 8, 2)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 1, 0])
WEIGHT = np.array([0.5, 2.0, 0.0, 7.0, 1.0, 0.0], np.float32)
LAYERS = [
    KMixupLayer(1, scope="sample", num_classes=CLASSES),
    KMixupLayer(3, num_classes=CLASSES),
    MultiMixLayer(3, num_classes=CLASSES),
    CutMixLayer(num_classes=CLASSES),
    FMixLayer(num_classes=CLASSES, scope="sample"),
    ResizeMixLayer(num_classes=CLASSES, scope="sample"),
    SaliencyMixLayer(num_classes=CLASSES),
    SmoothMixLayer(num_classes=CLASSES),
    PuzzleMixLayer(num_classes=CLASSES, blocks=4),
]
each_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: f"{layer.name}")


def with_options(layer, **options):
    return type(layer).from_config({**layer.get_config(), **options})


def shares_of(layer, x, seed, **options):
    """How much of each sample is in each mixture, `(mixtures, batch)`: what one-hot targets without weights show."""
    plain = with_options(layer, num_classes=len(x), class_weight=None, **options)
    return plain(x, np.arange(len(x)), seed=seed)[1].numpy().astype(np.float64)


def log_probabilities(shape):
    logits = RNG.normal(size=shape)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@each_layer
@pytest.mark.parametrize("in_map", [False, True])
def test_cross_entropy_of_a_mixture_is_that_of_its_samples_by_share_and_weight(layer, in_map):
    shares = shares_of(layer, X, 3)
    if in_map:
        data = tf.data.Dataset.from_tensors((X, LABELS, WEIGHT)).map(lambda x, y, w: layer(x, y, w, seed=3))
        _, y, weight = next(iter(data))
    else:
        _, y, weight = layer(X, LABELS, WEIGHT, seed=3)
    logs = log_probabilities((len(shares), CLASSES))
    # share x weight x loss, sample by sample.
    loss = -(shares * WEIGHT * logs[:, LABELS]).sum(axis=1)
    np.testing.assert_allclose(weight * -(y * logs).numpy().sum(axis=1), loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weight, shares @ WEIGHT, rtol=1e-5)
    np.testing.assert_allclose(y.numpy().sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("loss", ["mse", "mae", keras.losses.Huber(0.3)], ids=["squared", "absolute", "Huber"])
@pytest.mark.parametrize("interpolations", [1, 3])
def test_any_loss_of_packed_targets_is_that_of_its_samples(loss, interpolations):
    y = RNG.normal(size=(SIZE, 3)).astype(np.float32)
    layer = KMixupLayer(1, scope="sample", interpolations=interpolations, targets="packed")
    shares = shares_of(layer, X, 4, targets="mixed")
    _, packed, weight = layer(X, y, WEIGHT, seed=4)
    predictions = RNG.normal(size=(len(shares), 3)).astype(np.float32)
    ours = LocalMixupLoss(loss).call(packed, predictions).numpy() * weight
    error = (predictions[:, np.newaxis] - y[np.newaxis]).astype(np.float64)
    size = np.abs(error)
    each = {"mse": error**2, "mae": size}.get(loss, np.where(size <= 0.3, error**2 / 2, 0.3 * size - 0.045))
    np.testing.assert_allclose(ours, (shares * WEIGHT * each.mean(axis=2)).sum(axis=1), rtol=1e-4, atol=1e-5)


def test_gradients_of_squared_error_are_those_of_the_samples():
    y = RNG.normal(size=(SIZE, 3)).astype(np.float32)
    layer = KMixupLayer(1, scope="sample")
    shares = shares_of(layer, X, 5)
    _, mixed, weight = layer(X, y, WEIGHT, seed=5)
    predictions = tf.Variable(RNG.normal(size=(SIZE, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weight * tf.reduce_sum(tf.square(predictions - mixed), axis=1))
    error = predictions.numpy()[:, np.newaxis] - y[np.newaxis]
    expected = 2 * ((shares * WEIGHT)[..., np.newaxis] * error).sum(axis=1)
    np.testing.assert_allclose(tape.gradient(loss, predictions), expected, rtol=1e-4, atol=1e-5)


def test_samples_of_weight_zero_lend_nothing():
    for filler in (1, 3):
        _, y, weight = KMixupLayer(1)(X[:2], tf.one_hot([0, filler], 4), np.array([1, 0]), seed=1)
        assert y.numpy().tolist() == [[1, 0, 0, 0]] * 2
        assert (weight.numpy() > 0).all()
    _, y, weight = KMixupLayer(1)(X[:2], tf.one_hot([0, 3], 4), np.array([0, 0]), seed=1)
    assert weight.numpy().tolist() == [0, 0]
    assert np.isfinite(y).all()


def test_unmixed_samples_keep_target_and_weight_exactly():
    y = RNG.normal(size=(SIZE, 5))
    for dtype in (np.float32, np.float64):
        _, ours, weight = MixLayer(ratio=BetaRatio(0.0))(X, y.astype(dtype), WEIGHT.astype(dtype), seed=0)
        assert (ours.numpy() == y.astype(dtype)).all()
        assert (weight.numpy() == WEIGHT).all()


class TestPlaces:
    """Weights `(batch, steps)` and `(batch, height, width)`."""

    @pytest.mark.parametrize("layer", [KMixupLayer(1, scope="sample"), MultiMixLayer(2)], ids=["one", "several"])
    def test_tags_count_step_by_step(self, layer):
        x, tags = X[:, :, 0], RNG.integers(0, CLASSES, (SIZE, 8))
        weight = RNG.integers(0, 3, (SIZE, 8)).astype(np.float32)
        shares = shares_of(layer, x, 6)
        layer = with_options(layer, num_classes=CLASSES)
        _, y, ours = layer(x, tags, weight, seed=6)
        by_class = np.einsum("mb,bt,btc->mtc", shares, weight, np.eye(CLASSES)[tags])
        np.testing.assert_allclose(ours, by_class.sum(axis=-1), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours[..., tf.newaxis] * y, by_class, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("of_places", [False, True], ids=["of samples", "of places"])
    @pytest.mark.parametrize("targets", ["mixed", "packed"])
    @pytest.mark.parametrize(
        "layer",
        [
            CutMixLayer(),
            FMixLayer(scope="sample", interpolations=2),
            PuzzleMixLayer(blocks=4, t_eps=0.0, n_labels=2),
            ResizeMixLayer(scope="sample", interpolations=2),
            GridMixLayer(scope="sample"),
        ],
        ids=["cutmix", "fmix", "puzzle", "resizemix", "gridmix"],
    )
    def test_pasted_maps_bring_their_weights(self, layer, targets, of_places):
        maps = RNG.integers(0, CLASSES, (SIZE, 8, 8))
        weight = RNG.uniform(0.5, 2, (SIZE, 8, 8)).astype(np.float32) if of_places else WEIGHT
        full = np.broadcast_to(weight.reshape(SIZE, *weight.shape[1:] or (1, 1)), maps.shape)
        # Numbers that are unlike all others say of each place of the mixture where it comes from.
        x = np.arange(SIZE * 64, dtype=np.float32).reshape(SIZE, 8, 8, 1)
        layer = with_options(layer, num_classes=CLASSES, targets=targets)
        shown, y, ours = layer(x, maps, weight, seed=2)
        source = shown.numpy()[..., 0].astype(int)
        assert (shown.numpy()[..., 0] == source).all()
        np.testing.assert_allclose(ours, full.ravel()[source], rtol=1e-6)
        if targets == "packed":
            y_a, y_b, ratio, _ = unpack_targets(y)
            y = tf.where(ratio[..., tf.newaxis] == 1, y_a, y_b)
        counts = ours.numpy() > 0
        assert (y.numpy().argmax(axis=-1) == maps.ravel()[source])[counts].all()

    def test_maps_without_an_axis_of_their_own_cannot_be_weighed(self):
        with pytest.raises(ValueError, match=r"CutMixLayer: maps that are pasted with weights .* tf.expand_dims"):
            CutMixLayer()(X, X[..., 0], WEIGHT, seed=1)

    def test_absent_elements_lend_no_target(self):
        there = np.arange(5) < np.array([[3], [1], [2], [5]])
        x = {"x": RNG.normal(size=(4, 5, 3)).astype(np.float32), "there": there}
        tags = RNG.integers(0, CLASSES, (4, 5))
        layer = MixLayer(ratio=BetaRatio(1.0, "sample"), masks="there", num_classes=CLASSES)
        plan = layer.plan([x["x"]], 3)
        ratio, partner = plan.ratio.numpy()[:, np.newaxis], plan.partner.numpy()
        shares = ratio * there, (1 - ratio) * there[partner]
        mixed, y = layer(x, tags, seed=3)
        total = shares[0] + shares[1]
        labels = np.eye(CLASSES)[tags]
        by_class = shares[0][..., np.newaxis] * labels + shares[1][..., np.newaxis] * labels[partner]
        joined = there | there[partner]
        assert (mixed["there"].numpy() == joined).all()
        np.testing.assert_allclose(y[joined], by_class[joined] / total[joined][:, np.newaxis], rtol=1e-5)
        own = RNG.uniform(0.5, 2, 4).astype(np.float32)
        _, y, weight = layer(x, tags, own, seed=3)
        total = shares[0] * own[:, np.newaxis] + shares[1] * own[partner][:, np.newaxis]
        np.testing.assert_allclose(weight, total, rtol=1e-5)

    def test_a_mask_is_pasted_with_its_elements(self):
        there = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]], bool)
        signal = np.stack([np.zeros((6, 1)), np.ones((6, 1))]).astype(np.float32)
        for seed in range(8):
            mixed, _ = CutMixLayer(axes=1, masks="there")({"x": signal, "there": there}, signal[:, 0], seed=seed)
            source = mixed["x"].numpy()[..., 0].astype(int)
            assert (mixed["there"].numpy() == np.take_along_axis(there, source, axis=0)).all()

    @pytest.mark.parametrize("weighted", [False, True])
    def test_packed_tags_are_pasted_with_their_steps(self, weighted):
        signal = np.arange(SIZE * 9, dtype=np.float32).reshape(SIZE, 9, 1)
        tags, weight = RNG.integers(0, CLASSES, (SIZE, 9)), RNG.uniform(0.5, 2, (SIZE, 9)).astype(np.float32)
        given = (weight,) if weighted else ()
        shown, packed, *ours = CutMixLayer(axes=1, targets="packed")(signal, tags, *given, seed=2)
        source = shown.numpy()[..., 0].astype(int)
        assert (source != np.arange(SIZE * 9).reshape(SIZE, 9)).any()
        y_a, y_b, ratio, _ = (part.numpy()[:, :, 0] for part in unpack_targets(packed))
        assert set(np.unique(ratio)) == {0, 1}
        assert (np.where(ratio == 1, y_a[..., 0], y_b[..., 0]) == tags.ravel()[source]).all()
        if weighted:
            np.testing.assert_allclose(ours[0], weight.ravel()[source], rtol=1e-6)

    def test_a_mask_of_rows_moves_with_a_partner_made_smaller(self):
        """A mask of whole rows of an image says of each place what one of all places says."""
        rng = np.random.default_rng(3)
        x, y = rng.random((4, 6, 6, 1)).astype("float32"), rng.integers(0, CLASSES, (4, 6, 6))
        rows = rng.random((4, 6)) < 0.6
        layer = ResizeMixLayer(k=1, masks="there", num_classes=CLASSES)
        for seed in range(5):
            of_rows = layer({"x": x, "there": rows}, y, WEIGHT[:4], seed=seed)
            of_places = layer({"x": x, "there": np.repeat(rows[:, :, None], 6, axis=2)}, y, WEIGHT[:4], seed=seed)
            for ours, theirs in zip(of_rows[1:], of_places[1:], strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-6)

    def test_two_masks_that_may_be_of_a_target_are_refused(self):
        x = {"x": X[:, :, 0], "encoder": np.ones((SIZE, 8), bool), "decoder": np.ones((SIZE, 8), bool)}
        layer = MixLayer(masks=["encoder", "decoder"])
        with pytest.raises(ValueError, match="MixLayer: only one mask may have the length of a target"):
            layer(x, np.ones((SIZE, 8, 1), np.float32), seed=1)
        x["encoder"] = np.ones((SIZE, 5), bool)
        layer(x, np.ones((SIZE, 8, 1), np.float32), seed=1)

    def test_labels_of_samples_have_no_mask(self):
        batch = {"x": X[:, :, 0], "m": np.ones((SIZE, 8), bool)}, LABELS[:, np.newaxis]
        open_length = ({"x": tf.TensorSpec([None, None, 2]), "m": tf.TensorSpec([None, None], tf.bool)},)
        spec = (*open_length, tf.TensorSpec([None, 1], tf.int64))
        data = tf.data.Dataset.from_generator(lambda: [batch], output_signature=spec)
        assert len(list(data.map(MixLayer(masks="m", targets="packed")))) == 1

    def test_a_mask_of_sequences_of_one_element_is_not_of_samples(self):
        x = {"x": tf.random.uniform([6, 1, 2], seed=0), "m": tf.constant([[True], [False]] * 3)}
        labels = tf.eye(6)
        _, y = KMixupLayer(1, masks="m")(x, labels, seed=3)
        _, unmasked = KMixupLayer(1)({"x": x["x"]}, labels, seed=3)
        np.testing.assert_array_equal(y, unmasked)
        # Of targets with elements it is, as of longer sequences.
        _, steps = KMixupLayer(1, masks="m")(x, labels[:, tf.newaxis], seed=3)
        assert np.asarray(unmasked)[::2, 1::2].max() > 0
        assert np.asarray(steps)[::2, 0, 1::2].max() == 0

    def test_a_mask_of_another_length_is_refused(self):
        layer = MixLayer(masks="there", num_classes=CLASSES)
        signature = ({"x": tf.TensorSpec([4, None, 3]), "there": tf.TensorSpec([4, None], tf.bool)},)

        @tf.function(input_signature=[*signature, tf.TensorSpec([4, None], tf.int32)])
        def run(x, y):
            return layer(x, y, seed=1)

        x = {"x": tf.zeros([4, 5, 3]), "there": tf.ones([4, 5], tf.bool)}
        run(x, tf.zeros([4, 5], tf.int32))
        with pytest.raises(tf.errors.InvalidArgumentError, match="MixLayer: masks must be as long as the targets"):
            run(x, tf.zeros([4, 7], tf.int32))


class TestStructures:
    """Several targets."""

    def test_each_target_has_its_weight_or_all_have_one(self):
        layer = KMixupLayer(1, scope="sample")
        shares = shares_of(layer, X, 7)
        y = {"a": RNG.normal(size=(SIZE, 2)), "b": RNG.normal(size=(SIZE,))}
        own = {"a": WEIGHT, "b": RNG.uniform(0.5, 1, SIZE).astype(np.float32)}
        for came in (own, WEIGHT):
            _, mixed, weight = layer(X, y, came, seed=7)
            tf.nest.assert_same_structure(weight, came)
            for name in y:
                mine, ours = (each[name] if isinstance(each, dict) else each for each in (came, weight))
                total = shares @ mine
                np.testing.assert_allclose(ours, total, rtol=1e-5)
                expected = (shares * mine) @ y[name].reshape(SIZE, -1)
                np.testing.assert_allclose(
                    mixed[name].numpy().reshape(SIZE, -1) * total[:, np.newaxis], expected, rtol=1e-4, atol=1e-5
                )

    def test_one_weight_becomes_one_for_each_where_places_differ(self):
        y = {"map": X[..., :1], "label": tf.one_hot(LABELS, CLASSES)}
        *_, weight = CutMixLayer()(X, y, WEIGHT, seed=1)
        assert weight["map"].shape == (SIZE, 8, 8)
        assert weight["label"].shape == (SIZE,)
        np.testing.assert_allclose(weight["map"].numpy().mean(axis=(1, 2)), weight["label"], rtol=1e-5)

    def test_what_rides_along_keeps_its_weight(self):
        layer = KMixupLayer(1, passthrough="id")
        y = {"id": np.arange(SIZE), "y": X[:, 0, 0]}
        *_, weight = layer(X, y, WEIGHT, seed=1)
        assert (weight["id"].numpy() == WEIGHT).all()
        assert not np.allclose(weight["y"], WEIGHT)
        *_, weight = layer(X, {"id": np.arange(SIZE)}, {"id": WEIGHT}, seed=1)
        assert (weight["id"].numpy() == WEIGHT).all()

    def test_two_loaders_count_each_by_its_own(self):
        other, labels = X[::-1].copy(), np.roll(LABELS, 1)
        layer = KMixupLayer(1, scope="sample", num_classes=CLASSES)
        own = np.linspace(1, 2, SIZE).astype(np.float32)
        _, y, weight = layer.between((X, LABELS, WEIGHT), (other, labels, own), seed=3)
        _, marks = KMixupLayer(1, scope="sample").between(
            (X, np.eye(2 * SIZE)[:SIZE]), (other, np.eye(2 * SIZE)[SIZE:]), seed=3
        )
        by_class = marks.numpy() * np.concatenate([WEIGHT, own]) @ np.eye(CLASSES)[np.concatenate([LABELS, labels])]
        np.testing.assert_allclose(weight, by_class.sum(axis=1), rtol=1e-5)
        np.testing.assert_allclose(weight[:, tf.newaxis] * y, by_class, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize(
        ("y", "weight", "message"),
        [
            (LABELS, {"a": WEIGHT, "b": WEIGHT}, "sample_weight must be one tensor, or have the structure"),
            (
                np.eye(CLASSES)[LABELS],
                np.ones((SIZE, 3)),
                r"sample_weight must be \(batch,\), or have the target",
            ),
            (LABELS, np.ones((SIZE, 3, 2)), r"sample_weight must be \(batch,\), or have the target"),
            (X[:, 0, 0], np.ones((SIZE, 2)), "sample_weight cannot say what each number of a target counts"),
        ],
        ids=["structure", "size", "axes", "numbers"],
    )
    def test_weights_that_fit_no_target_are_refused(self, y, weight, message):
        with pytest.raises(ValueError, match=f"KMixupLayer: {message}"):
            KMixupLayer(1, num_classes=CLASSES if y is LABELS else None)(X, y, weight)

    def test_negative_weights_are_refused(self):
        with pytest.raises(tf.errors.InvalidArgumentError, match="KMixupLayer: sample_weight must be >= 0"):
            KMixupLayer(1, num_classes=CLASSES)(X, LABELS, -WEIGHT)


@settings(max_examples=60)
@given(st.integers(1, 7), st.integers(0, 2**31 - 1), st.booleans(), st.sampled_from([1, 3]))
@pytest.mark.usefixtures("plain_functions")
def test_weights_of_any_size_mix_without_nan(n, seed, packed, interpolations):
    rng = np.random.default_rng(seed)
    weight = rng.choice([0, 1e-30, 1e-3, 1, 1e6], n).astype(np.float32)
    layer = KMixupLayer(1, interpolations=interpolations, targets="packed" if packed else "mixed", scope="sample")
    _, y, ours = layer(rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), weight, seed=seed)
    assert np.isfinite(y).all()
    assert (ours.numpy() >= 0).all()
    assert ours.numpy().max() <= weight.max()


def positive_share(fit):
    """What a model of constants learns of 10 % positives."""
    keras.utils.set_random_seed(0)
    labels = (np.arange(2000) % 10 == 0).astype(np.int64)
    x = np.ones((2000, 1), np.float32)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")])
    fit(model, x, labels)
    return float(tf.nn.softmax(model(x[:1]))[0, 1])


LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)
BALANCED = {0: 1.0, 1: 9.0}


def by_layer(model, x, y, **options):
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(2000, seed=0).batch(500)
    layer = KMixupLayer(1, class_weight=BALANCED, **{"num_classes": 2, **options})
    model.compile(keras.optimizers.SGD(0.3), LOSS if not options else LocalMixupLoss(LOSS))
    model.fit(data.apply(mix(layer, seed=0)), epochs=20, verbose=0)


def by_model(model, x, y):
    mixing = MixModel(model, KMixupLayer(1, num_classes=2), seed=0)
    mixing.compile(keras.optimizers.SGD(0.3), LOSS)
    mixing.fit(x, y, batch_size=500, epochs=20, class_weight=BALANCED, verbose=0)


@pytest.mark.parametrize(
    "fit",
    [by_layer, lambda *data: by_layer(*data, targets="packed"), by_model],
    ids=["class_weight of the layer", "packed", "MixModel.fit(class_weight)"],
)
def test_balanced_class_weights_teach_one_half(fit):
    assert abs(positive_share(fit) - 0.5) < 0.03


@pytest.mark.parametrize("shape", [(2, 4), (2,)], ids=["of places", "of samples"])
def test_the_clean_batch_counts_what_is_there(shape):
    there = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)
    inputs = {"x": keras.Input((4, 1), name="x"), "m": keras.Input((4,), dtype="bool", name="m")}
    bias = keras.layers.Dense(1, kernel_initializer="zeros")(inputs["x"])
    model = keras.Model(inputs, bias)
    mixing = MixModel(model, KMixupLayer(1, masks="m"), seed=0, clean_weight=1.0)
    mixing.compile(keras.optimizers.SGD(1.0), "mse")
    x = {"x": np.zeros((2, 4, 1), np.float32), "m": there}
    # Fillers of 1000 would move the bias, if they counted.
    y = np.where(there, 0, 1000).astype(np.float32)[..., np.newaxis]
    mixing.train_on_batch(x, y, sample_weight=np.ones(shape, np.float32))
    assert float(model.get_weights()[1][0]) == 0
