"""Held-out answers of one output, beside their targets, in as much memory as is allowed."""

from typing import Any

import numpy as np

from kmix_tf.models.calibrating.links import law_of

# Numbers of answers that are kept; of maps of many places there would be more, and a random part of them is enough.
_MOST = 2**26


class Rows:
    """Answers and targets, a row for each place of each sample, or a random part of them.

    Args:
        kind: of the output, as in `RescaledModel`. units: of its last axis.
        most: how many numbers of answers to keep.

    Attributes:
        law: as in `law_of`. sets: float32 `(n, units)` logits by name. targets: float32 `(n, units)`.
        weights: float64 `(n,)`, > 0. samples: which sample each row is of, int64 `(n,)`.
        count: numbers of answers so far.
    """

    def __init__(self, kind: str, units: int, most: int = _MOST):
        self.law = law_of(kind, units)
        self._most, self._share = most, 1.0
        self._random = np.random.default_rng(0)
        self._parts: list[dict[str, Any]] = []
        self.count = 0
        self.sets: dict[str, np.ndarray] = {}

    def add(self, sets: dict[str, np.ndarray], targets: np.ndarray, weights: np.ndarray, first_sample: int) -> None:
        """Adds a batch.

        Args:
            sets: by name, `(batch, ..., units)`. targets: of that shape. weights: `(batch,)` or `(batch, *places)`.
            first_sample: the number of the batch's first.
        """
        places = targets.shape[:-1]
        weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (len(places) - weights.ndim)), places)
        samples = first_sample + np.arange(len(targets)).reshape((-1,) + (1,) * (len(places) - 1))
        chosen = weights > 0
        if self._share < 1:
            chosen = chosen & (self._random.random(places) < self._share)
        part: dict[str, Any] = {
            name: values[chosen].astype(np.float32) for name, values in {**sets, "targets": targets}.items()
        }
        part["weights"] = weights[chosen].astype(np.float64)
        part["samples"] = np.broadcast_to(samples, places)[chosen]
        self._parts.append(part)
        self.count += part["targets"].size
        while self.count > self._most:
            self._halve()

    def complete(self) -> "Rows":
        """Itself, once all batches are in."""
        joined = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        self._parts = []
        self.targets, self.weights, self.samples = (joined.pop(name) for name in ("targets", "weights", "samples"))
        self.sets = joined
        return self

    def at(self, chosen: np.ndarray) -> "Rows":
        """Those rows of a complete set that a boolean array names."""
        part = Rows.__new__(Rows)
        part.law, part.sets = self.law, {name: values[chosen] for name, values in self.sets.items()}
        part.targets, part.weights, part.samples = (
            each[chosen] for each in (self.targets, self.weights, self.samples)
        )
        return part

    def of_samples(self, values: np.ndarray) -> np.ndarray:
        """Weighted means over each sample's rows, `(samples,)`, of values `(n,)`."""
        _, index = np.unique(self.samples, return_inverse=True)
        return np.bincount(index, values * self.weights) / np.bincount(index, self.weights)

    def _halve(self) -> None:
        self._share /= 2
        kept: list[dict[str, Any]] = []
        for part in self._parts:
            chosen = self._random.random(len(part["weights"])) < 0.5
            kept.append({name: values[chosen] for name, values in part.items()})
        self._parts, self.count = kept, sum(part["targets"].size for part in kept)
