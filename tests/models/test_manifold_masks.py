"""Mixing padded sequences in hidden layers, held against mixtures and masks made by hand."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    CutMixBlend,
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    ManifoldMixModel,
    MixLayer,
    MultiMixLayer,
)
from kmix_tf.models.manifold.step import draw_place

L = keras.layers
CROSS_ENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)
WORDS, WIDTH, CLASSES = 9, 4, 3
LENGTHS = (6, 1, 2, 3, 5, 6, 4, 2)
SEED = 5


def tokens(padding, lengths=LENGTHS, seed=0):
    """Ids `(batch, 6)` in which 0 stands for absence: after the words, before them, or anywhere."""
    generator = np.random.default_rng(seed)
    ids = np.zeros((len(lengths), max(lengths)), np.int32)
    for row, length in zip(ids, lengths, strict=True):
        at = {
            "right": np.arange(length),
            "left": np.arange(len(row) - length, len(row)),
            "holes": np.sort(generator.permutation(len(row))[:length]),
        }[padding]
        row[at] = generator.integers(1, WORDS, length)
    return ids, generator.integers(0, CLASSES, len(lengths))


class Readers:
    """What may follow an embedding: each a way to build it, and to call its layers by hand with a mask."""

    @staticmethod
    def lstm(embedded, mask, layers):
        return layers["lstm"](embedded, **mask)

    @staticmethod
    def gru(embedded, mask, layers):
        return layers["pool"](layers["gru"](embedded, **mask), **mask)

    @staticmethod
    def bidirectional(embedded, mask, layers):
        return layers["bidirectional"](embedded, **mask)

    @staticmethod
    def pool(embedded, mask, layers):
        return layers["pool"](embedded, **mask)

    @staticmethod
    def attention(embedded, mask, layers):
        by_hand = {}
        if mask:  # From a query that is there to a key that is, as Keras itself has it.
            there = mask["mask"]
            by_hand = {"attention_mask": there[:, :, np.newaxis] & there[:, np.newaxis, :]}
        attended = layers["attention"](embedded, embedded, **by_hand)
        return layers["pool"](layers["norm"](layers["add"]([embedded, attended])), **mask)


def layers_of():
    return {
        "lstm": L.LSTM(3, name="lstm"),
        "gru": L.GRU(3, return_sequences=True, name="gru"),
        "bidirectional": L.Bidirectional(L.LSTM(3), name="bidirectional"),
        "pool": L.GlobalAveragePooling1D(name="pool"),
        "attention": L.MultiHeadAttention(2, 2, name="attention"),
        "add": L.Add(name="add"),
        "norm": L.LayerNormalization(name="norm"),
        "logits": L.Dense(CLASSES, name="logits", dtype="float32"),
    }


def reader(kind, mask_zero=True):
    """A model of token ids, and its layers by name."""
    keras.utils.set_random_seed(1)
    layers = {"embedding": L.Embedding(WORDS, WIDTH, mask_zero=mask_zero, name="embedding"), **layers_of()}
    ids = keras.Input((None,), dtype="int32")
    read = getattr(Readers, kind)(layers["embedding"](ids), {}, layers)
    return keras.Model(ids, layers["logits"](read)), layers


def wrapped(model, places, mix, optimizer=None, loss=CROSS_ENTROPY, **options):
    mixing = ManifoldMixModel(model, places, mix, seed=SEED)
    mixing.compile(optimizer or keras.optimizers.SGD(0.5), loss, **options)
    return mixing


def mixed_by_hand(hidden, mask, y, mix, step=0):
    """Hidden features, masks and labels of the mixtures, in float64."""
    there = np.where(mask[..., np.newaxis], hidden, 0).astype(np.float64)
    plan = mix.plan([there.astype(np.float32)], tf.stack([SEED, step]))
    partner, ratio = np.atleast_2d(plan.partner.numpy()), np.atleast_2d(plan.ratio.numpy().astype(np.float64))
    partner = np.broadcast_to(partner, ratio.shape)
    one_hot = np.eye(CLASSES)[y]
    features, masks, labels = [], [], []
    for who, share in zip(partner, ratio, strict=True):
        features.append(share[:, None, None] * there + (1 - share)[:, None, None] * there[who])
        masks.append((mask & (share > 0)[:, None]) | (mask[who] & (share < 1)[:, None]))
        labels.append(share[:, None] * one_hot + (1 - share)[:, None] * one_hot[who])
    return tuple(np.concatenate(each) for each in (features, masks, labels))


def loss_of(logits, labels):
    logits = np.asarray(logits, np.float64)
    logs = logits - logits.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return -(labels * logs).sum(axis=1).mean()


MIXES = {
    "mixup": lambda: KMixupLayer(1, num_classes=CLASSES, scope="sample"),
    "matched": lambda: KMixupLayer(4, solver="graph", num_classes=CLASSES),
    "several": lambda: MultiMixLayer(2, num_classes=CLASSES),
}


@pytest.mark.parametrize("jit", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("padding", ["right", "left", "holes"])
@pytest.mark.parametrize("mix", list(MIXES))
@pytest.mark.parametrize("kind", ["lstm", "gru", "bidirectional", "pool", "attention"])
@pytest.mark.representatives(
    "kind, mix, padding, jit",
    [
        ("lstm", "mixup", "right", False),
        ("gru", "matched", "left", True),
        ("bidirectional", "several", "holes", False),
        ("pool", "several", "right", True),
        ("attention", "mixup", "left", False),
    ],
)
def test_a_step_is_that_of_the_layers_called_on_mixed_embeddings_with_the_joined_mask(kind, mix, padding, jit):
    ids, y = tokens(padding)
    (model, layers), mix = reader(kind), MIXES[mix]()
    hidden = np.asarray(layers["embedding"](ids))
    features, masks, labels = mixed_by_hand(hidden, ids != 0, y, mix)
    assert len(set(map(tuple, masks))) > 1
    answer = getattr(Readers, kind)(tf.constant(features, tf.float32), {"mask": tf.constant(masks)}, layers)
    expected = loss_of(layers["logits"](answer), labels)
    logs = wrapped(model, ["embedding"], mix, jit_compile=jit).train_on_batch(ids, y, return_dict=True)
    np.testing.assert_allclose(logs["loss"], expected, rtol=2e-5)


def test_what_an_embedding_holds_for_padding_is_neither_seen_nor_learnt():
    ids, y = tokens("right")
    steps = []
    for value in (0.0, 1000.0):
        model, layers = reader("bidirectional")
        table = layers["embedding"].get_weights()[0]
        table[0] = value
        layers["embedding"].set_weights([table])
        steps.append(wrapped(model, ["embedding"], MIXES["mixup"]()).train_on_batch(ids, y))
        np.testing.assert_array_equal(layers["embedding"].get_weights()[0][0], table[0])
    assert float(steps[0]) == float(steps[1])


class Sum(L.Layer):
    """Adds up all steps, whether they are there or not: many layers take no notice of masks."""

    def call(self, x):
        return tf.reduce_sum(tf.convert_to_tensor(x), axis=1)

    def compute_output_shape(self, shape):
        return shape[0], shape[-1]


@pytest.mark.filterwarnings("ignore:.*does not support masking")
def test_what_neither_sample_has_stays_what_it_is_for_layers_without_masks():
    ids, y = tokens("right", (3, 1, 2, 2))
    ids = np.pad(ids, ((0, 0), (0, 3)))
    embedding, mix = L.Embedding(WORDS, WIDTH, mask_zero=True, name="embedding"), MIXES["several"]()
    model = keras.Sequential([keras.Input((None,), dtype="int32"), embedding, Sum(), L.Dense(CLASSES)])
    features, masks, labels = mixed_by_hand(np.asarray(embedding(ids)), ids != 0, y, mix)
    padding, (kernel, bias) = embedding.get_weights()[0][0], model.layers[-1].get_weights()
    seen = np.where(masks[..., np.newaxis], features, padding).sum(axis=1)
    logs = wrapped(model, ["embedding"], mix).train_on_batch(ids, y, return_dict=True)
    np.testing.assert_allclose(logs["loss"], loss_of(seen @ kernel + bias, labels), rtol=1e-5)


def test_each_step_of_tagged_sequences_has_the_tag_of_the_sample_that_has_it():
    ids, _ = tokens("right")
    tags = np.where(ids != 0, np.random.default_rng(2).integers(0, CLASSES, ids.shape), 0)
    keras.utils.set_random_seed(1)
    embedding, last = L.Embedding(WORDS, WIDTH, mask_zero=True, name="embedding"), L.Dense(CLASSES)
    model, mix = keras.Sequential([keras.Input((None,), dtype="int32"), embedding, last]), MIXES["mixup"]()
    hidden, mask = np.asarray(embedding(ids)), ids != 0
    features, joined, _ = mixed_by_hand(hidden, mask, np.zeros(len(ids), int), mix)
    plan = mix.plan([np.where(mask[..., np.newaxis], hidden, 0)], tf.stack([SEED, 0]))
    partner, share = plan.partner.numpy(), plan.ratio.numpy().astype(np.float64)[:, np.newaxis] * mask
    share = np.divide(share, share + (1 - plan.ratio.numpy()[:, np.newaxis]) * mask[partner], where=joined, out=share)
    one_hot = np.eye(CLASSES)[tags]
    labels = share[..., np.newaxis] * one_hot + (1 - share[..., np.newaxis]) * one_hot[partner]
    logits = np.asarray(last(tf.constant(features, tf.float32)))
    expected = loss_of(logits[joined], labels[joined])
    logs = wrapped(model, ["embedding"], mix).train_on_batch(ids, tags, return_dict=True)
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


class Positions(L.Layer):
    """Adds an embedding of where a token is; masks go through."""

    def __init__(self, length=16, width=8, **options):
        super().__init__(**options)
        self.table, self.supports_masking = L.Embedding(length, width), True

    def build(self, shape):
        self.table.build((None,))
        self.built = True

    def call(self, x):
        return x + self.table(tf.range(tf.shape(x)[1]))

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {"name": self.name}


def block(x, number):
    """A transformer encoder block, with both its skip connections."""
    attended = L.MultiHeadAttention(2, 4, name=f"attention_{number}")(x, x)
    x = L.LayerNormalization(name=f"norm_{number}")(L.Add(name=f"add_{number}")([x, attended]))
    inner = L.Dense(8, name=f"inner_{number}")(L.Dense(16, activation="relu")(x))
    return L.LayerNormalization(name=f"block_{number}")(L.Add(name=f"sum_{number}")([x, inner]))


def encoder():
    keras.utils.set_random_seed(3)
    ids = keras.Input((None,), dtype="int32")
    x = Positions(name="embedded")(L.Embedding(WORDS, 8, mask_zero=True, name="tokens")(ids))
    pooled = L.GlobalAveragePooling1D(name="pooled")(block(block(x, 1), 2))
    return keras.Model(ids, L.Dense(2, name="logits")(pooled))


PLACES = ["embedded", "norm_1", "block_1", "pooled"]


@pytest.mark.parametrize(
    ("make", "places"),
    [(encoder, PLACES), (lambda: reader("gru")[0], ["embedding", "gru"]), (lambda: reader("attention")[0], ["add"])],
    ids=["encoder", "gru", "attention"],
)
def test_steps_that_mix_nothing_are_the_plain_models(make, places):
    ids, y = tokens("right")
    plain, model = make(), make()
    model.set_weights(plain.get_weights())
    labels = np.eye(plain.outputs[0].shape[-1], dtype=np.float32)[y % 2]
    mixing = wrapped(model, places, KMixupLayer(1, probability=0.0))
    plain.compile(keras.optimizers.SGD(0.5), CROSS_ENTROPY)
    for _ in range(3):
        mixing.train_on_batch(ids, labels)
        plain.train_on_batch(ids, labels)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


def counted_words(size, seed):
    """Sequences of 2 to 12 words, and whether word 1 comes more often than word 2."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(1, 5, (size, 12))
    ids[np.arange(12) >= generator.integers(2, 13, size)[:, np.newaxis]] = 0
    return ids, ((ids == 1).sum(axis=1) > (ids == 2).sum(axis=1)).astype(np.int32)


