"""Faults in the data: NaN, labels that are none, sources that break off, shards and batches with nothing in them.

Each pipeline is run with the mix and, as the control, without it: what `tf.data` gives of the same data, or what
Keras makes of the same training.
"""

import itertools
import os
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from harness import Row, main

from kmix_tf import CutMixLayer, KMixupLayer, MixLayer, RecursiveMixLayer, SkippedBatches, mix

TITLE = "Faults in the data"

BATCH, COUNT, CLASSES = 4, 12, 3
SIZE = BATCH * COUNT


class Kind:
    """Data of one kind, and a layer for them. make: gives x."""

    def __init__(self, name: str, make: Callable[[np.random.Generator], Any], layer: Callable[[], Any]):
        self.name, self.make, self.layer = name, make, layer


def _images(dtype: str) -> Callable[[np.random.Generator], Any]:
    return lambda generator: generator.normal(size=(SIZE, 8, 8, 1)).astype(dtype)


def _dictionary(generator: np.random.Generator) -> Any:
    return {"a": generator.normal(size=(SIZE, 5)).astype("float32"), "b": _images("float32")(generator)}


KINDS = [
    Kind("images", _images("float32"), lambda: CutMixLayer(num_classes=CLASSES)),
    Kind("tables", lambda generator: generator.normal(size=(SIZE, 5)), lambda: KMixupLayer(2, num_classes=CLASSES)),
    Kind("dictionaries", _dictionary, lambda: KMixupLayer(2, num_classes=CLASSES)),
    Kind("half precision", _images("float16"), lambda: MixLayer(num_classes=CLASSES)),
    Kind("recursive mixes", _images("float32"), lambda: RecursiveMixLayer(num_classes=CLASSES)),
]
FAULTS = ("NaN", "infinity", "a label outside", "a weight that is NaN", "a negative weight")


class Pipeline:
    """Data that can be spoiled between epochs, and the pipeline that reads them, made once."""

    def __init__(self, kind: Kind, on_invalid: Any, seed: int = 0):
        generator = np.random.default_rng(seed)
        self.x, self.y = kind.make(generator), np.arange(SIZE) % CLASSES
        self.weight = generator.uniform(0.5, 1.5, SIZE).astype("float32")
        self._whole = [np.array(leaf) for leaf in self._leaves()]
        arrays = (self.x, self.y, self.weight)
        rows = tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), arrays)
        self.plain = tf.data.Dataset.from_generator(self._rows, output_signature=rows).batch(BATCH)
        self.mixed = self.plain.apply(mix(kind.layer(), seed=seed, on_invalid=on_invalid))

    def _leaves(self) -> list[np.ndarray]:
        return [*tf.nest.flatten(self.x), self.y, self.weight]

    def _rows(self) -> Iterator[Any]:
        for at in range(SIZE):
            yield tf.nest.map_structure(lambda leaf: leaf[at], (self.x, self.y, self.weight))  # noqa: B023

    def spoil(self, faults: dict[int, str]) -> None:
        """Makes all whole, and then spoils one sample of each of these batches."""
        for leaf, whole in zip(self._leaves(), self._whole, strict=True):
            leaf[...] = whole
        for batch, fault in faults.items():
            at, first = batch * BATCH + batch % BATCH, tf.nest.flatten(self.x)[-1]
            if fault in ("NaN", "infinity"):
                first[at] = np.nan if fault == "NaN" else np.inf
            elif fault == "a label outside":
                self.y[at] = CLASSES
            else:
                self.weight[at] = np.nan if "NaN" in fault else -1.0


def _error(elements: Iterator[Any]) -> tuple[int, str]:
    """How many came before the error, and its words; none if there was none."""
    count = 0
    try:
        for _ in elements:
            count += 1
    except tf.errors.OpError as error:
        return count, str(error)
    return count, ""


def _is_clean(element: Any) -> bool:
    return all(np.isfinite(np.asarray(leaf)).all() for leaf in tf.nest.flatten(element))


