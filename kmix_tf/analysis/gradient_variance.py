"""How much stochastic gradients of mixup scatter, and what several interpolations of each pair save of it."""

from collections.abc import Callable
from typing import Any, NamedTuple, overload

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import at_least_float32
from kmix_tf.analysis.asking import ask, one_output, sample_losses
from kmix_tf.maths.losses import targets_of
from kmix_tf.maths.samples import for_model
from kmix_tf.ratio import sample_beta
from kmix_tf.seeding import as_seed, random_bits, split

# Numbers that a block of gradients may hold: 16 MB in float32.
_BLOCK = 2**22


class GradientVariance(NamedTuple):
    """The variance of a stochastic gradient, taken apart.

    v: of the gradient on one mixture. v1: what remains of it averaged over ratios, the variance between pairs. v2:
    what remains of it averaged over pairs, the variance between ratios. threshold: (v1 + 2 h) / v2, the batch size
    from which multi-mix's gradients scatter less than mixup's at the same cost; no better known than v2 is, see
    `standard_error`, and infinity if v2 was not found to be positive.
    estimates: float64 `(batches, 5)`, v, v1, v2, c and h from each of the batches drawn, whose means these are;
    `(batches, 3)` where c and h are 0.
    In a batch mixed with itself each sample is in two pairs, once as itself and once as a partner. c: the covariance
    of what it does to one gradient and to the other, of one ratio. h: the variance of what it does, averaged over
    ratios. 0 (default) for independent pairs.
    Variances are sums over parameters. The estimates are unbiased, so that small ones may be negative.
    """

    v: float
    v1: float
    v2: float
    threshold: float
    estimates: np.ndarray
    c: float = 0.0
    h: float = 0.0

    def of_two_loaders(self) -> "GradientVariance":
        """The same for independent pairs, as `layer.between` makes them of two loaders: Propositions III.1 and III.2.

        Each sample is in one pair then: c and h are 0, and the threshold is v1 / v2.
        """
        return GradientVariance(self.v, self.v1, self.v2, _threshold(self.v1, self.v2), self.estimates[:, :3])

    @overload
    def variance(self, batch_size: int, interpolations: int = 1) -> float: ...

    @overload
    def variance(self, batch_size: Any, interpolations: Any = 1) -> np.ndarray: ...

    @_checks.speaks
    def variance(self, batch_size: Any, interpolations: Any = 1) -> Any:
        """The variance of the gradient on a batch of B samples, mixed with itself K times by the same ratios.

        Args:
            batch_size, interpolations: B and K, integers >= 1, or arrays of them that broadcast. Mixup of K B
                samples, which costs as much, is `variance(K * B)`. One pair alone is B = 1. Pairs of a batch of two
                samples have both in common, which is left out of account.

        Returns:
            A float, or float64 of their shape. Exact for samples drawn independently, from three on. Batches of a
            shuffled epoch hold different samples: the nearer B is to the number of samples n, the less they vary, by
            a part of about B / n.

        Source: Multi-mix, proof of Proposition III.1, V1/B + [(V - V1)/B + (B - 1)/B V2]/K for independent pairs;
            and 2/B [C/K + (1 - 1/K) H], because neighbours on the circle of pairs share a sample.
        """
        return _shares(batch_size, interpolations) @ np.array([self.v, self.v1, self.v2, self.c, self.h])

    @overload
    def standard_error(self, batch_size: int, interpolations: int = 1) -> float: ...

    @overload
    def standard_error(self, batch_size: Any = None, interpolations: Any = 1) -> np.ndarray: ...

    @_checks.speaks
    def standard_error(self, batch_size: Any = None, interpolations: Any = 1) -> Any:
        """The standard error of `variance(batch_size, interpolations)`; or without arguments of (v, v1, v2, c, h)."""
        values = self.estimates
        if batch_size is not None:
            shares = _shares(batch_size, interpolations)[..., : values.shape[1]]
            values = np.moveaxis(shares @ self.estimates.T, -1, 0)
        return values.std(axis=0, ddof=1) / np.sqrt(len(values))


