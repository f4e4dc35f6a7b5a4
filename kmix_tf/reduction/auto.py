"""By how much images are pooled where nobody says, and whether a batch bears it."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf._graph import at_least_float32, fused
from kmix_tf.reduction.base import Reduction
from kmix_tf.reduction.pooled import pooled

# Images of sides from here on are pooled, by a window of two pixels, or of four, eight, ... where so many windows are
# left: powers of two cut no window off at the usual sides, which takes half of the time. At 64 pixels, to look and to
# pool takes longer than to match exactly.
_LEAST_SIDE, _WINDOWS = 112, 56
# So many rows of a batch face as many others to see what pooling takes away. In smaller batches than twice as many of
# both, exact distances cost about as much as to look.
_SEEN, _LEAST_BATCH = 16, 64
# What pooling may cost at most where two of these rows are matched with two others, of the distances of the pairs.
# Where k are, it costs 10 to 50 times that, so up to 0.1 %: benchmarks/match_at.py measures it.
_TOLERANCE = 2e-5


class AutoPooled(Reduction):
    """What `match_at="auto"` makes of features: a large image or spectrogram is pooled, where the batch bears it.

    That is asked of some rows of the batch: by how much would pooling lengthen the pairs, if two of them were matched
    with two others? White noise and thin lines on paper, of which pooling loses what tells partners apart, do not
    bear it. Of several leaves none is pooled: what the one loses would make the others count for more.
    """

    def is_for(self, leaves: Sequence[tf.Tensor]) -> bool:
        """Whether such leaves may be pooled at all, by their shapes."""
        return len(leaves) == 1 and auto_windows(leaves[0].shape) is not None

    def reduced(self, leaf: tf.Tensor) -> tf.Tensor:
        """A leaf, pooled if it is large."""
        windows = auto_windows(leaf.shape)
        return leaf if windows is None else pooled(leaf, windows)

    def suffices(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> tf.Tensor:
        """Whether these batches, of a leaf each, bear it: a bool scalar."""
        ours, theirs = first[0], second[0]
        shape, size = ours.shape, tf.shape(ours)[0]

        def seen() -> tf.Tensor:
            rows = size * tf.range(2 * _SEEN) // (2 * _SEEN)
            return _bears(
                *(tf.gather(leaf, rows[start::2]) for leaf, start in ((ours, 0), (theirs, 1))),
                windows=auto_windows(shape),
                shape=tuple(shape[1:]),
            )

        return tf.cond(size >= _LEAST_BATCH, seen, lambda: tf.constant(False))


def auto_windows(shape: tf.TensorShape) -> tuple[int, int] | None:
    """The window along each side of an image or a spectrogram; None for what stays as it is."""
    if shape.rank not in (3, 4) or None in shape[1:3] or min(shape[1:3]) < _LEAST_SIDE:
        return None
    height, width = (max(2, 1 << (side // _WINDOWS).bit_length() - 1) for side in shape[1:3])
    return height, width


@fused(features=2)
def _bears(first: tf.Tensor, second: tf.Tensor, *, windows: tuple[int, int], shape: tuple) -> tf.Tensor:
    """Whether pooling lengthens pairs of these rows by next to nothing, over all ways to match two with two.

    Of distances D and those of pooled images P: i and j are matched with a and b by the sign of
    P_ia + P_jb - P_ib - P_ja, in which the parts of single images cancel, and products of them are left.
    """
    ours, theirs = (at_least_float32(tf.ensure_shape(leaf, [_SEEN, *shape])) for leaf in (first, second))
    centre = ours[:1]
    ours, theirs = ours - centre, theirs - centre
    exact, rough = _products(ours, theirs), _products(pooled(ours, windows), pooled(theirs, windows))
    gain, seeming = _minors(exact), _minors(rough)
    norms = [tf.reduce_sum(tf.square(leaf), axis=range(1, leaf.shape.rank)) for leaf in (ours, theirs)]
    distances = norms[0][:, tf.newaxis] + norms[1] - 2 * exact
    # Each pair of pairs stands there four times, twice from either end; so does each of its shorter lengths.
    lost = tf.reduce_sum(tf.where(gain * seeming < 0, tf.abs(gain), 0))
    lengths = distances[:, tf.newaxis, :, tf.newaxis] + distances[tf.newaxis, :, tf.newaxis, :]
    shorter = tf.minimum(lengths, tf.transpose(lengths, [0, 1, 3, 2]))
    is_other = tf.cast(~tf.eye(_SEEN, dtype=tf.bool), shorter.dtype)
    shorter *= is_other[:, :, tf.newaxis, tf.newaxis] * is_other
    return lost <= _TOLERANCE * tf.reduce_sum(shorter)


def _products(ours: tf.Tensor, theirs: tf.Tensor) -> tf.Tensor:
    ours, theirs = (tf.reshape(leaf, [_SEEN, -1]) for leaf in (ours, theirs))
    return tf.matmul(ours, theirs, transpose_b=True)


def _minors(products: tf.Tensor) -> tf.Tensor:
    """By how much matching i with a and j with b is longer than i with b and j with a: `(i, j, a, b)`."""
    by_row = products[:, tf.newaxis] - products[tf.newaxis]
    return -2 * (by_row[..., tf.newaxis] - by_row[:, :, tf.newaxis, :])