def test_a_transformer_encoder_learns_from_mixtures_of_embeddings_and_between_blocks():
    (ids, y), held_out = counted_words(512, 0), counted_words(256, 1)
    mixing = wrapped(
        encoder(),
        ["embedded", "block_1"],
        KMixupLayer(1, num_classes=2),
        keras.optimizers.Adam(5e-3),
        metrics=["accuracy"],
    )
    history = mixing.fit(ids, y, batch_size=32, epochs=8, verbose=0, validation_data=held_out).history
    assert history["val_accuracy"][-1] > 0.85  # of 0.63 by the more frequent answer


@pytest.mark.parametrize(("name", "nearest"), [("attention_1", "embedded"), ("inner_2", "sum_2")])
def test_places_within_a_block_are_refused_and_those_that_will_do_are_named(name, nearest):
    with pytest.raises(ValueError, match="ManifoldMixModel: layer") as caught:
        ManifoldMixModel(encoder(), [name], KMixupLayer())
    assert "other connections go round it" in str(caught.value)
    assert "In a transformer, mix what the embeddings add up to, or between two blocks" in str(caught.value)
    assert f"'{nearest}'" in str(caught.value)


def test_a_mask_that_goes_round_by_another_way_is_refused():
    ids = keras.Input((6,), dtype="int32")
    embedded = L.Embedding(WORDS, WIDTH, name="embedding")(ids)
    there = L.Lambda(lambda x: tf.not_equal(tf.convert_to_tensor(x), 0), output_shape=(6,), dtype="bool")(ids)
    model = keras.Model(ids, L.Dense(2)(L.LSTM(3, name="read")(embedded, mask=there)))
    with pytest.raises(ValueError, match=r"other connections go round it.*The nearest that can: 'read'"):
        ManifoldMixModel(model, ["embedding"], KMixupLayer())


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.matrix)], ids=["plain", "compiled"])
def test_the_place_drawn_is_the_one_where_masks_are_joined(jit):
    ids, y = tokens("left")
    (model, layers), mix = reader("gru"), MIXES["several"]()
    mixing = wrapped(model, ["embedding", "gru"], mix, keras.optimizers.SGD(0.0), jit_compile=jit)
    places = set()
    for step in range(8):
        place = int(draw_place(tf.stack([SEED, step]), 2))
        hidden = np.asarray(layers["embedding"](ids))
        if place == 1:
            hidden = np.asarray(layers["gru"](hidden, mask=tf.constant(ids != 0)))
        features, masks, labels = mixed_by_hand(hidden, ids != 0, y, mix, step)
        features, mask = tf.constant(features, tf.float32), {"mask": tf.constant(masks)}
        read = Readers.gru(features, mask, layers) if place == 0 else layers["pool"](features, **mask)
        mixing.reset_metrics()
        logs = mixing.train_on_batch(ids, y, return_dict=True)
        np.testing.assert_allclose(logs["loss"], loss_of(layers["logits"](read), labels), rtol=2e-5)
        places.add(place)
    assert places == {0, 1}


