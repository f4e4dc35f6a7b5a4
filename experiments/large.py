"""Trains the papers' networks as the papers do: many epochs of images that are moved and mirrored at random."""

import numpy as np
import tensorflow as tf

from experiments import data, networks, schedules
from kmix_tf import MixModel
from kmix_tf.paired import Trainer, batches, scores
from kmix_tf.pipeline import mix

LOADERS = {
    "CIFAR-10": data.cifar10,
    "CIFAR-100": data.cifar100,
    "SVHN": data.svhn,
    "Speech Commands": data.speech_commands,
}
# Digits and sounds that are mirrored are others.
MIRRORED = ("CIFAR-10", "CIFAR-100")


def reader(name):
    """For `Experiment.reads_data`: of Speech Commands a few, since all take minutes to transform."""
    return (lambda folder: data.speech_commands(folder, 8)) if name == "Speech Commands" else LOADERS[name]


def loaded(name, data_dir, limit=None):
    """A `Data` with mean 0 and deviation 1 in training. limit: how many samples of each part; None: all."""
    if name == "Speech Commands":
        return data.speech_commands(data_dir, limit)  # Normalised one by one.
    found = LOADERS[name](data_dir)
    parts = {part: getattr(found, part)[:limit] for part in ("x_train", "y_train", "x_test", "y_test")}
    return data.scaled(found._replace(**parts))


def trained(found, network, schedule, arms, seed, is_mirrored, in_model=()):
    """Test scores by arm.

    Args:
        found: a `Data`. schedule: with epochs and batch size.
        network: a function of `experiments.networks`, by name, and its options but for shape and classes.
        arms: the layer that mixes, by arm. is_mirrored: whether images are moved and mirrored.
        in_model: arms that mix in the training step, since they need the model's saliency.
    """
    name, options = network
    shape, per_epoch = found.x_train.shape[1:], len(found.x_train) // schedule.batch_size

    def trainer(wrap=None):
        return Trainer(
            lambda: getattr(networks, name)(shape=shape, classes=found.classes, **options),
            lambda: schedules.optimizer(schedule, per_epoch),
            wrap=wrap,
            steps_per_call=per_epoch,
        )

    plain, cells = trainer(), {}
    for arm, layer in arms.items():
        dataset = _as_floats(batches(found.x_train, found.y_train, schedule.batch_size, seed), seed, is_mirrored)
        if arm in in_model:
            by = trainer(lambda model, layer=layer: MixModel(model, layer, seed=seed))
        else:
            by, dataset = plain, dataset.apply(mix(layer, seed=seed))
        model = by.run(dataset.prefetch(4), schedule.epochs * per_epoch, seed)
        cells[arm] = scores(model, found.x_test, found.y_test)
    return cells


def _as_floats(dataset, seed, is_mirrored):
    """Batches in float32."""
    if not is_mirrored:
        return dataset.map(lambda x, y: (tf.cast(x, tf.float32), y), tf.data.AUTOTUNE)
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    pairs = tf.data.Dataset.zip((seeds, dataset))
    return pairs.map(lambda seeds, xy: (mirrored(tf.cast(xy[0], tf.float32), seeds), xy[1]), tf.data.AUTOTUNE)


def mirrored(x, seed, reach=4):
    """Images `(batch, height, width, channels)`, each moved by up to `reach` pixels, and half of them mirrored.

    What comes in at the edge is 0, the mean; in published programs, which normalise what was moved, it is black.
    """
    batch, (height, width) = tf.shape(x)[0], x.shape[1:3]
    x = tf.pad(x, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
    drawn = tf.random.stateless_uniform((3, batch, 1), seed)
    corners = tf.cast(drawn[:2] * (2 * reach + 1), tf.int32)
    columns = tf.range(width)[tf.newaxis]
    columns = tf.where(drawn[2] < 0.5, columns, width - 1 - columns)
    x = tf.gather(x, tf.range(height)[tf.newaxis] + corners[0], axis=1, batch_dims=1)
    return tf.gather(x, columns + corners[1], axis=2, batch_dims=1)


def as_arrays(text):
    """Rows of numbers by their first: a table as a paper prints it."""
    rows = (np.array(line.split(), dtype=float) for line in text.strip().splitlines())
    return {int(row[0]): row[1:].tolist() for row in rows}
