"""What surrounds a training step in `fit`, round each model that wraps one: callbacks, modes and optimizers.

Each row is a wrapper, each column something that Keras offers, and each cell says what the weights are to be.
"""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ApproximateMixupModel, KMixupLayer, ManifoldMixModel, MixModel, RescaledModel
from kmix_tf._compat import IS_KERAS_3

L = keras.layers
RNG = np.random.default_rng(7)
X = RNG.normal(size=(20, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 20)
BATCH, STEPS = 4, 5
SOFT = keras.losses.CategoricalCrossentropy(from_logits=True)
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def plain(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input((4,)), L.Dense(5, activation="tanh", name="hidden"), L.Dense(3, name="logits")]
    )


def graph_mix():
    return KMixupLayer(2, solver="graph", num_classes=3, scope="sample")


def adapted(model):
    model.adapt(X, Y)
    return model


MAKERS = {
    "mix": lambda model: MixModel(model, graph_mix(), seed=1),
    "manifold": lambda model: ManifoldMixModel(model, ["input", "hidden"], graph_mix(), seed=1),
    "approximate": lambda model: adapted(ApproximateMixupModel(model, 1.0, seed=1)),
    "rescaled": lambda model: adapted(RescaledModel(model, 1.0)),
}
LOSSES = {"mix": SOFT, "manifold": SOFT, "approximate": None, "rescaled": SPARSE}
rows = pytest.mark.parametrize("name", list(MAKERS))


def represented(*names):
    """The rows that `make test` asks; the others are left to the matrix."""
    return pytest.mark.representatives("name", list(names))


def made(name, model=None, optimizer=None, **options):
    """A wrapper of equal first weights each time, compiled."""
    wrapper = MAKERS[name](plain() if model is None else model)
    given = {} if LOSSES[name] is None else {"loss": LOSSES[name]}
    wrapper.compile(optimizer=optimizer or keras.optimizers.SGD(0.1, momentum=0.9), **given, **options)
    return wrapper


def fit(wrapper, epochs=3, callbacks=(), **options):
    return wrapper.fit(
        X, Y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **options
    )


def steps_of(wrapper):
    """How many steps a wrapper has drawn for; None if it draws nothing."""
    counter = getattr(wrapper, "_counter", None)
    steps = (
        getattr(wrapper, "_step", None)
        if counter is None or isinstance(wrapper, ApproximateMixupModel)
        else counter.steps
    )
    return None if isinstance(wrapper, RescaledModel) else int(np.asarray(steps))


def require_same(ours, theirs, atol=1e-6, rtol=1e-5):
    """Equal weights, counts of steps among them: so no step drew what another had drawn."""
    assert steps_of(ours) == steps_of(theirs)
    # Of the models within: Keras 2 counts sums of metrics among weights, too.
    for one, other in zip(ours.model.get_weights(), theirs.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=atol, rtol=rtol)


class Interruption(Exception):
    """What ends a training run in the middle of an epoch."""


class Interrupting(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Interruption


class Scores(keras.callbacks.Callback):
    """Says a score after each epoch, and remembers the weights that it was of."""

    def __init__(self, scores):
        super().__init__()
        self.scores, self.weights = scores, []

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.scores[epoch]
        self.weights.append(self.model.model.get_weights())  # Keras 2 counts sums of metrics among its own


@rows
@represented("mix", "approximate")
@pytest.mark.as_users_compile
def test_training_interrupted_in_an_epoch_and_resumed_goes_on_as_if_it_had_not_been(name, tmp_path):
    whole = made(name)
    fit(whole)
    with contextlib.suppress(Interruption):
        fit(made(name), callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup"), Interrupting(1, 2)])
    resumed = made(name)
    fit(resumed, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    require_same(resumed, whole)


@rows
@represented("manifold")
@pytest.mark.as_users_compile
def test_training_backed_up_by_batches_goes_on_with_the_draws_to_come(name, tmp_path):
    # Keras 3 begins the epoch anew, Keras 2 the rest of it, both with the first batch: there is but one here.
    x, y = X[:BATCH], Y[:BATCH]
    data = tf.data.Dataset.from_tensors((x, y)).repeat(STEPS)

    def backup():
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), save_freq=2)

    with contextlib.suppress(Interruption):
        made(name).fit(data, epochs=2, verbose=0, callbacks=[backup(), Interrupting(1, 3)])
    resumed, by_hand = made(name), made(name)
    counts = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: counts.append(batch))
    resumed.fit(data, epochs=2, verbose=0, callbacks=[backup(), count])
    saved = 8  # of the 9 steps before the interruption
    for _ in range(saved + len(counts)):
        by_hand.train_on_batch(x, y)
    assert steps_of(resumed) in (None, saved + len(counts))
    require_same(resumed, by_hand)


