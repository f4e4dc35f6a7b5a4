"""A `fit` that is resumed draws what would have come: weights equal an unbroken run's bit by bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ChoiceLayer, KMixupLayer, MixLayer, MixSchedule, RecursiveMixLayer, TrainedSteps, mix

RNG = np.random.default_rng(8)
X = RNG.normal(size=(24, 3, 1)).astype(np.float32)
Y = np.eye(4, dtype=np.float32)[np.arange(24) % 4]
BATCHES, EPOCHS = 3, 4


class Interrupted(Exception):
    """What ends a training before its time."""


class Interrupting(keras.callbacks.Callback):
    def __init__(self, batches):
        super().__init__()
        self._left = batches

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if not self._left:
            raise Interrupted


def model():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.layers.Input((3, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    network.compile(keras.optimizers.Adam(0.05), keras.losses.CategoricalCrossentropy(from_logits=True))
    return network


def batches():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(24 // BATCHES)


def weights(network):
    return np.concatenate([each.ravel() for each in network.get_weights()])


def trained(layer, folder=None, stop=None, endless=False, network=None, steps_per_epoch=None, **options):
    """The weights after `EPOCHS` epochs, or None where it was interrupted."""
    steps, network = TrainedSteps(), network or model()
    dataset = (batches().repeat() if endless else batches()).apply(mix(layer, seed=3, initial_step=steps))
    callbacks = [steps]
    if folder is not None:
        callbacks.append(keras.callbacks.BackupAndRestore(folder))
    if stop is not None:
        callbacks.append(Interrupting(stop))
    try:
        network.fit(
            dataset, epochs=EPOCHS, callbacks=callbacks, verbose=0, steps_per_epoch=steps_per_epoch, **options
        )
    except Interrupted:
        return None
    return weights(network)


LAYERS = {
    "k-mixup": lambda: KMixupLayer(2),
    "a schedule": lambda: MixLayer(schedule=MixSchedule(BATCHES, warmup=2, off_after=3)),
    "a choice": lambda: ChoiceLayer([KMixupLayer(1), KMixupLayer(4), None]),
    "carrying": lambda: RecursiveMixLayer(axes=1),
}


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.representatives("name, endless", [("k-mixup", True), ("a schedule", False)])
def test_what_was_interrupted_ends_as_what_was_not(name, endless, tmp_path):
    # Keras counts what is without an end by the steps it is told.
    options = {"endless": endless, "steps_per_epoch": BATCHES if endless else None}
    if name == "carrying" and endless:
        pytest.skip("What a layer carries from epoch to epoch is in the iterator, which Keras does not save.")
    whole = trained(LAYERS[name](), **options)
    assert trained(LAYERS[name](), str(tmp_path / "backup"), stop=2 * BATCHES + 2, **options) is None
    assert (trained(LAYERS[name](), str(tmp_path / "backup"), **options) == whole).all()


def test_an_initial_epoch_is_enough_where_the_optimizer_counts_anew():
    def stateless(start=None):
        network = model()
        network.compile(keras.optimizers.SGD(0.1), network.loss)
        if start is not None:
            network.set_weights(start)
        return network

    network = stateless()
    whole = trained(MixLayer(), network=network)
    half = stateless()
    trained(MixLayer(), network=half, stop=2 * BATCHES)
    assert (trained(MixLayer(), network=stateless(half.get_weights()), initial_epoch=2) == whole).all()


def steps_seen(endless=False, steps_per_epoch=None, epochs=3):
    """The step of each batch of a training, in order."""
    seen = []

    def note(step):
        seen.append(int(step))
        return np.float32(1)

    layer = MixLayer(schedule=lambda step: tf.ensure_shape(tf.numpy_function(note, [step], tf.float32), []))
    steps = TrainedSteps()
    dataset = (batches().repeat() if endless else batches()).apply(
        mix(layer, seed=3, initial_step=steps, num_parallel_calls=None)
    )
    model().fit(dataset, epochs=epochs, callbacks=[steps], verbose=0, steps_per_epoch=steps_per_epoch)
    return seen


@pytest.mark.parametrize("steps_per_epoch", [None, BATCHES])
def test_a_schedule_counts_on_from_epoch_to_epoch_without_repeat(steps_per_epoch):
    # Keras 3 may look at a batch first, to build the model, and throws iterators away: sets hold each step once.
    assert set(steps_seen(steps_per_epoch=steps_per_epoch)) == set(range(3 * BATCHES))


class Model:
    """As far as a callback asks a model."""

    def __init__(self, iterations):
        self.optimizer = self
        self.iterations = tf.Variable(iterations)


def told(steps, epoch=0, batches=None, iterations=0):
    steps.params = {"steps": batches}
    steps.set_model(Model(iterations))
    steps.on_epoch_begin(epoch)
    return steps


def stream(steps, seed=3, **options):
    endless = tf.data.Dataset.from_tensors((X[:4], Y[:4])).repeat(8)
    mixed = endless.apply(mix(MixLayer(), seed=seed, initial_step=steps, **options))
    return [y.numpy().tobytes() for _, y in mixed]


def test_the_draws_of_a_step_are_the_same_wherever_an_iterator_begins():
    whole = stream(told(TrainedSteps()))
    assert len(set(whole)) == 8
    assert stream(told(TrainedSteps(), iterations=3))[:5] == whole[3:]
    assert stream(told(TrainedSteps(), epoch=1, batches=3))[:5] == whole[3:]
    assert not set(stream(told(TrainedSteps()), seed=4)) & set(whole)
    # Other steps of the same stream, as well.
    assert not set(stream(told(TrainedSteps(), iterations=8))) & set(whole)


@pytest.mark.parametrize(
    ("epoch", "batches", "iterations", "expected"),
    [(0, None, 0, 0), (2, 5, 0, 10), (2, 5, 13, 13), (2, None, 7, 7), (2, 5, 10, 10)],
)
def test_an_epoch_begins_at_what_is_known_to_be_trained(epoch, batches, iterations, expected):
    assert told(TrainedSteps(), epoch, batches, iterations)() == expected


def test_steps_go_on_where_the_optimizer_does_not_count_them():
    # As with accumulated gradients, in an epoch whose length is not known.
    steps = told(TrainedSteps())
    for batch in range(3):
        steps.on_train_batch_begin(batch)
        assert steps() == batch
        steps.on_train_batch_end(batch)
    steps.on_epoch_begin(1)
    assert steps() == 3


def test_an_epoch_that_is_resumed_within_counts_from_there():
    steps = told(TrainedSteps(), epoch=2, batches=5, iterations=13)
    steps.on_train_batch_begin(3)
    steps.on_train_batch_end(3)
    assert steps() == 14


def test_an_iterator_can_still_be_saved_and_goes_on_where_it_was(tmp_path):
    def dataset(steps):
        endless = tf.data.Dataset.from_tensors((X[:4], Y[:4])).repeat(8)
        return endless.apply(mix(MixLayer(), seed=3, initial_step=steps))

    whole = stream(told(TrainedSteps()))
    iterator = iter(dataset(told(TrainedSteps())))
    next(iterator), next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
    # What is restored counts, not what the model says meanwhile.
    resumed = iter(dataset(told(TrainedSteps(), iterations=100)))
    tf.train.Checkpoint(iterator=resumed).restore(path)
    assert [y.numpy().tobytes() for _, y in resumed] == whole[2:]


def test_salted_draws_are_new_and_steps_count_all_the_same():
    assert not set(stream(told(TrainedSteps()), salted=True)) & set(stream(told(TrainedSteps()), salted=True))


def test_a_fit_without_the_callback_is_refused_in_its_second_epoch():
    dataset = batches().apply(mix(MixLayer(), seed=3, initial_step=TrainedSteps()))
    with pytest.raises(tf.errors.InvalidArgumentError, match="TrainedSteps: it must be given to fit as well"):
        model().fit(dataset, epochs=3, verbose=0)


def test_a_second_fit_without_the_callback_is_refused_as_well():
    steps, network = TrainedSteps(), model()
    dataset = batches().apply(mix(MixLayer(), seed=3, initial_step=steps))
    network.fit(dataset, callbacks=[steps], verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="TrainedSteps: it must be given to fit as well"):
        network.fit(dataset, epochs=3, verbose=0)


def test_one_look_outside_of_fit_is_free():
    assert stream(TrainedSteps()) == stream(told(TrainedSteps()))


@pytest.mark.parametrize("value", [-1, 1.5, True, "1", tf.Variable(3), lambda: 3])
def test_other_initial_steps_are_refused(value):
    with pytest.raises(ValueError, match=r"mix: initial_step must be an integer >= 0. Received: initial_step="):
        mix(MixLayer(), initial_step=value)


@pytest.mark.matrix
def test_two_replicas_fetch_ahead_and_still_train_on_each_step_once(elsewhere):
    program = """
import keras, numpy as np, tensorflow as tf
from kmix_tf import MixLayer, TrainedSteps, mix
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
data = tf.data.Dataset.from_tensors((np.ones((8, 3), "float32"), np.ones((8, 4), "float32"))).repeat(3)
for steps_per_epoch in (None, 3):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4)])
        model.compile("sgd", "mse")
    seen, steps = [], TrainedSteps()
    def note(step):
        seen.append(int(step))
        return np.float32(1)
    layer = MixLayer(schedule=lambda step: tf.ensure_shape(tf.numpy_function(note, [step], tf.float32), []))
    mixed = data.apply(mix(layer, seed=0, initial_step=steps, num_parallel_calls=None))
    model.fit(mixed, epochs=3, callbacks=[steps], steps_per_epoch=steps_per_epoch, verbose=0)
    # What Keras 3 looks at before it trains comes first.
    print(seen[-9:] == list(range(9)))
"""
    assert elsewhere(program).split() == ["True", "True"]
