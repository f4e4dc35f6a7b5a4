"""What a model looks up by number is neither mixed nor shrunk."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    ApproximateMixupModel,
    BetaRatio,
    CutMixLayer,
    KMixupLayer,
    ManifoldMixModel,
    MixModel,
    RescaledModel,
)
from kmix_tf.models import lookups
from kmix_tf.models.lookups import input_specs, looked_up

RNG = np.random.default_rng(0)
IDS, Y = RNG.integers(0, 9, (16, 5)), np.arange(16) % 2
LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)
layers = keras.layers


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
class Positions(layers.Layer):
    """Looks up where tokens are, not what they are, as vision transformers do."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table, self.project = layers.Embedding(5, 4), layers.Dense(4)

    def build(self, shape):
        self.table.build((5,))
        self.project.build(shape)
        self.built = True

    def call(self, x):
        return self.project(x) + self.table(tf.range(tf.shape(x)[1]))


class Own(keras.Model):
    """Of a graph that only its call knows; its table is looked up in a function of its own."""

    def __init__(self, with_table=True):
        super().__init__()
        self.table, self.last, self.with_table = layers.Embedding(9, 4, name="table"), layers.Dense(2), with_table

    @tf.function
    def looked_up(self, x):
        return self.table(tf.cast(x, tf.int32))

    def call(self, x, training=None):
        x = x["ids"] if isinstance(x, dict) else x
        found = tf.reduce_mean(self.looked_up(x), axis=1) if self.with_table else tf.cast(x, tf.float32)
        return self.last(found)


def own(with_table=True, x=IDS):
    model = Own(with_table)
    model(x)
    return model


def flat(make):
    """A model of five floats, made of what is done to them before a last layer."""
    inputs = keras.Input((5,))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(make(inputs))))


def table(name="table", **options):
    return layers.Embedding(9, 3, name=name, **options)


def nested():
    inputs, inner = keras.Input((5,)), flat(table())
    return keras.Model(inputs, inner(layers.Dropout(0.5)(inputs)))


def shared_by_a_part():
    inputs = keras.Input((5,))
    both = layers.Concatenate()([table()(inputs[:, 0]), layers.Dense(3)(inputs[:, 1:])])
    return keras.Model(inputs, layers.Dense(2)(both))


# Models of five floats, and the layer that looks them up.
LOOK_UP = {
    "embedding": (lambda: flat(table()), "table"),
    "sequential": (
        lambda: keras.Sequential(
            [keras.Input((5,)), layers.Reshape((5, 1)), table(), layers.Flatten(), layers.Dense(2)]
        ),
        "table",
    ),
    "nested": (nested, "table"),
    "a part of it": (shared_by_a_part, "table"),
    "with a mask": (lambda: flat(lambda x: layers.LSTM(3)(table(mask_zero=True)(x))), "table"),
    "category": (lambda: flat(layers.CategoryEncoding(9, "multi_hot", name="coded")), "coded"),
    "one-hot": (lambda: flat(layers.Lambda(lambda x: tf.one_hot(tf.cast(x, tf.int32), 9), name="own")), "own"),
    "vocabulary": (
        lambda: flat(
            lambda x: table("after")(
                layers.IntegerLookup(vocabulary=list(range(7)), name="known")(
                    layers.Lambda(lambda x: tf.cast(tf.round(x), tf.int64))(x)
                )
            )
        ),
        "known",
    ),
    "hash": (
        lambda: flat(
            lambda x: table()(layers.Hashing(9, name="hashed")(layers.Lambda(lambda x: tf.cast(x, tf.int64))(x)))
        ),
        "hashed",
    ),
    "column offsets": (lambda: flat(lambda x: table()(x + tf.constant([0.0, 1, 2, 3, 4]))), "table"),
}