@_checks.speaks
def gradient_variance(
    model: Callable,
    x: Any,
    y: Any,
    loss: Any,
    alpha: float = 1.0,
    interpolations: int = 8,
    batch_size: int = 64,
    batches: int = 16,
    seed: int = 0,
) -> GradientVariance:
    """Estimates the variance of mixup's stochastic gradient for any batch size and number of interpolations.

    Draws batches as `MultiMixLayer` makes them of random pairs: samples on a circle, each mixed with the next, by
    ratios that the batch shares; and takes the gradient on each mixture. Products of gradients that share their pair,
    a sample, their ratio, or nothing then give unbiased estimates of all parts of the variance, for any model: no
    quadrature over ratios, which a kink of relu would spoil.

    Args:
        model: a Keras model of one output `(batch, outputs)`, logits for the cross-entropies; or a callable with
            `trainable_variables`. It is asked as in inference: no dropout, and batch normalisation by moving means,
            because gradients on mixtures must not depend on the rest of the batch.
        x: numeric `(n, ...)`, finite. float64 stays, all else is given to the model in float32.
        y: integer classes `(n,)`, or targets `(n, outputs)` as the loss takes them; `(n,)` for one output.
        loss: "categorical_crossentropy" or "binary_crossentropy", both on logits, "squared_error", a Keras loss that
            takes soft labels, or a callable `(y, outputs) -> (batch, ...)` that does not reduce over the batch.
        alpha: of Beta(alpha, alpha), finite and >= 0. 0 does not mix: v1 is v, and v2 0.
        interpolations, batch_size, batches: ratios and pairs of a batch that is drawn, and how many are: integers
            >= 2, of pairs >= 4, for two to have no sample in common. Each of their mixtures costs a gradient. v2 and
            with it the threshold are hard to tell where v2 is small, as it is for trained models: a larger batch_size
            helps most, since v2's error falls with it and with the root of interpolations * batches.
        seed: an integer >= 0.

    Returns:
        `GradientVariance(v, v1, v2, threshold, estimates, c, h)`, with methods `variance(batch_size,
        interpolations)`, `standard_error` and `of_two_loaders`. Memory holds a few times interpolations * parameters
        numbers.

    Raises:
        TypeError, ValueError: for other arguments; if the model has no variables or a gradient is not finite.

    Source: Multi-mix, Section III and appendix, for independent pairs, whose threshold is v1 / v2: see
    `of_two_loaders`. In a batch mixed with itself each sample is in two pairs, which makes it (v1 + 2 h) / v2.
    Samples are drawn independently, as in the paper; see `GradientVariance.variance` for batches of a shuffled epoch.
    Its eq. (8) must be E|g|^2 - |E g|^2; ratios of each pair's own instead of the batch's would reverse Proposition
    III.2.

    Example:
        >>> from kmix_tf.analysis.gradient_variance import gradient_variance
        >>> model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> result = gradient_variance(model, [[0.0], [1.0]], [0.0, 1.0], "squared_error", batches=8)
        >>> bool(result.variance(32, interpolations=5) < result.variance(32))
        True
    """
    _checks.number("alpha", alpha)
    for name, value in (("interpolations", interpolations), ("batches", batches)):
        _checks.integer(name, value, minimum=2)
    _checks.integer("batch_size", batch_size, minimum=4)
    seed = as_seed(_checks.integer("seed", seed, minimum=0))
    losses = sample_losses(loss)
    _require_soft(loss)
    x, y = _data(model, x, y, loss)
    gradients = _Gradients(model, x, y, losses)
    estimates = np.array(
        [_components(gradients, one, float(alpha), batch_size, interpolations) for one in split(seed, batches)]
    )
    v, v1, v2, c, h = (float(value) for value in estimates.mean(axis=0))
    return GradientVariance(v, v1, v2, _threshold(v1 + 2 * h, v2), estimates, c, h)


def _threshold(of_pairs: float, of_ratios: float) -> float:
    return of_pairs / of_ratios if of_ratios > 0 else float("inf")


