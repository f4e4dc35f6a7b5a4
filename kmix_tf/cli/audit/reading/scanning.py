"""One look at every sample: values that are not finite, features that never change, copies with other labels."""

import hashlib

import numpy as np

from kmix_tf.cli.audit.errors import AuditError


class Scanner:
    """Is shown all blocks of a dataset in order, and remembers 8 bytes a sample."""

    def __init__(self, name: str, columns: list[str] | None):
        self._name, self._columns = name, columns
        self._seen = 0
        self._hashes: list[np.ndarray] = []
        self._low: np.ndarray | None = None

    def add(self, x: np.ndarray) -> None:
        """Looks at rows `(rows, ...)`.

        Raises:
            AuditError: where a value is not finite.
        """
        if not np.isfinite(x).all():
            raise self._not_finite(x)
        low, high = x.min(axis=0), x.max(axis=0)
        if self._low is None:
            self._low, self._high = low, high
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        # -0.0 equals 0.0, but its bytes are others.
        flat = np.ascontiguousarray(x.reshape(len(x), -1) + x.dtype.type(0))
        digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in flat)
        self._hashes.append(np.frombuffer(b"".join(digests), np.uint64))
        self._seen += len(x)

    def constant(self) -> list[str]:
        """Names (a table's) or places of the features that have one value in all samples."""
        places = np.argwhere(self._low == self._high)
        return [self._place(place) for place in places]

    def contradictions(self, y: np.ndarray) -> list[list[int]]:
        """Groups of samples with equal features and different labels, by their places; y: classes `(n,)`."""
        hashes = np.concatenate(self._hashes)
        order = np.argsort(hashes, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(hashes[order])) + 1) if self._repeats(hashes[order]) else []
        return sorted(group.tolist() for group in groups if len(group) > 1 and len(np.unique(y[group])) > 1)

    @staticmethod
    def _repeats(hashes: np.ndarray) -> bool:
        return bool((hashes[1:] == hashes[:-1]).any())

    def _place(self, place: np.ndarray) -> str:
        if self._columns is not None:
            return self._columns[place[0]]
        return str(tuple(place.tolist())) if len(place) > 1 else str(int(place[0]) if len(place) else 0)

    def _not_finite(self, x: np.ndarray) -> AuditError:
        row, *place = np.argwhere(~np.isfinite(x))[0]
        return AuditError(
            f"{self._name}: x must be finite. Received: {x[(row, *place)]} in sample {self._seen + row}, feature "
            f"{self._place(np.array(place, int))}. Fill it in or remove such samples."
        )
