"""The callback by which a pipeline that mixes knows where training stands."""

from typing import Any

import keras

from kmix_tf.callbacks.stage import steps_trained


class TrainedSteps(keras.callbacks.Callback):
    """Says to `mix` how many steps a model has trained, so that `fit` resumes with the draws that would have come.

    Give it both to the stage and to `fit`. Each iterator of the dataset then begins with the step that training has
    come to, and the draws of a batch follow from the seed and its step alone: whether `fit` began at `initial_epoch`,
    was restored by `BackupAndRestore`, or ran through. A schedule goes on as well, without `repeat()`.

    The step at the start of an epoch is the larger of the steps that the optimizer has counted and of `epoch` times
    the batches in an epoch, as far as Keras knows these. So what is restored needs the optimizer's state or
    `initial_epoch`; both bring it.

    What lies before the mix starts again with its first epoch, as it does without one: for weights that are equal bit
    by bit, it must come in one order in all epochs, as `shuffle(..., reshuffle_each_iteration=False)` has it. And
    where Keras backed up within an epoch (`save_freq=100`), it goes on with that epoch's first batches, again as
    without a mix: they are trained on twice, but no draw comes twice.

    Raises:
        InvalidArgumentError: with the second iterator that begins outside of `fit`, or within a `fit` that was not
            given the callback: its draws would be those of the one before.

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> dataset = tf.data.Dataset.from_tensor_slices((tf.random.uniform([64, 5]), tf.random.uniform([64])))
        >>> steps = TrainedSteps()
        >>> mixed = dataset.batch(32).apply(mix(KMixupLayer(k=8), seed=0, initial_step=steps))
        >>> backup = keras.callbacks.BackupAndRestore(tempfile.mkdtemp())
        >>> history = model.fit(mixed, epochs=2, callbacks=[backup, steps], verbose=0)
    """

    def __init__(self) -> None:
        super().__init__()
        # Keras 2 waits for the device after each step, for callbacks that do not say this.
        self._supports_tf_logs = True
        # Numbers, not variables, that change between steps alone: an iterator begins while a step runs, which counts
        # the optimizer's on at any time.
        self._first = self._now = 0
        self._origin: int | None = None
        self._is_told = False
        self._looks = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        batches = (self.params or {}).get("steps") or 0
        before = self._now if self._is_told else 0
        self._first = self._now = max(before, epoch * batches, steps_trained(self.model))
        self._is_told, self._origin = True, None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        # Keras 2 goes on counting within the epoch in which it had backed up.
        self._origin = batch if self._origin is None else self._origin

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Strategies of several devices begin the next epoch's iterator before the epoch does.
        self._now = self._first + batch + 1 - (self._origin or 0)

    def on_train_end(self, logs: Any = None) -> None:
        self._is_told, self._looks = False, 0

    def __call__(self) -> int:
        """The step of the next batch; of an iterator, which asks once."""
        # Keras looks at a batch before it tells of anything, and trains on it later.
        if not self._is_told and self._looks:
            raise ValueError(
                "TrainedSteps: it must be given to fit as well: fit(dataset, callbacks=[steps]). Received: a second "
                "iterator outside of such a fit. Look at batches of a dataset that is mixed without initial_step."
            )
        self._looks += not self._is_told
        return self._now