def _named(short: bool, dice: random.Random) -> Iterator[Row]:
    """Errors that name the batch."""
    for kind in KINDS[:2] if short else KINDS:
        pipeline, held, times, through = Pipeline(kind, "raise"), 0, 5 if short else 50, 0
        for _, fault in zip(range(times), itertools.cycle(FAULTS)):
            batch = dice.randrange(COUNT)
            pipeline.spoil({batch: fault})
            count, words = _error(iter(pipeline.mixed))
            held += count <= batch and f"step:] [{batch}]" in words and "must be" in words
            through += len(list(pipeline.plain)) == COUNT
        control = f"went on with the fault, {through} of {times}"
        tried = f"a fault in {kind.name}: the error names the layer, the argument and the batch"
        yield Row(tried, times, held, control)


def _skipped(short: bool, dice: random.Random) -> Iterator[Row]:
    """Batches that are left out and counted."""
    for kind in (KINDS[0], KINDS[4]) if short else KINDS:
        skipped = SkippedBatches()
        pipeline, held, times = Pipeline(kind, skipped), 0, 5 if short else 50
        lost = 0
        for _ in range(times):
            spoiled = dice.sample(range(COUNT), dice.randrange(COUNT))
            pipeline.spoil({batch: dice.choice(FAULTS) for batch in spoiled})
            before = skipped.count
            came = list(pipeline.mixed)
            lost += len(spoiled)
            held += (
                len(came) == COUNT - len(spoiled)
                and skipped.steps[before:] == tuple(sorted(spoiled))
                and all(map(_is_clean, came))
            )
        tried = f"on_invalid='skip' in {kind.name}: these batches alone are left out, each is counted"
        yield Row(tried, times, held, "", f"{lost} batches left out, {skipped.count} counted")


def _alike(short: bool, dice: random.Random) -> Row:
    """What the other batches are, bit by bit."""
    held, times = 0, 2 if short else 20
    for seed in range(times):
        whole, faulty = Pipeline(KINDS[1], "raise", seed), Pipeline(KINDS[1], "skip", seed)
        spoiled = dice.sample(range(COUNT), 4)
        faulty.spoil({batch: dice.choice(FAULTS) for batch in spoiled})
        expected = [element for at, element in enumerate(whole.mixed) if at not in spoiled]
        leaves = [[np.asarray(leaf) for leaf in tf.nest.flatten(list(each))] for each in (expected, faulty.mixed)]
        held += len(leaves[0]) == len(leaves[1]) and all(map(np.array_equal, *leaves))
    return Row("on_invalid='skip': every other batch is bit for bit what it would be", times, held)


def _breaking(after: int, folder: str) -> tf.data.Dataset:
    """Records of a file that ends in the middle of one, as a full disk leaves it."""
    path = f"{folder}/{after}.tfrecord"
    with tf.io.TFRecordWriter(path) as writer:
        for _ in range(after + 1):
            writer.write(np.ones(3, "float32").tobytes())
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 5)
    rows = tf.data.TFRecordDataset(path).map(
        lambda record: tf.ensure_shape(tf.io.decode_raw(record, tf.float32), [3])
    )
    return rows.map(lambda x: (x, x[0])).batch(BATCH)


def _sources(short: bool, dice: random.Random) -> Iterator[Row]:
    held, plain_held, gone_on, left, times = 0, 0, 0, 0, 4 if short else 40
    with tempfile.TemporaryDirectory() as folder:
        for at in range(times):
            data = _breaking(dice.randrange(1, 20), folder)
            mixed = data.apply(mix(MixLayer(), seed=0, on_invalid=("raise", "skip")[at % 2]))
            (count, words), (plain, said) = _error(iter(mixed)), _error(iter(data))
            held += count == plain and "truncated record" in words
            plain_held += "truncated record" in said
            rest = [len(list(each.ignore_errors())) for each in (mixed, data)]
            gone_on, left = gone_on + (rest[0] == rest[1]), left + rest[1]
    control = f"raises it, {plain_held} of {times}"
    yield Row("a source that raises: its error comes through, after the batches before it", times, held, control)
    tried = "a source that raises: `ignore_errors()` gives as many batches as without a mix"
    yield Row(tried, times, gone_on, f"{left} batches in all")


