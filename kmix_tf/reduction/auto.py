"""By how much images are pooled where nobody says."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf.reduction.base import Reduction
from kmix_tf.reduction.pooled import pooled

# Of this many windows a side at least, matching costs less than 0.1 % more than exactly on every kind of image in
# benchmarks/match_at.md but noise.
_WINDOWS = 32
_LEAST_SIDE = 64


class AutoPooled(Reduction):
    """What `match_at="auto"` makes of features: a single image or spectrogram is pooled, if it is large.

    Where there are several leaves to match on, they stay as they are: what pooling takes away from the one would make
    the others count for more.
    """

    def __call__(self, leaves: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The leaves, one of large sides pooled."""
        return super().__call__(leaves) if len(leaves) == 1 else list(leaves)

    def reduced(self, leaf: tf.Tensor) -> tf.Tensor:
        """A leaf, pooled if it is large."""
        windows = auto_windows(leaf.shape)
        return leaf if windows is None else pooled(leaf, windows)


def auto_windows(shape: tf.TensorShape) -> tuple[int, int] | None:
    """The window along each side of an image or a spectrogram; None for what stays as it is."""
    if shape.rank not in (3, 4) or None in shape[1:3] or min(shape[1:3]) < _LEAST_SIDE:
        return None
    height, width = (side // _WINDOWS for side in shape[1:3])
    return height, width
