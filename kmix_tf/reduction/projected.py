"""Wide tables projected at random on a few columns, which keeps distances in the mean."""

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import at_least_float32, fused
from kmix_tf.reduction.base import Reduction


@register
class Projected(Reduction):
    """Wide tables projected on a few columns, for `match_at`: distances between random projections.

    Each column is added, with a random sign, to one of so many: one pass over the table, in which a dense projection
    would take as many products for each number as there are columns to come. Squared distances are right in the mean
    over seeds, with a standard deviation of up to sqrt(2 / columns) of them, where no few columns make up the
    distance. For one seed and width it is always the same linear map.

    Args:
        columns: how many come of it, an integer >= 1, default 64.
        seed: of the signs, an integer >= 0, default 0.

    Call:
        `projected(leaves)`: numeric tensors; tables `(batch, width)` with `width > columns` become `(batch, columns)`
        in float32 or, of float64, float64. Other leaves stay as they are.

    Raises:
        ValueError: for other arguments; on a call, for a table whose width is not known.

    Source: Charikar, Chen and Farach-Colton's count sketch, whose squared norms are those of the rows in the mean.

    Example:
        >>> table = tf.random.stateless_normal([4, 1000], seed=[0, 1])
        >>> Projected(columns=64)([table])[0].shape
        TensorShape([4, 64])
        >>> layer = KMixupLayer(k=32, match_at=Projected(columns=64))
    """

    @_checks.speaks_anew
    def __init__(self, columns: int = 64, seed: int = 0):
        self.columns = _checks.integer("columns", columns, minimum=1)
        self.seed = _checks.integer("seed", seed, minimum=0)

    def reduced(self, leaf: tf.Tensor) -> tf.Tensor:
        """A leaf, projected if it is a wide table."""
        if leaf.shape.rank != 2:
            return leaf
        width = leaf.shape[1]
        if width is None:
            raise _checks.problem(
                "tables must have a known width to be projected: see tf.ensure_shape. "
                f"Received: a table of shape {leaf.shape}."
            )
        if width <= self.columns:
            return leaf
        return _projected(leaf, width=width, columns=self.columns, seed=self.seed)


@fused(features=1)
def _projected(leaf: tf.Tensor, *, width: int, columns: int, seed: int) -> tf.Tensor:
    places, signs = _places(width, columns, seed)
    taken = at_least_float32(tf.gather(leaf, tf.constant(places.ravel()), axis=1))
    signed = tf.reshape(taken, [-1, *places.shape]) * tf.constant(signs, taken.dtype)
    return tf.reduce_sum(signed, axis=1)


def _places(width: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which columns of the table are added to which of the projection, int32 `(blocks, columns)`, and their signs; 0
    where a block is not full.

    Blocks of neighbouring columns are turned by a random number of places each: neighbours never meet in one sum, and
    others do as by chance. Raw bits of a generator are the same in all releases of NumPy.
    """
    blocks = -(-width // columns)
    generator = np.random.PCG64([seed, width])
    turns = (generator.random_raw(blocks) >> np.uint64(11)) % np.uint64(columns)
    places = (np.arange(columns) + turns.astype(np.int64)[:, np.newaxis]) % columns
    places += columns * np.arange(blocks)[:, np.newaxis]
    signs = (generator.random_raw(blocks * columns) >> np.uint64(63)).astype(np.int64).reshape(places.shape) * 2 - 1
    return np.minimum(places, width - 1).astype(np.int32), np.where(places < width, signs, 0)