@rows
@represented("mix")
def test_the_best_model_is_the_one_of_the_best_epoch(name, tmp_path):
    path, scores = str(tmp_path / "best.keras"), Scores([1.0, 3.0, 2.0])
    best = keras.callbacks.ModelCheckpoint(path, monitor="score", mode="max", save_best_only=True)
    fit(made(name), callbacks=[scores, best])
    loaded = keras.models.load_model(path)
    for ours, theirs in zip(loaded.model.get_weights(), scores.weights[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@rows
@represented("approximate")
@pytest.mark.parametrize("kind", ["weights", "model"])
def test_training_goes_on_from_the_checkpoint_of_an_epoch(name, kind, tmp_path):
    # Weights of Keras 2 hold the optimizer's state in TensorFlow's format alone.
    ending = ".keras" if kind == "model" else ".weights.h5" if IS_KERAS_3 else ""
    path = str(tmp_path / "epoch_{epoch}") + ending
    whole = made(name)
    fit(whole, callbacks=[keras.callbacks.ModelCheckpoint(path, save_weights_only=kind == "weights")])
    if kind == "model":
        resumed = keras.models.load_model(path.format(epoch=2))
    else:
        resumed = made(name)
        # As of any model, Keras loads the optimizer's state into one that is there already.
        resumed.optimizer.build(resumed.trainable_variables)
        resumed.load_weights(path.format(epoch=2))
    fit(resumed, epochs=3, initial_epoch=2)
    require_same(resumed, whole)


@rows
@represented("manifold")
def test_a_checkpoint_after_batches_has_the_weights_of_that_batch(name, tmp_path):
    path, seen = str(tmp_path / "model.keras"), []
    wrapper = made(name)
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(wrapper.model.get_weights())
    )
    fit(wrapper, epochs=1, callbacks=[record, keras.callbacks.ModelCheckpoint(path, save_freq=3)])
    for ours, theirs in zip(keras.models.load_model(path).model.get_weights(), seen[2], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@rows
@represented("mix")
def test_early_stopping_restores_the_weights_of_the_best_epoch(name):
    scores = Scores([2.0, 1.0, 3.0, 4.0, 0.0])
    stop = keras.callbacks.EarlyStopping(monitor="score", mode="min", patience=2, restore_best_weights=True)
    wrapper = made(name)
    history = fit(wrapper, epochs=5, callbacks=[scores, stop]).history
    assert len(history["loss"]) == 4
    for ours, theirs in zip(wrapper.model.get_weights(), scores.weights[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@rows
@represented("mix")
def test_a_model_that_was_compiled_and_trained_before_is_wrapped_like_any_other(name):
    model, fresh = plain(), plain()
    model.compile("adam", SPARSE, metrics=["accuracy"])
    model.fit(X, Y, batch_size=BATCH, shuffle=False, verbose=0)
    fresh.set_weights(model.get_weights())
    count, optimizer = int(np.asarray(model.optimizer.iterations)), model.optimizer
    ours, theirs = made(name, model), made(name, fresh)
    fit(ours), fit(theirs)
    require_same(ours, theirs)
    # Its own compilation is what it was, and goes on with the weights as they are now.
    assert model.optimizer is optimizer
    assert int(np.asarray(optimizer.iterations)) == count
    assert np.isfinite(model.evaluate(X, Y, verbose=0)).all()
    model.fit(X, Y, batch_size=BATCH, verbose=0)


@rows
@represented("mix", "approximate")
def test_several_steps_in_one_execution_are_as_many_by_themselves(name):
    one, several = made(name), made(name, steps_per_execution=3)
    fit(one), fit(several)
    assert steps_of(several) in (None, 3 * STEPS)
    require_same(several, one)


@rows
@represented("manifold")
def test_eager_steps_are_those_of_a_graph(name):
    graph, eager = made(name), made(name, run_eagerly=True)
    fit(graph, epochs=2), fit(eager, epochs=2)
    require_same(eager, graph, atol=1e-5)


@rows
@represented("mix")
def test_compiled_steps_are_those_that_are_not(name):
    with_xla, without = made(name, jit_compile=True), made(name, jit_compile=False)
    fit(with_xla, epochs=2), fit(without, epochs=2)
    require_same(with_xla, without, atol=1e-5)


@rows
@represented("mix")
@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 has no gradient accumulation")
def test_accumulated_steps_are_one_step_down_the_mean_of_their_gradients(name):
    rate, before = 0.1, plain().get_weights()
    single = made(name, optimizer=keras.optimizers.SGD(rate))
    gradients = []
    for step in range(STEPS):
        single.model.set_weights(before)
        rows = slice(step * BATCH, (step + 1) * BATCH)
        single.train_on_batch(X[rows], Y[rows])
        gradients.append([(old - new) / rate for old, new in zip(before, single.model.get_weights(), strict=True)])
    several = made(name, optimizer=keras.optimizers.SGD(rate, gradient_accumulation_steps=STEPS))
    fit(several, epochs=1)
    assert steps_of(several) in (None, STEPS)
    for ours, old, *each in zip(several.model.get_weights(), before, *gradients, strict=True):
        np.testing.assert_allclose(ours, old - rate * np.mean(each, axis=0), atol=1e-5)


@rows
@represented("approximate")
def test_averages_of_weights_are_those_of_the_weights_of_all_steps(name):
    momentum, seen, without = 0.8, [], made(name, optimizer=keras.optimizers.SGD(0.1))
    seen.append(without.model.get_weights())
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(without.model.get_weights())
    )
    fit(without, epochs=2, callbacks=[record])
    # Keras 3 begins with the weights after the first step, Keras 2 with those before it.
    average, rest = (seen[1], seen[2:]) if IS_KERAS_3 else (seen[0], seen[1:])
    for weights in rest:
        average = [momentum * old + (1 - momentum) * new for old, new in zip(average, weights, strict=True)]
    wrapper = made(name, optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=momentum))
    fit(wrapper, epochs=2)
    assert steps_of(wrapper) in (None, 2 * STEPS)
    for ours, theirs in zip(wrapper.model.get_weights(), average, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@contextlib.contextmanager
def policy(name):
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy("float32")


@rows
@represented("mix", "manifold")
def test_half_precision_scales_the_loss_and_trains_as_single_does(name):
    with policy("mixed_float16"):
        # Differences of float16 are too coarse for the approximate loss; its exact derivatives are not.
        half = made(name)
        fit(half, epochs=2)
    single = made(name)
    fit(single, epochs=2)
    assert "LossScale" in type(half.optimizer).__name__
    assert steps_of(half) == steps_of(single)
    for ours, theirs in zip(half.model.get_weights(), single.model.get_weights(), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=0.02)


@rows
@represented("manifold")
def test_a_model_made_in_half_precision_has_its_loss_scaled_wherever_it_is_wrapped(name):
    with policy("mixed_float16"):
        model = plain()
    assert "LossScale" in type(made(name, model).optimizer).__name__


@rows
@represented("mix", "approximate")
def test_evaluation_between_epochs_draws_nothing(name):
    alone, evaluated = made(name), made(name)
    fit(alone), fit(evaluated, validation_data=(X, Y), validation_freq=1)
    require_same(evaluated, alone)
