"""RecursiveMixModel: its steps are those of a loop by hand, with boxes found by colour and means by counting."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, MixtureImages, RecursiveMixLayer, RecursiveMixModel
from kmix_tf.models.recursive.region import mean_in_window

IS_KERAS_3 = keras.__version__.startswith("3")
RNG = np.random.default_rng(2)
CLASSES, SIZE = 3, 22
LABELS = RNG.integers(0, CLASSES, SIZE)
# Each sample has a colour of its own.
IMAGES = np.zeros((SIZE, 12, 8, 1), np.float32) + (np.arange(SIZE, dtype=np.float32).reshape(-1, 1, 1, 1) / SIZE)
ENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)


def network(seed=0, activation=None):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((12, 8, 1)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="map"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation=activation),
        ]
    )


def layer(**options):
    return RecursiveMixLayer(num_classes=CLASSES, **{"scope": "sample", "area": 1.0, **options})


def compiled(model=None, mix=None, seed=1, **options):
    mixing = RecursiveMixModel(model or network(), mix or layer(), seed=seed, **options)
    loss = ENTROPY if options.get("from_logits", True) else "categorical_crossentropy"
    mixing.compile(keras.optimizers.SGD(0.5), loss)
    return mixing


def _between(found):
    """All from the first to the last that is found, in each row."""
    return (np.cumsum(found, axis=1) > 0) & (np.cumsum(found[:, ::-1], axis=1)[:, ::-1] > 0)


def counted(differs):
    """How much of each place of a map of half the size is in a box, and how much of the image the box is.

    differs: where a mixture is not the sample. In the box may lie the sample itself, from an epoch before.
    """
    rows, columns = _between(differs.any(axis=2)), _between(differs.any(axis=1))
    shown = rows[:, :, np.newaxis] & columns[:, np.newaxis]
    return shown.reshape(-1, 6, 2, 4, 2).mean(axis=(2, 4)).astype(np.float32), shown.mean(axis=(1, 2))


def by_hand(plain, head, mix, batches, weight, seeds, shared=False, probabilities=False):
    optimizer, carried, before = keras.optimizers.SGD(0.5), None, None
    conv, pool, dense = plain.layers[-3:]
    losses = []
    for (x, y, *sample_weight), (step, seed) in zip(batches, seeds, strict=True):
        if carried is None:
            carried = mix.nothing_carried((tf.TensorSpec([None, 12, 8, 1]), tf.TensorSpec([None], tf.int64)))
        if sample_weight and len(carried) < 3:
            carried = (*carried, tf.zeros([0]))
        carried, (mixed, labels, *counts) = mix.carry(carried, (x, y, *sample_weight), seed=seed, step=step)
        covered, share = counted(mixed.numpy()[..., 0] != x[..., 0])
        with tf.GradientTape() as tape:
            features = conv(mixed)
            logits = dense(pool(features))
            inside = tf.reduce_sum(covered[..., np.newaxis] * features, axis=[1, 2])
            seen = inside / np.maximum(covered.sum(axis=(1, 2)), 1e-9)[:, np.newaxis]
            log = tf.math.log if probabilities else tf.math.log_softmax
            each = -tf.reduce_sum(labels * log(logits), axis=1)
            if before is not None:
                rows = np.arange(len(x)) % len(before)
                again = dense(seen) if shared else tf.matmul(seen, head[0]) + head[1]
                log = tf.math.log if shared and probabilities else tf.math.log_softmax
                each += weight * share * -tf.reduce_sum(before[rows] * log(again), axis=1)
            if counts:
                each *= counts[0]
            loss = tf.reduce_mean(each)
        variables = [*plain.trainable_variables, *head]
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        before = logits.numpy() if probabilities else tf.nn.softmax(logits).numpy()
        losses.append(float(loss))
    return losses


def seeds_of(steps):
    counter = compiled()._counter
    return [counter.next() for _ in range(steps)]


def batches_of(*parts, size=5):
    return [tuple(part[at : at + size] for part in parts) for at in range(0, SIZE, size)]


@pytest.mark.parametrize(
    ("options", "mix"),
    [
        ({}, {}),
        pytest.param({"head": "shared", "consistency_weight": 2.0}, {"area": 0.5}, marks=pytest.mark.matrix),
        ({"head": "shared", "from_logits": False}, {"probability": 0.7}),
        ({"consistency_weight": 0.0}, {}),
    ],
    ids=["own", "shared", "probabilities", "without"],
)
def test_steps_are_those_of_a_loop_by_hand(options, mix):
    probabilities = not options.get("from_logits", True)
    activation = "softmax" if probabilities else None
    mixing = compiled(network(activation=activation), layer(**mix), **options)
    head = [tf.Variable(weight) for weight in (mixing.consistency_head or keras.layers.Layer()).get_weights()]
    plain, shared = network(activation=activation), options.get("head") == "shared"
    batches = batches_of(IMAGES, LABELS)
    weight = options.get("consistency_weight", 0.5)
    if not mixing.consistency_weight:
        weight, shared = 0.0, True
    # Epochs go on from one another.
    losses = by_hand(plain, head, layer(**mix), batches * 2, weight, seeds_of(10), shared, probabilities)
    history = mixing.fit(IMAGES, LABELS, batch_size=5, epochs=2, shuffle=False, verbose=0).history
    for ours, theirs in zip(mixing.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    if head:
        for ours, theirs in zip(mixing.consistency_head.get_weights(), head, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    if IS_KERAS_3:
        sizes = np.array([len(x) for x, _ in batches])
        expected = [np.average(part, weights=sizes) for part in (losses[:5], losses[5:])]
        np.testing.assert_allclose(history["loss"], expected, rtol=1e-4)


def test_weights_of_samples_count_in_both_losses():
    weights = RNG.uniform(0, 2, SIZE).astype(np.float32)
    mixing = compiled()
    head = [tf.Variable(weight) for weight in mixing.consistency_head.get_weights()]
    plain = network()
    by_hand(plain, head, layer(), batches_of(IMAGES, LABELS, weights), 0.5, seeds_of(5))
    mixing.fit(IMAGES, LABELS, sample_weight=weights, batch_size=5, shuffle=False, verbose=0)
    for ours, theirs in zip(mixing.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_means_over_boxes_are_those_of_a_fine_grid(axes):
    sizes, places = [12, 6, 4][:axes], [4, 3, 2][:axes]
    features = RNG.normal(size=(5, *places, 2)).astype(np.float32)
    starts = np.stack([RNG.integers(0, size, 5) for size in sizes], axis=1)
    ends = np.minimum(starts + RNG.integers(1, 5, (5, axes)), sizes)
    starts[4] = ends[4] = 1  # a box of no size
    window = np.stack([starts, ends], axis=2).astype(np.float32)
    found = mean_in_window(tf.constant(features), tf.constant(window), sizes).numpy()
    for row in range(4):
        fine = features[row]
        for axis, (size, count) in enumerate(zip(sizes, places, strict=True)):
            fine = fine.repeat(size // count, axis)
        box = fine[tuple(slice(*each) for each in zip(starts[row], ends[row], strict=True))]
        np.testing.assert_allclose(found[row], box.reshape(-1, 2).mean(axis=0), rtol=1e-4, atol=1e-6)
    assert (found[4] == 0).all()


def test_a_fit_begins_anew_and_forgets_what_another_kept():
    mixing = compiled(seed=3)
    mixing.fit(IMAGES[:10], LABELS[:10], batch_size=5, shuffle=False, verbose=0)
    smaller = np.zeros((4, 12, 8, 1), np.float32)
    seen = []

    class Looking(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(
                [len(each) for each in (*mixing._left.value.read().carried, mixing._left.value.read().predicted)]
            )

    mixing.fit(smaller, LABELS[:4], batch_size=2, verbose=0, callbacks=[Looking()])
    assert seen == [[2, 2, 2]] * 2, "rows of images, labels and predictions"
    mixing._left.value.forget()
    assert [len(each) for each in mixing._left.value.read().carried] == [0, 0]


@pytest.mark.as_users_compile
def test_of_a_known_batch_size_the_first_step_is_unmixed():
    # Else TensorFlow takes what is kept to be of that size from the start.
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(11, drop_remainder=True)
    head = compiled().consistency_head
    plain = network()
    by_hand(
        plain,
        [tf.Variable(each) for each in head.get_weights()],
        layer(),
        list(data.as_numpy_iterator()),
        0.5,
        seeds_of(2),
    )
    mixing = compiled()
    mixing.fit(data, verbose=0)
    for ours, theirs in zip(mixing.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_all_but_the_step_is_the_plain_models(tmp_path):
    mixing = compiled()
    mixing.fit(IMAGES, LABELS, batch_size=5, epochs=1, verbose=0, validation_data=(IMAGES, LABELS))
    plain = mixing.model
    plain.compile(loss=ENTROPY)
    expected = plain.evaluate(IMAGES, np.eye(CLASSES)[LABELS], verbose=0)
    np.testing.assert_allclose(mixing.evaluate(IMAGES, LABELS, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(mixing.predict(IMAGES, verbose=0), plain.predict(IMAGES, verbose=0), rtol=1e-5)
    assert len(mixing.trainable_weights) == len(plain.trainable_weights) + 2
    mixing.save(tmp_path / "model.keras")
    back = keras.models.load_model(tmp_path / "model.keras")
    assert type(back) is RecursiveMixModel
    config = back.get_config()
    assert (config["consistency_weight"], config["head"], config["features"]) == (0.5, "own", None)
    for ours, theirs in zip(back.get_weights(), mixing.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    back.fit(IMAGES, LABELS, batch_size=5, verbose=0)


def test_steps_run_eagerly_and_in_half_precision():
    mixing = RecursiveMixModel(network(), layer(), seed=1)
    mixing.compile(keras.optimizers.SGD(0.5), ENTROPY, run_eagerly=True)
    mixing.fit(IMAGES, LABELS, batch_size=11, shuffle=False, verbose=0)
    graph = compiled()
    graph.fit(IMAGES, LABELS, batch_size=11, shuffle=False, verbose=0)
    for ours, theirs in zip(mixing.get_weights(), graph.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    keras.utils.set_random_seed(0)
    half = keras.Sequential(
        [
            keras.Input((12, 8, 1)),
            keras.layers.Conv2D(4, 3, dtype="mixed_float16"),
            keras.layers.Flatten(dtype="mixed_float16"),
            keras.layers.Dense(CLASSES),
        ]
    )
    history = compiled(half).fit(IMAGES, LABELS, batch_size=11, verbose=0).history
    assert np.isfinite(history["loss"]).all()


class TestRefusals:
    def test_other_layers(self):
        with pytest.raises(
            TypeError, match=r"RecursiveMixModel: layer must be a RecursiveMixLayer. Received: layer="
        ):
            RecursiveMixModel(network(), KMixupLayer(1, num_classes=CLASSES))

    def test_other_arguments(self):
        with pytest.raises(ValueError, match="RecursiveMixModel: consistency_weight must be >= 0 and finite"):
            RecursiveMixModel(network(), layer(), consistency_weight=-1)
        with pytest.raises(ValueError, match="RecursiveMixModel: head must be one of 'own', 'shared'"):
            RecursiveMixModel(network(), layer(), head="none")
        with pytest.raises(ValueError, match="RecursiveMixModel: from_logits must be True or False"):
            RecursiveMixModel(network(), layer(), from_logits="yes")
        with pytest.raises(ValueError, match=r"RecursiveMixModel: features must be the name of a layer.*\['map'\]"):
            RecursiveMixModel(network(), layer(), features="dense")

    @pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
    def test_probabilities_that_are_said_to_be_logits(self, activation):
        message = f"from_logits must be False for a model that ends with a {activation}. Received: from_logits=True"
        with pytest.raises(ValueError, match=f"RecursiveMixModel: {message}"):
            RecursiveMixModel(network(activation=activation), layer())
        RecursiveMixModel(network(activation=activation), layer(), consistency_weight=0.0)  # which asks neither

    def test_logits_that_are_said_to_be_probabilities(self):
        with pytest.raises(ValueError, match="from_logits must be True for a model that ends without a softmax"):
            RecursiveMixModel(network(), layer(), from_logits=False)

    def test_models_without_a_map_or_with_several_outputs(self):
        flat = keras.Sequential([keras.Input((12, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
        with pytest.raises(ValueError, match=r"RecursiveMixModel: features must be the name of a layer that gives"):
            RecursiveMixModel(flat, layer())
        compiled(flat, consistency_weight=0).fit(IMAGES, LABELS, batch_size=11, verbose=0)
        inputs = keras.Input((12, 8, 1))
        both = keras.Model(inputs, [keras.layers.Flatten()(inputs), keras.layers.Flatten()(inputs)])
        with pytest.raises(ValueError, match=r"RecursiveMixModel: model must have one output \(batch, classes\)"):
            RecursiveMixModel(both, layer())

    def test_a_look_at_its_mixtures(self, tmp_path):
        looking = MixtureImages(str(tmp_path), dataset=(IMAGES, LABELS))
        with pytest.raises(ValueError, match=r"the model's layer must mix each batch by itself. Received: Recursive"):
            compiled().fit(IMAGES, LABELS, batch_size=11, verbose=0, callbacks=[looking])

    def test_xla(self):
        with pytest.raises(ValueError, match="RecursiveMixModel: jit_compile must be left out"):
            RecursiveMixModel(network(), layer()).compile("sgd", ENTROPY, jit_compile=True)