def _nothing(short: bool) -> Iterator[Row]:
    """Datasets, shards and batches of nothing."""
    makers = [kind.layer for kind in KINDS[: 1 if short else None]]
    stages = [mix(make(), seed=0, on_invalid=how) for make in makers for how in ("raise", "skip")]
    whole = tf.data.Dataset.from_tensor_slices((np.ones([SIZE, 8, 8, 1], "float32"), np.arange(SIZE) % CLASSES))
    few, none = whole.take(3), whole.take(0).batch(BATCH)
    no_rows = tf.data.Dataset.from_tensors((np.ones([0, 8, 8, 1], "float32"), np.zeros(0, "int64")))
    among = no_rows.concatenate(whole.batch(BATCH).take(2)).concatenate(no_rows)
    trials = {
        "an empty dataset stays one": [none],
        "five shards of three samples, of which two are empty": [few.shard(5, at).batch(BATCH) for at in range(5)],
        "batches of no rows pass among others": [among],
    }
    for tried, parts in trials.items():
        plain = [_sizes(part) for part in parts]
        held = [[_sizes(part.apply(stage)) for part in parts] == plain for stage in stages]
        control = f"batches of so many rows: {plain}"
        yield Row(f"{tried}: as many rows as without a mix", len(held), sum(held), control)
    broken = whole.map(lambda x, y: (x * np.nan, y)).batch(BATCH)
    ends = [_error(iter(broken.apply(mix(make(), on_invalid="skip")))) for make in makers]
    told = [count == 0 and "none that can be mixed" in words for count, words in ends]
    control = f"gives {_error(iter(broken))[0]} batches of NaN"
    yield Row("a dataset of which 'skip' would leave nothing: an error says so", len(told), sum(told), control)


def _sizes(data: tf.data.Dataset) -> list[int]:
    return [len(x) for x, _ in data]


def _replicas(short: bool) -> Row:
    """A batch of one on a replica, in training."""
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(2)])
    # Of nine samples in batches of four, the last batch is one of one.
    held, control, times = 0, 0, 1 if short else 5
    for seed in range(times):
        x = np.random.default_rng(seed).normal(size=(9, 5)).astype("float32")
        data = tf.data.Dataset.from_tensor_slices((x, np.arange(9) % CLASSES)).batch(4)
        mixed = data.apply(mix(KMixupLayer(2, num_classes=CLASSES), seed=seed, on_invalid="skip"))
        plain = data.map(lambda x, y: (x, tf.one_hot(y, CLASSES)))
        held += _trains(strategy, mixed)
        control += _trains(strategy, plain)
    tried = "a last batch of one for two replicas (`MirroredStrategy`): trains, to finite weights"
    return Row(tried, times, held, f"trains, {control} of {times}")


def _trains(strategy: tf.distribute.Strategy, data: tf.data.Dataset) -> bool:
    with strategy.scope():
        model = keras.Sequential([keras.layers.Input([5]), keras.layers.Dense(CLASSES, activation="softmax")])
        model.compile("sgd", "categorical_crossentropy")
    model.fit(data, epochs=2, verbose=0)
    return all(np.isfinite(weight).all() for weight in model.get_weights())


def measure(short: bool) -> Iterator[Row]:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    warnings.filterwarnings("ignore", "mix: the batch of step")
    dice = random.Random(0)
    yield from _named(short, dice)
    yield from _skipped(short, dice)
    yield _alike(short, dice)
    yield from _sources(short, dice)
    yield from _nothing(short)
    yield _replicas(short)


main(__name__, __doc__)