def _components(gradients: "_Gradients", seed: tf.Tensor, alpha: float, pairs: int, count: int) -> np.ndarray:
    """Unbiased v, v1, v2, c and h from a circle of so many samples, each mixed with the next by all ratios."""
    sample_seed, ratio_seed = split(seed, 2)
    first = np.mod(random_bits([pairs], sample_seed).numpy().astype(np.int64), gradients.samples)
    ratios = sample_beta([count], alpha, ratio_seed).numpy().astype(np.float64)
    sums = _Sums(pairs, count, gradients.size)
    step = max(1, _BLOCK // (count * gradients.size))
    for start in range(0, pairs, step):
        rows = slice(start, start + step)
        sums.add(gradients(first[rows], np.roll(first, -1)[rows], ratios).astype(np.float64))
    v, v1, v2, c, h = sums.parts()
    # All ratios are 1 then, and what rounding leaves of v2 would make a threshold of noise. Samples are alone.
    return np.array([v, v1, v2, c, h] if alpha else [v, v, 0.0, 0.0, 0.0])


class _Sums:
    """Sums of products of two gradients of a circle of pairs, by what they share, from blocks of pairs in order."""

    def __init__(self, pairs: int, count: int, size: int):
        self.pairs, self.count = pairs, count
        self.of_ratios = np.zeros((count, size))
        self.of_pairs = self.squares = self.next_alike = self.next_sums = 0.0
        self.begin = self.end = np.zeros((0, count, size))

    def add(self, block: np.ndarray) -> None:
        """The next pairs, `(pairs, count, size)`."""
        self.of_ratios += block.sum(axis=0)
        self.of_pairs += np.square(block.sum(axis=1)).sum()
        self.squares += np.square(block).sum()
        self._add_neighbours(np.concatenate([self.end, block]))
        self.begin = self.begin if len(self.begin) else block[:1]
        self.end = block[-1:]

    def _add_neighbours(self, chain: np.ndarray) -> None:
        self.next_alike += (chain[:-1] * chain[1:]).sum()
        sums = chain.sum(axis=1)
        self.next_sums += (sums[:-1] * sums[1:]).sum()

    def parts(self) -> np.ndarray:
        """v, v1, v2, c and h: means of products, of which those that share nothing are taken away."""
        self._add_neighbours(np.concatenate([self.end, self.begin]))
        pairs, count = self.pairs, self.count
        others, ordered = count * (count - 1), pairs * (pairs - 3)
        alike = self.squares / (pairs * count)
        same_pair = (self.of_pairs - self.squares) / (pairs * others)
        # Neighbours share a sample; each pair has two, and pairs - 3 others.
        beside_alike = self.next_alike / (pairs * count)
        beside = (self.next_sums - self.next_alike) / (pairs * others)
        same_ratio = np.square(self.of_ratios).sum() - self.squares - 2 * self.next_alike
        apart = np.square(self.of_ratios.sum(axis=0)).sum() - self.of_pairs - 2 * self.next_sums - same_ratio
        same_ratio, apart = same_ratio / (ordered * count), apart / (ordered * others)
        c = beside_alike - same_ratio
        return np.array([alike - apart, same_pair - apart, same_ratio - apart, c, beside - apart])


class _Gradients:
    """Gradients of the loss on single mixtures, in all variables side by side."""

    def __init__(self, model: Callable, x: np.ndarray, y: np.ndarray, losses: Callable):
        self._x, self._y = x, y
        variables = list(getattr(model, "trainable_variables", []))
        if not variables:
            raise _checks.problem(
                f"model must have trainable_variables, as a Keras model has. Received: "
                f"{type(model).__name__} without any."
            )
        self.samples, self.size = len(x), sum(int(np.prod(variable.shape)) for variable in variables)

        def gradient(mixture: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            with tf.GradientTape() as tape:
                outputs = ask(model, mixture[0][tf.newaxis])
                value = losses(mixture[1][tf.newaxis], at_least_float32(outputs))
            parts = tape.gradient(value, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            wide = tf.float64 if x.dtype == np.float64 else tf.float32
            return tf.concat([tf.reshape(tf.cast(part, wide), [-1]) for part in parts], axis=0)

        # One mixture after the other within the graph. A vectorised map is three times as fast, but TensorFlow 2.15
        # cannot take recurrent layers through it, and 2.21 compiles them for seconds.
        wide = tf.float64 if x.dtype == np.float64 else tf.float32
        specs = [tf.TensorSpec([None, *v.shape[1:]], v.dtype) for v in (x, y)]
        self._all = tf.function(
            lambda x, y: tf.map_fn(gradient, (x, y), fn_output_signature=tf.TensorSpec([self.size], wide)),
            input_signature=specs,
        )

    def __call__(self, first: np.ndarray, second: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """`(pairs, ratios, variables)`."""
        mixed = [_mixed(values, first, second, ratios) for values in (self._x, self._y)]
        gradients = self._all(*mixed).numpy().reshape(len(first), len(ratios), self.size)
        if not np.isfinite(gradients).all():
            raise _checks.problem("gradients must be finite. Received: NaN or infinite ones.")
        return gradients


def _mixed(values: np.ndarray, first: np.ndarray, second: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """All pairs by all ratios, `(pairs * ratios, ...)`."""
    ratio = ratios.reshape(1, -1, *[1] * (values.ndim - 1))
    mixed = ratio * values[first][:, np.newaxis] + (1 - ratio) * values[second][:, np.newaxis]
    return mixed.astype(values.dtype).reshape(-1, *values.shape[1:])


def _data(model: Callable, x: Any, y: Any, loss: Any) -> tuple[np.ndarray, np.ndarray]:
    x = for_model(x, y)
    # A loss of one's own may take any targets, as the squared error does.
    return x, targets_of(y, one_output(model, x), loss if isinstance(loss, str) else "squared_error")


def _require_soft(loss: Any) -> None:
    """Refuses losses of integer labels, of which mixing makes soft ones."""
    name = getattr(loss, "__name__", type(loss).__name__)
    if "sparsecategorical" in name.lower().replace("_", ""):
        raise _checks.problem(
            f"loss must take soft labels: mixing turns integer labels into such. Received: {name}. Use "
            "'categorical_crossentropy' or CategoricalCrossentropy, with integer labels too."
        )


def _shares(batch_size: Any, interpolations: Any) -> np.ndarray:
    """What v, v1, v2, c and h count in the variance, `(..., 5)`."""
    for name, value in (("batch_size", batch_size), ("interpolations", interpolations)):
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "iu" or numbers.size == 0 or numbers.min() < 1:
            _checks.refuse(name, "integers >= 1", value)
    size, count = np.asarray(batch_size, dtype=np.float64), np.asarray(interpolations, dtype=np.float64)
    # One pair alone has no neighbour to share a sample with.
    shared = np.where(size > 1, 2 / size, 0.0)
    shares = 1 / (count * size), (1 - 1 / count) / size, (1 - 1 / size) / count, shared / count
    return np.stack(np.broadcast_arrays(*shares, shared * (1 - 1 / count)), axis=-1)