# Models of five floats that may be averaged, though there are tables in them.
LOOK_UP_OTHERS = {
    "bins": lambda: flat(lambda x: table()(layers.Discretization([0.0, 1.0])(x))),
    "own bins": lambda: flat(lambda x: table()(layers.Lambda(lambda x: tf.cast(4 + 4 * tf.tanh(x), tf.int32))(x))),
    "positions": lambda: flat(lambda x: Positions()(layers.Reshape((5, 1))(x))),
    "a quantised code": lambda: flat(
        lambda x: table()(layers.Lambda(lambda x: tf.argmax(x, -1))(layers.Dense(9)(x)))
    ),
    "numbers": lambda: flat(layers.Dense(3)),
}


def refused(call):
    with pytest.raises(ValueError, match="token ids and categories, which are looked up by number") as caught:
        call()
    return str(caught.value)


def compiled(model):
    model.compile("sgd", LOSS)
    return model


@pytest.mark.parametrize("name", LOOK_UP)
def test_inputs_that_a_model_looks_up_are_refused_by_every_wrapper(name):
    make, layer = LOOK_UP[name]
    model, mix = make(), KMixupLayer(2, num_classes=2)
    said = refused(lambda: MixModel(model, mix))
    assert "MixModel: token ids and categories, which are looked up by number, cannot be mixed" in said
    assert f"reaches {layer!r} as it is" in said
    assert f"ManifoldMixModel(model, [{layer!r}], ...)" in said
    assert "passthrough=" in said
    assert refused(lambda: RescaledModel(model, 1.0)).startswith("RescaledModel: ")
    assert "ManifoldMixModel" in refused(lambda: ApproximateMixupModel(model, 1.0, terms=()))
    if name != "nested":
        assert "without 'input'" in refused(lambda: ManifoldMixModel(model, ["input"], mix))


@pytest.mark.parametrize("name", LOOK_UP)
def test_a_model_that_looks_its_inputs_up_is_told_by_what_it_answers(name):
    """The graph is right about them: between two whole numbers the answer is that of one, and never of the mean."""
    make, _ = LOOK_UP[name]
    model = make()
    whole, near = np.full((1, 5), 3.0, np.float32), np.full((1, 5), 3.2, np.float32)
    used = slice(0, 1) if name == "a part of it" else slice(None)
    near[:, used], near[:, used.stop :] = 3.2, 3.0 if used.stop else 3.2
    np.testing.assert_allclose(model.predict(near, verbose=0), model.predict(whole, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("name", LOOK_UP_OTHERS)
def test_tables_that_quantities_or_positions_are_looked_up_in_are_none_of_it(name):
    model, mix = LOOK_UP_OTHERS[name](), KMixupLayer(2, num_classes=2)
    assert looked_up(model, input_specs(model)) == {}
    mixing = compiled(MixModel(model, mix, seed=0))
    assert np.isfinite(mixing.fit(RNG.normal(size=(16, 5)), Y, verbose=0).history["loss"]).all()
    RescaledModel(model, 1.0)


def of_two(form):
    """A model of ids and an age, which takes them as a dictionary or as a list."""
    ids, age = keras.Input((5,), name="ids"), keras.Input((1,), name="age")
    answer = layers.Dense(2)(layers.Concatenate()([layers.Flatten()(table()(ids)), age]))
    return keras.Model({"ids": ids, "age": age} if form == "keys" else [ids, age], answer)


@pytest.mark.parametrize("form", ["keys", "list"])
def test_what_rides_along_is_looked_up_as_it_is(form):
    model, x = of_two(form), {"ids": IDS, "age": RNG.random((16, 1)).astype(np.float32)}
    assert "input 'ids'" in refused(lambda: MixModel(model, KMixupLayer(2))) or form == "list"
    mixing = compiled(MixModel(model, KMixupLayer(2, num_classes=2, passthrough="ids"), seed=0))
    assert np.isfinite(mixing.fit(x, Y, verbose=0).history["loss"]).all()
    if form == "keys":
        rescaled = RescaledModel(mixing)
        rescaled.adapt(x, Y)
        assert rescaled(x).shape == (16, 2)
    refused(lambda: MixModel(model, KMixupLayer(2, passthrough="age")))


def test_an_integer_input_that_does_not_ride_along_is_refused_though_another_does():
    inputs = {
        "ids": keras.Input((5,), dtype="int32", name="ids"),
        "age": keras.Input((1,), dtype="int32", name="age"),
    }
    both = [layers.Flatten()(table()(inputs["ids"])), layers.Lambda(lambda x: tf.cast(x, tf.float32))(inputs["age"])]
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(both)))
    with pytest.raises(ValueError, match=r"inputs are of dtypes \['int32'\] and cannot be mixed"):
        MixModel(model, KMixupLayer(2, passthrough="ids"))