def test_series_padded_for_a_masking_layer_are_mixed_after_it():
    ids, y = tokens("right")
    x = np.random.default_rng(3).normal(size=(*ids.shape, 2)).astype(np.float32) * (ids != 0)[..., np.newaxis]
    keras.utils.set_random_seed(1)
    dense, lstm, last = L.Dense(WIDTH, name="dense"), L.LSTM(3), L.Dense(CLASSES, name="last")
    model = keras.Sequential([keras.Input((None, 2)), L.Masking(name="masking"), dense, lstm, last])
    mix = LocalMixupLayer(num_classes=CLASSES, weight=ExponentialWeight(0.0), scope="sample")
    features, masks, labels = mixed_by_hand(np.asarray(dense(x)), ids != 0, y, mix)
    expected = loss_of(last(lstm(tf.constant(features, tf.float32), mask=tf.constant(masks))), labels)
    logs = wrapped(model, ["dense"], mix).train_on_batch(x, y, return_dict=True)
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_pasted_steps_bring_their_masks():
    ids, _ = tokens("right", (2, 8, 3, 8))
    x = np.random.default_rng(3).normal(size=(*ids.shape, 2)).astype(np.float32)
    mix = MixLayer(blend=CutMixBlend(axes=1), features_only=True)
    pasted, joined = mix.mixed(x, seed=4, mask=tf.constant(ids != 0))
    partner = mix.plan([x], 4).partner.numpy()
    is_own = (pasted.numpy() == x).all(axis=-1)
    assert 0 < is_own.mean() < 1
    np.testing.assert_array_equal(joined, np.where(is_own, ids != 0, (ids != 0)[partner]))


