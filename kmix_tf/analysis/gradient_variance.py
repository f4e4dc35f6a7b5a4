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
    what remains of it averaged over pairs, the variance between ratios. threshold: v1 / v2, the batch size from which
    multi-mix's gradients scatter less than mixup's at the same cost (Proposition III.2); no better known than v2 is,
    see `standard_error`, and infinity if v2 was not found to be positive.
    estimates: float64 `(batches, 3)`, v, v1 and v2 from each of the batches drawn, whose means v, v1 and v2 are.
    Variances are sums over parameters. The estimates are unbiased, so that small ones may be negative.
    """

    v: float
    v1: float
    v2: float
    threshold: float
    estimates: np.ndarray

    @overload
    def variance(self, batch_size: int, interpolations: int = 1) -> float: ...

    @overload
    def variance(self, batch_size: Any, interpolations: Any = 1) -> np.ndarray: ...

    @_checks.speaks
    def variance(self, batch_size: Any, interpolations: Any = 1) -> Any:
        """The variance of the gradient on `batch_size` pairs, mixed `interpolations` times by the same ratios.

        Args:
            batch_size, interpolations: integers >= 1, or arrays of them that broadcast. Mixup of K B pairs, which
                costs as much, is `variance(K * B)`.

        Returns:
            A float, or float64 of their shape.

        Source: Multi-mix, proof of Proposition III.1: V1/B + [(V - V1)/B + (B - 1)/B V2]/K.
        """
        return _shares(batch_size, interpolations) @ np.array([self.v, self.v1, self.v2])

    @overload
    def standard_error(self, batch_size: int, interpolations: int = 1) -> float: ...

    @overload
    def standard_error(self, batch_size: Any = None, interpolations: Any = 1) -> np.ndarray: ...

    @_checks.speaks
    def standard_error(self, batch_size: Any = None, interpolations: Any = 1) -> Any:
        """The standard error of `variance(batch_size, interpolations)`; or without arguments of (v, v1, v2)."""
        values = self.estimates
        if batch_size is not None:
            shares = _shares(batch_size, interpolations)
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

    Draws batches of pairs with ratios that a batch shares, as multi-mix does, and takes the gradient on each mixture.
    Products of gradients that share their pair, their ratio, both or neither then give unbiased estimates of all
    parts of the variance, for any model: no quadrature over ratios, which a kink of relu would spoil.

    Args:
        model: a Keras model of one output `(batch, outputs)`, logits for the cross-entropies; or a callable with
            `trainable_variables`. It is asked as in inference: no dropout, and batch normalisation by moving means,
            because gradients on mixtures must not depend on the rest of the batch.
        x: numeric `(n, ...)`, finite. float64 stays, all else is given to the model in float32.
        y: integer classes `(n,)`, or targets `(n, outputs)` as the loss takes them; `(n,)` for one output.
        loss: "categorical_crossentropy" or "binary_crossentropy", both on logits, "squared_error", a Keras loss that
            takes soft labels, or a callable `(y, outputs) -> (batch, ...)` that does not reduce over the batch.
        alpha: of Beta(alpha, alpha), finite and >= 0. 0 does not mix: v1 is v, and v2 0.
        interpolations, batch_size, batches: integers >= 2: ratios and pairs of a batch that is drawn, and how many
            are. Each of their mixtures costs a gradient. v2 and with it the threshold are hard to tell where v2 is
            small, as it is for trained models: a larger batch_size helps most, since v2's error falls with it and
            with the root of interpolations * batches.
        seed: an integer >= 0.

    Returns:
        `GradientVariance(v, v1, v2, threshold, estimates)`, with methods `variance(batch_size, interpolations)` and
        `standard_error`. Memory holds a few times interpolations * parameters numbers.

    Raises:
        TypeError, ValueError: for other arguments; if the model has no variables or a gradient is not finite.

    Source: Multi-mix, Section III and appendix. Pairs are drawn from all n^2, a sample with itself included, as in
    the paper: those of a shuffled batch differ from that by terms of order 1 / n. Its eq. (8) must be E|g|^2 -
    |E g|^2; ratios of each pair's own instead of the batch's would reverse Proposition III.2.

    Example:
        >>> from kmix_tf.analysis.gradient_variance import gradient_variance
        >>> model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1, kernel_initializer="zeros")])
        >>> result = gradient_variance(model, [[0.0], [1.0]], [0.0, 1.0], "squared_error", batches=8)
        >>> bool(result.variance(32, interpolations=5) < result.variance(32))
        True
    """
    _checks.number("alpha", alpha)
    for name, value in (("interpolations", interpolations), ("batch_size", batch_size), ("batches", batches)):
        _checks.integer(name, value, minimum=2)
    seed = as_seed(_checks.integer("seed", seed, minimum=0))
    losses = sample_losses(loss)
    _require_soft(loss)
    x, y = _data(model, x, y, loss)
    gradients = _Gradients(model, x, y, losses)
    estimates = np.array(
        [_components(gradients, one, float(alpha), batch_size, interpolations) for one in split(seed, batches)]
    )
    v, v1, v2 = (float(value) for value in estimates.mean(axis=0))
    return GradientVariance(v, v1, v2, v1 / v2 if v2 > 0 else float("inf"), estimates)


