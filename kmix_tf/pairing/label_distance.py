"""Partners whose targets are near: C-Mixup, for regression."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf._paths import as_selectors
from kmix_tf.pairing.base import Pairing, PairingStrategy
from kmix_tf.pairing.targets import target_leaves
from kmix_tf.seeding import as_seed, random_uniform

# Its square is still a number, and no difference of targets is told apart at smaller bandwidths.
_NARROWEST = 1e150
# Of so many columns, differences are taken one by one; of more, products do, which round to 1e-16 of the largest.
_FEW = 32


@register
class LabelDistancePairing(PairingStrategy):
    """C-Mixup: mixes samples whose targets are near, for regression.

    The label of a mixture of two samples with far-apart targets is often wrong: between a house at 100 and one at 900
    there is none at 500. Here the partner of sample i is j with probability proportional to

        exp(-|y_i - y_j|^2 / (2 bandwidth^2)).

    Partners are drawn on their own: a sample may be the partner of several others, or of none. It takes back a part
    of what mixup does, harm and gain: where plain mixup helps a regression, plain mixup may be the better one
    (benchmarks/label_distance.md has both).

    Args:
        bandwidth: > 0 and finite, in the units of the targets. Small ones mix nearest targets only, large ones are
            plain mixup. A recipe: `0.5 * y.std()` of the training targets to begin with, then one or two others from
            0.1 to 2 times `y.std()`. For vectors, `|y_i - y_j|` is Euclidean: bring their columns to one scale first.
        target: which target to go by, by name, where there are several; see `passthrough` in `MixLayer`. Several
            names are measured together, as one vector.
        with_itself: whether a sample may be its own partner, and then stays as it is; default False, as in
            `RandomPairing`. The authors' code draws from all samples, the sample itself included, whose probability
            is the largest of all: much less is mixed then.

    Targets are float: numbers `(batch,)`, vectors `(batch, d)`, or soft labels, which count as vectors; with more
    axes they are flattened. Only the batch is drawn from, as in the authors' variant by batches; their other one
    draws from the whole training set. In a batch of one, a sample is its own partner.

    Raises:
        TypeError, ValueError: for other arguments; on a call, without targets, for several targets without a name,
            for integers, which are classes.

    Source: Yao et al., *C-Mixup: Improving Generalization in Regression* (NeurIPS 2022), the sampling probability of
    Section 3, sigma its bandwidth.

    Example:
        >>> pairing = LabelDistancePairing(bandwidth=1.0)
        >>> targets = tf.constant([0.0, 100.0, 0.1, 100.1])
        >>> pairing([tf.zeros([4, 2])], seed=1, targets=targets).partner.numpy().tolist()
        [2, 3, 0, 1]
    """

    needs_targets = True
    by_distance = False

    @_checks.speaks
    def __init__(self, bandwidth: float, target: Any = None, with_itself: bool = False):
        self.bandwidth = _checks.positive("bandwidth", bandwidth)
        self.target = target
        self._selectors = as_selectors("target", target)
        self.with_itself = _checks.flag("with_itself", with_itself)

    @_checks.speaks_anew
    def __call__(self, features: Sequence[tf.Tensor], seed: Any, targets: Any = None) -> Pairing:
        """Pairs a batch with itself. `targets`: float `(batch, ...)`, or a structure of them."""
        leaves = _numbers(targets, self._selectors)
        size = tf.shape(leaves[0])[0]
        uniform = random_uniform(tf.stack([size, size]), as_seed(seed))
        partner = _drawn(leaves, uniform, bandwidth=self.bandwidth, with_itself=self.with_itself)
        partner = tf.ensure_shape(partner, leaves[0].shape[:1])
        return Pairing(partner, tf.range(size))

    @_checks.speaks_anew
    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        """Refused: of two loaders, the loaders say which samples meet."""
        raise _checks.problem(
            "two loaders cannot be paired by the distance of targets. Received: two loaders. Join them to one "
            "dataset, and map it; or pair them with RandomPairing() or OptimalTransportPairing(k)."
        )


def _numbers(targets: Any, selectors: Sequence[str]) -> list[tf.Tensor]:
    """The targets to measure distances on.

    Raises:
        ValueError: without targets, for several without a name, or for integers.
    """
    if targets is None:
        raise _checks.problem("pairing by targets needs targets. Received: features alone.")
    leaves = target_leaves(targets, selectors)
    if len(leaves) != 1 and not selectors:
        raise _checks.problem(f"target must name one of several targets. Received: {len(leaves)} of them.")
    return [_checked(leaf) for leaf in leaves]


def _checked(leaf: Any) -> tf.Tensor:
    """A target, if it is dense and float."""
    is_dense = not isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor))
    leaf = tf.convert_to_tensor(leaf) if is_dense else leaf
    if not is_dense or not leaf.dtype.is_floating or leaf.shape.rank in (None, 0):
        raise _checks.problem(
            f"pairing by distance needs float targets (batch, ...). Received: a {type(leaf).__name__} of dtype "
            f"{leaf.dtype.name} and shape {leaf.shape}. Cast targets to float32 if they are numbers; for classes "
            "take SameClassPairing()."
        )
    return leaf


@fused(features=1)
def _drawn(leaves: Sequence[tf.Tensor], uniform: tf.Tensor, *, bandwidth: float, with_itself: bool) -> tf.Tensor:
    """Partners, int32 `(batch,)`: the largest of log-probabilities to which Gumbel noise is added, which is a draw of
    these probabilities."""
    size = tf.shape(uniform)[0]
    squares, unit = squared_distances(leaves)
    # Alone, a sample has but itself.
    barred = tf.eye(size, dtype=tf.bool) & (not with_itself) & (size > 1)
    infinite = tf.fill(tf.shape(squares), tf.constant(float("inf"), tf.float64))
    squares = tf.where(barred, infinite, squares)
    # From the nearest on, so that it has a chance however narrow the bandwidth is.
    squares -= tf.reduce_min(squares, axis=1, keepdims=True)
    scale = tf.square(tf.minimum(unit / bandwidth, _NARROWEST))
    # Half a step up, uniforms are strictly inside (0, 1).
    noise = -tf.math.log(-tf.math.log(tf.cast(uniform, tf.float64) + 2.0**-24))
    chances = tf.where(barred, -infinite, noise - 0.5 * scale * squares)
    # One more column, which is nobody's: of an empty batch there would be none.
    chances = tf.concat([chances, tf.fill([size, 1], tf.constant(float("-inf"), tf.float64))], axis=1)
    return tf.argmax(chances, axis=1, output_type=tf.int32)


def squared_distances(leaves: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """The squared distance of each row to each other, float64 `(batch, batch)`, in units of the square of a number.

    Args:
        leaves: float `(batch, ...)`, which together are one vector.

    Returns:
        The squares, and the unit, a scalar > 0 of the size of the largest value: nothing over- or underflows.
    """
    rows = tf.concat([_flat(tf.cast(leaf, tf.float64)) for leaf in leaves], axis=1)
    unit = tf.maximum(tf.reduce_max(tf.abs(rows)), 0)
    unit = tf.where(unit > 0, unit, tf.ones_like(unit))
    rows = rows / unit
    # Of what lies close together, differences are what counts.
    rows -= rows[:1]
    if rows.shape[1] is not None and rows.shape[1] <= _FEW:
        return tf.reduce_sum(tf.square(rows[:, tf.newaxis] - rows[tf.newaxis]), axis=2), unit
    norms = tf.reduce_sum(tf.square(rows), axis=1)
    products = tf.matmul(rows, rows, transpose_b=True)
    return tf.maximum(norms[:, tf.newaxis] + norms[tf.newaxis] - 2 * products, 0), unit


def _flat(leaf: tf.Tensor) -> tf.Tensor:
    shape, width = tf.shape(leaf), leaf.shape[1:].num_elements()
    return tf.reshape(leaf, tf.stack([shape[0], tf.reduce_prod(shape[1:]) if width is None else width]))
