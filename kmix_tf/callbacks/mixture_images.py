"""The callback that shows mixtures, and logs what a mix does."""

import functools
import os
import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.callbacks.events import Events
from kmix_tf.callbacks.look import Mixtures, look, statistics
from kmix_tf.callbacks.sheet import as_table, sheet, shown_rows
from kmix_tf.callbacks.source import Source, source_of
from kmix_tf.callbacks.stage import Mix, as_compiled, require_stage, stages_of, steps_trained
from kmix_tf.callbacks.times import StepClock, seconds_of
from kmix_tf.models.mixing import MixModel
from kmix_tf.models.wrapper import MixingWrapper

# Features that are shown at most, of inputs with many.
_MOST_LEAVES = 4
_FOLDER = "mixtures"
_PICTURE = (
    "A row for each mixture: its samples, with label and share below each, and last the mixture, with the shares "
    "below as a bar, the sample's own first."
)


class MixtureImages(keras.callbacks.Callback):
    """Shows mixtures in TensorBoard while a model trains, and logs what the mix does, for any logger.

    At the end of each epoch it mixes one batch anew, aside from training: draws, weights and metrics of training are
    the same with it and without. To `logs` it adds, as floats:

        mix_ratio, mix_ratio_std: mean and standard deviation of the sample's share that the blend realised.
        mix_mixed: the part of the mixtures that hold anything of another sample.
        mix_distance: the mean distance of the two samples of a pair, in what the mix measures distances on.
        mix_effective_samples: (sum w)^2 / sum w^2 of what mixtures count, as in Local Mixup; else their number.
        mix_across_classes: the part of the pairs whose samples are of different classes; not of regression targets,
            and one for each of several targets, with its name.
        step_seconds, mix_seconds, step_seconds_without_mix: only in models that mix in their step; see `times`.

    A mean over pairs is NaN where nothing was paired. Callbacks that come after this one in `callbacks=[...]` find
    them: `CSVLogger`, those of MLflow and Weights & Biases, and `History`, which is always last. TensorBoard finds
    the same as scalars, histograms of ratios, distances and weights, a picture for each feature, and a table that
    says in words what is in it. Neither TensorBoard nor Matplotlib need be installed to write them.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        >>> x, y = np.random.default_rng(0).random((64, 8, 8, 1), np.float32), np.arange(64) % 2
        >>> layer = KMixupLayer(4, num_classes=2)
        >>> model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> data = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
        >>> shown = MixtureImages(None, layer, (x, y))
        >>> history = model.fit(data.map(layer), callbacks=[shown], verbose=0)
        >>> 0 <= history.history["mix_across_classes"][0] <= 1, list(shown.sheets)
        (True, ['mix/features'])

    Args:
        log_dir: a folder for TensorBoard; event files are written into its subfolder "mixtures". Default None: no
            files, and `logs` alone.
        layer: the `MixLayer` by which the data are mixed. Default None: that of the `MixModel` or `ManifoldMixModel`
            in training. In the latter, what hidden layers compute is mixed: with several places each has numbers and
            pictures of its own, with its name at the end.
        dataset: unmixed batches: a `tf.data.Dataset` or `keras.utils.PyDataset`, of which the first batch is taken
            once and mixed anew in each epoch; or arrays `(x, y)` or `(x, y, sample_weight)`, of which each epoch
            takes other rows. Default None: what the `MixModel` is fitted to. (A dataset is copied for this, so that
            its shuffling does not notice. One of more than 128 MB in memory is not: where it shuffles with a seed,
            one more iterator changes later orders. Give arrays then.)
        every: pictures, histograms and times are made in every so many epochs, an integer >= 1, default 1; numbers in
            `logs` always, except that times in between are the last ones.
        images: how many mixtures are shown, an integer >= 1, default 8.
        batch_size: for arrays, an integer >= 1, default 32: that of training, for pairs are the nearer the more there
            are to choose from. Where `MixModel.fit` is told one, that is taken.
        class_names: a list of names for the table, or None.
        seed: an integer >= 0, default 0. The draws of an epoch follow from it and from the epoch's number, also where
            training is resumed with `initial_epoch` or by `BackupAndRestore`.
        times: whether models that mix in their step are timed; default True. step_seconds is the mean over the steps
            of the epoch, but for the first call; mix_seconds the median of five mixes alone, compiled as the model
            is, outside training. step_seconds_without_mix is their difference: an estimate, below 0 where a step
            mixes and learns at once, or clocks are noisy. `ManifoldMixModel`, whose mix cannot be taken out of its
            step, has step_seconds alone.
        name: what names in `logs` and tags begin with, default "mix"; each of several callbacks in one training needs
            its own.

    Attributes:
        mixtures: what was drawn last, a dictionary of `Mixtures` by place. sheets: the last pictures, uint8
        `(height, width, 3)`, by tag: for other loggers to show.

    Raises:
        TypeError, ValueError: for other arguments; when training begins, where there is no layer or no data, and for
            data that the layer refuses.

    Source: Local Mixup, eq. (3), for weights; Kish, *Survey Sampling* (1965), for the effective number.
    """

    @_checks.speaks
    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        layer: Any = None,
        dataset: Any = None,
        every: int = 1,
        images: int = 8,
        batch_size: int = 32,
        class_names: Sequence[str] | None = None,
        seed: int = 0,
        times: bool = True,
        name: str = "mix",
    ):
        super().__init__()
        if log_dir is not None and not isinstance(log_dir, (str, os.PathLike)):
            _checks.refuse("log_dir", "a path or None", log_dir, TypeError)
        self.log_dir = None if log_dir is None else os.fspath(log_dir)
        self.layer = require_stage(layer)
        self.dataset = dataset
        self.every = _checks.integer("every", every, minimum=1)
        self.images = _checks.integer("images", images, minimum=1)
        self.batch_size = _checks.integer("batch_size", batch_size, minimum=1)
        self.class_names = None if class_names is None else [str(name) for name in class_names]
        self.seed = _checks.integer("seed", seed, minimum=0)
        self.times = _checks.flag("times", times)
        if not isinstance(name, str) or not name:
            _checks.refuse("name", "a text that is not empty", name, TypeError)
        self.name = name
        self.mixtures: dict[str, Mixtures] = {}
        self.sheets: dict[str, np.ndarray] = {}
        # Keras 2 waits for the device after each step, for callbacks that do not say this.
        self._supports_tf_logs = True
        self._offered: tuple[Any, int, int | None] | None = None
        self._clock = StepClock()
        self._begin()

    def _begin(self) -> None:
        self._stages: dict[str, Mix] = {}
        self._source: Source | None = None
        self._mix_seconds: float | None = None
        self._timed_mix: Any = None
        self._events = None if self.log_dir is None else Events(os.path.join(self.log_dir, _FOLDER))

    def offer(self, data: Any, batch_size: int | None, limit: int | None) -> None:
        """Takes note of the data that a model is to be fitted to, `(x, y, sample_weight)` or a dataset.

        Args:
            limit: how many rows of arrays are for training; None: all.
        """
        self._offered = data, batch_size or self.batch_size, limit

    @_checks.speaks
    def on_train_begin(self, logs: Any = None) -> None:
        """Looks for a mixed stage and data, and mixes once: what is wrong is said before anything is trained."""
        self._begin()
        self._stages = stages_of(self.layer, self.model)
        self._source = self._found_source()
        self._look(0)

    def _found_source(self) -> Source:
        if self.dataset is not None:
            return source_of(self.dataset, self.batch_size, self.seed)
        if self._offered is None:
            raise _checks.problem(
                "dataset must be given where the model is not a MixModel that is fitted to unmixed data. Received: "
                "dataset=None. Give unmixed batches or arrays: MixtureImages(log_dir, layer, dataset)."
            )
        data, batch_size, limit = self._offered
        return source_of(data, batch_size, self.seed, limit)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._clock.restart()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._clock.begin()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._clock.end(batch)

    @_checks.speaks
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Mixes a batch, adds to `logs`, and every so often shows it."""
        shows = epoch % self.every == 0
        self.mixtures = self._look(epoch)
        found: dict[str, float] = {}
        for place, mixtures in self.mixtures.items():
            found.update({_at(name, place): value for name, value in statistics(mixtures).items()})
        found.update(self._timed(epoch, shows))
        found = {re.sub("^mix_", f"{self.name}_", name): value for name, value in found.items()}
        if logs is not None:
            logs.update(found)
        if shows:
            self._show(epoch)
        if self._events is not None:
            for name, value in found.items():
                self._events.scalar(re.sub(f"^{re.escape(self.name)}_", f"{self.name}/", name), value, epoch)
            self._events.flush()

    def on_train_end(self, logs: Any = None) -> None:
        """Ends the event file, and lets go of the data."""
        if self._events is not None:
            self._events.close()
        self._source = self._offered = self._timed_mix = None
        self._stages = {}

    def _look(self, epoch: int) -> dict[str, Mixtures]:
        assert self._source is not None
        batch, seed, step = self._source(epoch), self._seed_of(epoch), steps_trained(self.model)
        return {place: look(functools.partial(mix, batch, seed, step)) for place, mix in self._stages.items()}

    def _seed_of(self, epoch: int) -> tf.Tensor:
        return tf.constant([self.seed % 2**31, epoch], tf.int32)

    def _timed(self, epoch: int, anew: bool) -> dict[str, float]:
        if not self.times or not isinstance(self.model, MixingWrapper):
            return {}
        found = {"step_seconds": self._clock.mean()}
        if not isinstance(self.model, MixModel):
            return found
        if anew or self._mix_seconds is None:
            self._mix_seconds = self._time_of_a_mix(epoch)
        rest = found["step_seconds"] - self._mix_seconds
        return {**found, "mix_seconds": self._mix_seconds, "step_seconds_without_mix": rest}

    def _time_of_a_mix(self, epoch: int) -> float:
        assert self._source is not None
        if self._timed_mix is None:
            self._timed_mix = as_compiled(self.model, stages_of(None, self.model)[""])
        batch = tf.nest.map_structure(_as_tensor, self._source(epoch))
        step = tf.constant(steps_trained(self.model), tf.int64)
        return seconds_of(functools.partial(self._timed_mix, batch, self._seed_of(epoch), step))

    def _show(self, epoch: int) -> None:
        """Draws the pictures, and writes what is no number."""
        self.sheets = {}
        for place, mixtures in self.mixtures.items():
            rows = shown_rows(mixtures, self.images)
            for name in list(mixtures.x)[:_MOST_LEAVES]:
                if mixtures.x[name].size:
                    self.sheets[_at(f"{self.name}/{name}", place)] = sheet(mixtures, name, rows)
            if self._events is not None:
                _write_ratios(self._events, self.name, mixtures, place, epoch)
                self._events.text(
                    _at(f"{self.name}/mixtures", place), as_table(mixtures, rows, self.class_names), epoch
                )
        if self._events is not None:
            for tag, picture in self.sheets.items():
                self._events.image(tag, picture, epoch, _PICTURE)


def _as_tensor(leaf: Any) -> Any:
    return (
        leaf if leaf is None or isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor)) else tf.convert_to_tensor(leaf)
    )


def _at(name: str, place: str) -> str:
    return f"{name}_{place.replace('/', '_')}" if place else name


def _write_ratios(events: Events, name: str, mixtures: Mixtures, place: str, epoch: int) -> None:
    apart = mixtures.partner != mixtures.sample
    events.histogram(_at(f"{name}/ratios", place), mixtures.ratio, epoch, ends=(0.0, 1.0))
    if apart.any():
        events.histogram(_at(f"{name}/distances", place), mixtures.distance[apart], epoch)
    if mixtures.weight is not None:
        events.histogram(_at(f"{name}/weights", place), mixtures.weight, epoch)