def test_half_precision_trains_as_single_does():
    ids, y = tokens("right")
    losses = []
    for policy in ("float32", "mixed_float16"):
        keras.mixed_precision.set_global_policy(policy)
        try:
            model, _ = reader("lstm")
        finally:
            keras.mixed_precision.set_global_policy("float32")
        mixing = wrapped(model, ["embedding"], MIXES["mixup"](), "adam")
        losses.append([float(mixing.train_on_batch(ids, y)) for _ in range(3)])
    np.testing.assert_allclose(*losses, rtol=5e-3)


def test_no_warning_says_that_a_mask_is_destroyed():
    ids, y = tokens("right")
    mixing = wrapped(reader("lstm")[0], ["embedding"], MIXES["mixup"]())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        mixing.train_on_batch(ids, y)
        mixing.evaluate(ids, y, verbose=0)


def test_evaluation_prediction_and_calls_are_the_plain_models():
    ids, y = tokens("left")
    model, _ = reader("bidirectional")
    mixing = wrapped(model, ["embedding"], MIXES["several"](), metrics=["accuracy"])
    mixing.train_on_batch(ids, y)
    scores = mixing.evaluate(ids, y, verbose=0, return_dict=True)
    logits = model.predict(ids, verbose=0)
    np.testing.assert_array_equal(mixing.predict(ids, verbose=0), logits)
    np.testing.assert_allclose(scores["loss"], loss_of(logits, np.eye(CLASSES)[y]), rtol=1e-5)
    np.testing.assert_allclose(scores["accuracy"], (logits.argmax(axis=1) == y).mean(), rtol=1e-6)


