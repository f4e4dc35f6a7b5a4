"""Training that differs in the mix alone: equal first weights, equal batches, as many steps."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


class Trainer:
    """A network that is compiled once and begins anew with each run.

    With the same seed it begins from equal weights, in every Trainer of the same `make`.

    Args:
        make: returns a new network, whose outputs are logits if `loss` is None.
        optimizer: returns a new Keras optimizer. None: Adam with a rate of 0.001.
        loss: a Keras loss. None: cross-entropy of soft labels.
        wrap: makes of the network the model that is trained, such as a `MixModel`. None: the network itself.
        steps_per_call: how many steps at most are one call of TensorFlow's; small networks train faster with many. As
            many are taken as divide the steps asked for: Keras 3 would round those up.
        jit_compile: whether XLA compiles the step. It takes a second or more, and small networks then train faster.

    Attributes:
        network: as the last run left it. model: what is trained, which is the network if nothing wraps it.

    Example:
        >>> import keras, numpy as np
        >>> from kmix_tf import KMixupLayer
        >>> from kmix_tf.paired import Trainer, batches, scores
        >>> x, y = np.float32([[-1], [1]] * 32), np.int32([0, 1] * 32)
        >>> def network():
        ...     return keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
        >>> trainer = Trainer(network, lambda: keras.optimizers.SGD(0.1))
        >>> mixed = batches(x, y, 16, seed=0, layer=KMixupLayer(k=4, num_classes=2))
        >>> scores(trainer.run(mixed, steps=200, seed=0), x, y)["error"]
        0.0
    """

    def __init__(
        self,
        make: Callable[[], keras.Model],
        optimizer: Callable[[], Any] | None = None,
        loss: Any = None,
        wrap: Callable[[keras.Model], keras.Model] | None = None,
        steps_per_call: int = 50,
        jit_compile: bool = False,
    ):
        self._make, self._loss, self._jit_compile = make, loss, jit_compile
        self.network = make()
        self.model = wrap(self.network) if wrap else self.network
        self._steps_per_call, self._block = steps_per_call, 0
        self._compile(optimizer() if optimizer else keras.optimizers.Adam(1e-3), steps_per_call)
        self.model.optimizer.build(self.model.trainable_variables)
        # Copies: an array that shares a variable's memory changes with it.
        self._fresh = [each.numpy().copy() for each in self.model.optimizer.variables]

    def _compile(self, optimizer: Any, every: int) -> None:
        """For calls of as many steps as divide `every`; compiled anew only if they are not those of the last run."""
        block = max(size for size in range(1, min(every, self._steps_per_call) + 1) if every % size == 0)
        if block != self._block:
            self._block = block
            loss = self._loss or keras.losses.CategoricalCrossentropy(from_logits=True)
            self.model.compile(optimizer, loss, steps_per_execution=block, jit_compile=self._jit_compile)

    def run(
        self,
        dataset: tf.data.Dataset,
        steps: int,
        seed: int,
        every: int | None = None,
        watch: Callable[[int], None] | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> keras.Model:
        """Trains from the seed's first weights; returns the network.

        Args:
            dataset: batches `(x, y)` or `(x, y, sample_weight)` without end.
            steps: how many to take; a multiple of `every`.
            every, watch: after each `every` steps, `watch(steps so far)` is called.
        """
        every = every or steps
        if steps % every:
            raise ValueError(f"Trainer.run: steps must be a multiple of every. Received: {steps} and {every}.")
        self._compile(self.model.optimizer, every)
        self.begin(seed)
        watcher = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: watch and watch((epoch + 1) * every),
        )
        counts = {"epochs": steps // every, "steps_per_epoch": every}
        self.model.fit(dataset, verbose=0, shuffle=False, callbacks=[*callbacks, watcher], **counts)
        return self.network

    def begin(self, seed: int) -> None:
        """Sets the seed's first weights, and an optimizer that has seen nothing."""
        keras.utils.set_random_seed(seed)
        self.network.set_weights(self._make().get_weights())
        for variable, value in zip(self.model.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
