"""Which samples have been seen, in little memory: enough to tell held-out data from training data."""

import base64
import hashlib
import math
import zlib
from typing import Any

import numpy as np
import tensorflow as tf

# Hashes that are kept. Of a million samples, 2,000 others share some four of them if they are among the million.
_KEPT = 2048
# Elements of a sample that go into its hash one by one; of more, every so-manieth, and a checksum of all of them.
_LOOKED_AT = 4096
_ALL = 2**64 - 1
# Where fewer of the samples are different from all others, one that is seen again is no news.
_DISTINCT = 0.9


class Seen:
    """The least hashes of the samples seen: of any others, the share that is among them can be told from it.

    Source: Bar-Yossef et al. 2002, the k minimum values of a hash.
    """

    def __init__(self, hashes: np.ndarray | None = None, rows: int = 0):
        self.hashes = np.zeros(0, np.uint64) if hashes is None else hashes  # sorted, all different
        self.rows = rows  # how many samples were seen

    def add(self, x: Any) -> None:
        """Adds the samples of a batch of features."""
        hashes = hashes_of(x)
        self.rows += len(hashes)
        self._join(hashes)

    def merge(self, other: "Seen") -> None:
        """Adds what another has seen."""
        self.rows += other.rows
        self._join(other.hashes)

    def share_of(self, hashes: np.ndarray) -> float | None:
        """The share of samples, given by their hashes, that are among those seen; None if it cannot be told.

        It cannot where many samples seen are alike, as in tables of few columns: others are like them by chance.
        """
        if self._distinct() < _DISTINCT * self.rows:
            return None
        limit = self.hashes[-1] if len(self.hashes) == _KEPT else np.uint64(_ALL)
        comparable = hashes[hashes <= limit]
        found = np.isin(comparable, self.hashes)
        return float(found.mean()) if found.sum() >= 3 else None

    def get_config(self) -> dict[str, Any]:
        return {"hashes": base64.b64encode(self.hashes.astype("<u8").tobytes()).decode(), "rows": self.rows}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Seen":
        hashes = np.frombuffer(base64.b64decode(config["hashes"]), "<u8").astype(np.uint64)
        return cls(hashes, config["rows"])

    def _distinct(self) -> float:
        """How many different samples were seen, estimated where not all are kept."""
        if len(self.hashes) < _KEPT:
            return len(self.hashes)
        return (_KEPT - 1) / (float(self.hashes[-1]) / _ALL)

    def _join(self, hashes: np.ndarray) -> None:
        if len(self.hashes) == _KEPT:
            hashes = hashes[hashes < self.hashes[-1]]
        if len(hashes):
            self.hashes = np.union1d(self.hashes, hashes)[:_KEPT]


def hashes_of(x: Any) -> np.ndarray:
    """A hash of each sample's features, uint64 `(batch,)`: equal numbers have equal hashes, whatever their dtype."""
    found: list[Any] = []
    for leaf in tf.nest.flatten(x):
        values = np.asarray(leaf)
        if values.dtype == object or values.dtype.kind in "SU":
            continue  # Texts ride along; numbers tell samples apart.
        flat = np.ascontiguousarray(values, "<f4").reshape(len(values), math.prod(values.shape[1:]))
        found = found or [hashlib.blake2b(digest_size=8) for _ in flat]
        step = max(1, flat.shape[1] // _LOOKED_AT)
        for each, row in zip(found, flat, strict=True):
            each.update(row[::step].tobytes())
            # Of sparse rows, as counts of words are, all elements that are looked at may be 0.
            each.update(zlib.crc32(row.tobytes()).to_bytes(4, "little") if step > 1 else b"")
    return np.frombuffer(b"".join(each.digest() for each in found), "<u8").astype(np.uint64)