class Counting(ManifoldMixModel):
    """Counts how often its step is traced."""

    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def batched(dataset, kind):
    if kind == "padded_batch":
        return dataset.padded_batch(4, padded_shapes=([None], []))
    return dataset.bucket_by_sequence_length(
        lambda ids, label: tf.shape(ids)[0], [3, 6, 9], [5, 4, 3, 2], padded_shapes=([None], [])
    )


@pytest.mark.parametrize("kind", ["padded_batch", "bucket_by_sequence_length"])
@pytest.mark.parametrize("mix", ["mixup", "several"])
def test_lengths_that_vary_from_batch_to_batch_are_traced_once(kind, mix):
    lengths = np.random.default_rng(0).integers(1, 12, 40)

    def rows():
        for number, length in enumerate(lengths):
            yield np.arange(length) % (WORDS - 1) + 1, number % CLASSES

    spec = (tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32))
    data = batched(tf.data.Dataset.from_generator(rows, output_signature=spec), kind)
    widths = {ids.shape[1] for ids, _ in data}
    assert len(widths) > 3
    mixing = Counting(reader("lstm")[0], ["embedding", "lstm"], MIXES[mix](), seed=SEED)
    mixing.compile("sgd", CROSS_ENTROPY)
    history = mixing.fit(data, epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    # Keras 3 traces once more, to build, and TensorFlow may when a batch first differs in length.
    assert mixing.traces <= 3


def masked_series():
    layers = [L.Masking(name="masking"), L.Dense(WIDTH, name="hidden"), L.LSTM(3), L.Dense(CLASSES)]
    return keras.Sequential([keras.Input((None, 2)), *layers])


LOADED = {
    **{
        kind: (lambda kind=kind: reader(kind)[0], ["embedding"])
        for kind in ("lstm", "bidirectional", "attention", "pool")
    },
    "encoder": (encoder, ["embedded", "block_1"]),
    "series": (masked_series, ["hidden"]),
}


@pytest.mark.parametrize("again", ["loaded", "cloned"])
@pytest.mark.parametrize("name", LOADED)
@pytest.mark.representatives("name, again", [("attention", "loaded"), ("pool", "loaded"), ("encoder", "loaded")])
def test_a_model_that_was_loaded_or_cloned_is_mixed_at_the_same_places(name, again, tmp_path):
    make, places = LOADED[name]
    made, (ids, y) = make(), tokens("right")
    x = np.random.default_rng(3).normal(size=(*ids.shape, 2)) * (ids != 0)[..., None] if name == "series" else ids
    if again == "loaded":
        made.save(str(tmp_path / "model.keras"))
        other = keras.models.load_model(str(tmp_path / "model.keras"), custom_objects={"Positions": Positions})
    else:
        other = keras.models.clone_model(made)
        other.set_weights(made.get_weights())
    classes = made.outputs[0].shape[-1]
    models = [wrapped(each, places, KMixupLayer(2, num_classes=classes), jit_compile=False) for each in (made, other)]
    losses = [each.train_on_batch(x, y % classes, return_dict=True)["loss"] for each in models]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    for ours, theirs in zip(made.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


GO_ON = """
import sys
import keras
import numpy as np
import kmix_tf
path = sys.argv[1]
model = keras.models.load_model(path + ".keras")
arrays = np.load(path + ".npz")
for _ in range(2):
    model.train_on_batch(arrays["x"], arrays["y"])
np.savez(path + "_after.npz", *model.get_weights())
"""
SERVE = """
import sys
import numpy as np
import tensorflow as tf
x = np.load(sys.argv[1] + ".npz")["x"]
served = tf.saved_model.load(sys.argv[1] + "_export")
np.save(sys.argv[1] + "_served.npy", served.serve(x))
assert "kmix_tf" not in sys.modules
"""


def test_a_saved_model_goes_on_elsewhere_and_an_export_is_the_plain_models(tmp_path, elsewhere):
    (ids, y), path = tokens("right"), str(tmp_path / "model")
    mixing = wrapped(reader("gru")[0], ["embedding", "gru"], MIXES["matched"](), keras.optimizers.SGD(0.5, 0.9))
    mixing.train_on_batch(ids, y)
    mixing.save(path + ".keras")
    mixing.export(path + "_export")
    np.savez(path + ".npz", x=ids, y=y)
    served = mixing.predict(ids, verbose=0)
    elsewhere(SERVE, path)
    np.testing.assert_allclose(np.load(path + "_served.npy"), served, atol=1e-6)
    elsewhere(GO_ON, path)
    for _ in range(2):
        mixing.train_on_batch(ids, y)
    for ours, theirs in zip(mixing.get_weights(), np.load(path + "_after.npz").values(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