def _components(gradients: "_Gradients", seed: tf.Tensor, alpha: float, pairs: int, count: int) -> np.ndarray:
    """Unbiased v, v1 and v2 from a batch of `pairs` pairs, each mixed by all of `count` ratios."""
    pair_seed, ratio_seed = split(seed, 2)
    first, second = np.mod(random_bits([2, pairs], pair_seed).numpy().astype(np.int64), gradients.samples)
    ratios = sample_beta([count], alpha, ratio_seed).numpy().astype(np.float64)
    of_ratios, of_pairs, squares = np.zeros((count, gradients.size)), 0.0, 0.0
    step = max(1, _BLOCK // (count * gradients.size))
    for start in range(0, pairs, step):
        rows = slice(start, start + step)
        block = gradients(first[rows], second[rows], ratios)
        of_ratios += block.sum(axis=0, dtype=np.float64)
        of_pairs += np.square(block.sum(axis=1, dtype=np.float64)).sum()
        squares += np.square(block, dtype=np.float64).sum()
    of_all = np.square(of_ratios.sum(axis=0)).sum()
    v, v1, v2 = _parts(squares, of_pairs, np.square(of_ratios).sum(), of_all, pairs, count)
    # All ratios are 1 then, and what rounding leaves of v2 would make a threshold of noise.
    return np.array([v, v1, v2] if alpha else [v, v, 0.0])


def _parts(squares: float, of_pairs: float, of_ratios: float, of_all: float, pairs: int, count: int) -> np.ndarray:
    """Means of products of two gradients by what they share, from the squares of sums over ratios, pairs and both."""
    alike = squares / (pairs * count)
    same_pair = (of_pairs - squares) / (pairs * count * (count - 1))
    same_ratio = (of_ratios - squares) / (count * pairs * (pairs - 1))
    apart = (of_all - of_pairs - of_ratios + squares) / (pairs * (pairs - 1) * count * (count - 1))
    return np.array([alike, same_pair, same_ratio]) - apart


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
            f"loss must take soft labels, which mixing makes of integers. Received: {name}. Use "
            "'categorical_crossentropy' or CategoricalCrossentropy, with integer labels too."
        )


def _shares(batch_size: Any, interpolations: Any) -> np.ndarray:
    """What v, v1 and v2 count in the variance, `(..., 3)`."""
    for name, value in (("batch_size", batch_size), ("interpolations", interpolations)):
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "iu" or numbers.size == 0 or numbers.min() < 1:
            _checks.refuse(name, "integers >= 1", value)
    size, count = np.asarray(batch_size, dtype=np.float64), np.asarray(interpolations, dtype=np.float64)
    shares = 1 / (count * size), (1 - 1 / count) / size, (1 - 1 / size) / count
    return np.stack(np.broadcast_arrays(*shares), axis=-1)