def test_what_is_pasted_whole_or_never_mixed_may_be_looked_up():
    model = flat(table())
    MixModel(model, CutMixLayer(axes=1, num_classes=2))
    MixModel(model, KMixupLayer(2, probability=0.0, num_classes=2))
    RescaledModel(model, 0.0)
    RescaledModel(model, BetaRatio(0.0))
    ManifoldMixModel(model, ["table"], KMixupLayer(2, num_classes=2))


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_subclassed_model_is_refused_in_its_first_step_and_in_every_later_one(eagerly):
    mixing = MixModel(own(), KMixupLayer(2, num_classes=2))
    mixing.compile("sgd", LOSS, run_eagerly=eagerly)
    for _ in range(2):
        said = refused(lambda: mixing.fit(IDS.astype(np.float32), Y, verbose=0))
        assert "MixModel: token ids and categories, which are looked up by number" in said
        assert "reaches 'table' as it is" in said
    plain = MixModel(own(with_table=False), KMixupLayer(2, num_classes=2))
    plain.compile("sgd", LOSS, run_eagerly=eagerly)
    assert np.isfinite(plain.fit(IDS.astype(np.float32), Y, verbose=0).history["loss"]).all()


def test_a_subclassed_model_is_refused_when_its_means_are_taken():
    model, keyed = own(), own(x={"ids": IDS})
    assert "RescaledModel: token ids and categories" in refused(lambda: RescaledModel(model, 1.0).adapt(IDS, Y))
    assert "ApproximateMixupModel: token ids and categories" in refused(
        lambda: ApproximateMixupModel(model, 1.0, terms=()).adapt(IDS.astype(np.float32), Y)
    )
    RescaledModel(keyed, 1.0, passthrough="ids").adapt({"ids": IDS, "age": np.ones((16, 1), np.float32)}, Y)


def test_other_integers_are_warned_of_once_where_their_means_are_taken():
    model = flat(layers.Dense(3))
    for wrapped in (RescaledModel(model, 1.0), ApproximateMixupModel(model, 1.0)):
        with pytest.warns(UserWarning, match=rf"{type(wrapped).__name__}: integers are averaged as numbers"):
            wrapped.adapt(IDS, Y)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            wrapped.adapt(IDS, Y)


def test_a_model_that_cannot_be_traced_is_warned_of(monkeypatch):
    class Untraceable(Own):
        def call(self, x, training=None):
            return super().call(tf.constant(x.numpy()))

    model = Untraceable()
    model(IDS)
    mixing = MixModel(model, KMixupLayer(2, num_classes=2))
    mixing.compile("sgd", LOSS, run_eagerly=True)
    with pytest.warns(UserWarning, match=r"MixModel: the model looks up .* cannot be traced"):
        mixing.fit(IDS.astype(np.float32), Y, verbose=0)


def test_models_of_keras_own_layers_without_tables_are_not_traced(monkeypatch):
    monkeypatch.setattr(lookups, "looked_up", lambda *_: pytest.fail("traced for nothing"))
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten()]
    )
    MixModel(model, KMixupLayer(2))


def test_a_saved_model_is_looked_at_again_and_works(tmp_path):
    mixing = compiled(MixModel(LOOK_UP_OTHERS["bins"](), KMixupLayer(2, num_classes=2), seed=0))
    mixing.fit(RNG.normal(size=(16, 5)), Y, verbose=0)
    mixing.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.isfinite(loaded.fit(RNG.normal(size=(16, 5)), Y, verbose=0).history["loss"]).all()
