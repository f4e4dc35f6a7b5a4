"""Which samples have been seen, in little memory: enough to tell held-out data from training data."""

import base64
import hashlib
from typing import Any

import numpy as np
import tensorflow as tf

# Hashes that are kept. Of a million samples, 2,000 others share some four of them if they are among the million.
_KEPT = 2048
# Elements of a sample that are looked at.
_LOOKED_AT = 4096
_ALL = 2**64 - 1


class Seen:
    """The least hashes of the samples seen: of any others, the share that is among them can be told from it.

    Source: Bar-Yossef et al. 2002, the k minimum values of a hash.
    """

    def __init__(self, hashes: np.ndarray | None = None):
        self.hashes = np.zeros(0, np.uint64) if hashes is None else hashes  # sorted, all different

    def add(self, x: Any) -> None:
        """Adds the samples of a batch of features."""
        self._join(hashes_of(x))

    def merge(self, other: "Seen") -> None:
        """Adds what another has seen."""
        self._join(other.hashes)

    def share_of(self, hashes: np.ndarray) -> float | None:
        """The share of samples, given by their hashes, that are among those seen; None if it cannot be told."""
        limit = self.hashes[-1] if len(self.hashes) == _KEPT else np.uint64(_ALL)
        comparable = hashes[hashes <= limit]
        found = np.isin(comparable, self.hashes)
        return float(found.mean()) if found.sum() >= 3 else None

    def get_config(self) -> str:
        return base64.b64encode(self.hashes.astype("<u8").tobytes()).decode()

    @classmethod
    def from_config(cls, config: str) -> "Seen":
        return cls(np.frombuffer(base64.b64decode(config), "<u8").astype(np.uint64))

    def _join(self, hashes: np.ndarray) -> None:
        if len(self.hashes) == _KEPT:
            hashes = hashes[hashes < self.hashes[-1]]
        if len(hashes):
            self.hashes = np.union1d(self.hashes, hashes)[:_KEPT]


def hashes_of(x: Any) -> np.ndarray:
    """A hash of each sample's features, uint64 `(batch,)`: equal numbers have equal hashes, whatever their dtype."""
    rows = []
    for leaf in tf.nest.flatten(x):
        values = np.asarray(leaf)
        if values.dtype == object or values.dtype.kind in "SU":
            continue  # Texts ride along; numbers tell samples apart.
        flat = values.reshape(len(values), -1)
        rows.append(flat[:, :: max(1, flat.shape[1] // _LOOKED_AT)].astype("<f4"))
    together = np.ascontiguousarray(np.concatenate(rows, axis=1)) if rows else np.zeros((0, 0), "<f4")
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in together]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
