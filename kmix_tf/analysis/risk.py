"""The risk that mixup minimises, exactly; and its approximation by a penalty on a model's derivatives."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.linalg import eigh_tridiagonal

from kmix_tf import _checks
from kmix_tf.analysis.asking import ask, one_output
from kmix_tf.maths.losses import LOSSES, TaylorLoss, targets_of
from kmix_tf.maths.samples import for_model
from kmix_tf.maths.theta import ThetaMoments, theta_moments

# Numbers that a block of inputs, or of second derivatives, may hold: 32 MB in float64.
_BLOCK = 2**22


class ApproximateRisk(NamedTuple):
    """Floats: the risk on shrunk data, the four penalties of Theorem 2, and the sum of all."""

    base: float
    r1: float
    r2: float
    r3: float
    r4: float
    total: float


@_checks.speaks
def mixup_risk(model: Callable, x: Any, y: Any, alpha: float, loss: str, nodes: int = 64) -> float:
    """The expected loss on mixtures: over all n^2 pairs, a sample with itself included, and all ratios.

    Args:
        model: a Keras model, asked as in inference, or any callable from a tensor `(batch, ...)` to one
            `(batch, outputs)`; logits for the cross-entropies.
        x: numeric `(n, ...)`, finite. float64 stays, all else is given to the model in float32.
        y: integer classes `(n,)`, or targets `(n, outputs)` as the loss takes them; `(n,)` for one output.
        alpha: finite and >= 0. 0 gives the plain risk.
        loss: "categorical_crossentropy" or "binary_crossentropy", both on logits, or "squared_error", which is
            1/2 |y - u|^2. The last two are summed over outputs.
        nodes: an even integer >= 2: of the quadrature over ratios. It is exact for losses that are polynomials of
            degree 2 nodes - 1 along each chord, and converges geometrically for smooth models; slowly across
            the kinks of relu.

    Returns:
        The risk, a float. Memory is bounded: pairs are mixed in blocks. The model is asked n^2 nodes / 2 times.

    Raises:
        ValueError: for other arguments.

    Source: On Mixup Regularization, eq. (4), in the form of (7). Quadrature by Golub and Welsch 1969, with the Beta
    distribution as its weight, so that its singularities at alpha < 1 do no harm.

    Example:
        >>> from kmix_tf.analysis import mixup_risk
        >>> round(mixup_risk(lambda x: 0 * x, [[0.0], [1.0]], [0.0, 1.0], 1.0, "squared_error"), 6)
        0.208333
    """
    x, y, loss_of = checked_risk(model, x, y, alpha, loss)
    nodes = _checks.integer("nodes", nodes, minimum=2)
    if nodes % 2:
        _checks.refuse("nodes", "even", nodes)
    ratios, weights = beta_quadrature(float(alpha), nodes)
    # Ratios above 1/2 are enough: the others swap the two of a pair, and every pair comes in both orders.
    upper = ratios > 0.5 if alpha else ratios == 1
    ratios, weights = ratios[upper], weights[upper] / weights[upper].sum()
    total = 0.0
    for chosen in _blocks(len(x) ** 2 * len(ratios), min(2**14, _BLOCK // max(1, x[0].size))):
        pair, node = np.divmod(chosen, len(ratios))
        i, j = np.divmod(pair, len(x))
        values = loss_of.value(_mixed(y, i, j, ratios[node]), asked(model, _mixed(x, i, j, ratios[node])))
        total += float(weights[node] @ values.numpy())
    return total / len(x) ** 2


@_checks.speaks
def approximate_mixup_risk(model: Callable, x: Any, y: Any, alpha: float, loss: str) -> ApproximateRisk:
    """Mixup's risk to second order: that of shrunk data, and four penalties on the model's derivatives.

    r1 pulls the Jacobian towards that of a linear fit, r2 is the curvature of the model, r3 what the linear fit
    explains, r4 the curvature of the loss in the targets (0 for cross-entropies, constant for the squared error).

    Args:
        model, x, y, alpha, loss: as in `mixup_risk`; the model twice differentiable. r2 is 0 where it is piecewise
            linear, as with relu; TensorFlow's own second derivatives through `tf.nn.moments` are wrong, so r2 is not
            to be relied on with LayerNormalization or GroupNormalization.

    Returns:
        `ApproximateRisk(base, r1, r2, r3, r4, total)`, floats. Memory holds one sample's Hessian in the features,
        d x d, or a block of them.

    Raises:
        ValueError: for other arguments.

    Source: On Mixup Regularization, Theorem 2 and Corollaries 1 to 3. Its inverses do not exist, for the Hessian of
    cross-entropy is always singular; pseudo-inverses are exact. r1 + r3 comes from eq. (33), which needs no inverse,
    and r1 is that less r3: the same by (34), without the loss of digits where both are large.

    Example:
        >>> from kmix_tf.analysis import approximate_mixup_risk
        >>> risk = approximate_mixup_risk(lambda x: 2 * x, [[0.0], [1.0]], [0.0, 1.0], 1.0, "squared_error")
        >>> round(risk.total, 6)  # the exact risk, because the model is linear
        0.208333
    """
    x, y, loss_of = checked_risk(model, x, y, alpha, loss)
    spread = _Spread.of(x, y, theta_moments(float(alpha)))
    sums = np.zeros(5)
    for rows in _blocks(len(x), min(2**10, max(1, _BLOCK // x[0].size ** 2))):
        derivatives = _derivatives(model, loss_of, *spread.shrunk(rows))
        sums += [values.sum() for values in _terms(loss_of, spread, rows, derivatives)]
    base, r1_and_r3, r2, r3, r4 = (float(value) for value in sums / len(x))
    return ApproximateRisk(base, r1_and_r3 - r3, r2, r3, r4, base + r1_and_r3 + r2 + r4)


def beta_quadrature(alpha: float, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Ratios in [0, 1] and weights that sum to 1, float64 `(nodes,)`: Gauss quadrature for Beta(alpha, alpha).

    Right from alpha = 1e-3 to 1e6. alpha = 0 gives its limit, halves at 0 and 1.
    """
    if alpha == 0:
        return np.array([0.0, 1.0]), np.array([0.5, 0.5])
    # The recurrence of the monic Gegenbauer polynomials; its first term is 0/0 at alpha = 1/2 in the general form.
    k = np.arange(2, nodes)
    squares = k * (k + 2 * alpha - 2) / (4 * (k + alpha - 0.5) * (k + alpha - 1.5))
    points, vectors = eigh_tridiagonal(np.zeros(nodes), np.sqrt([1 / (2 * alpha + 1), *squares]))
    weights = np.square(vectors[0])
    return (points - points[::-1] + 2) / 4, (weights + weights[::-1]) / 2


class _Spread(NamedTuple):
    """Centred data, and what spans them, for covariances of perturbations that are never formed.

    x `(n, d)`, y `(n, c)`: centred. axes `(r, d)`, with Sigma_xx = axes^T axes; left `(n, r)`, orthonormal, with
    columns that span those of x.
    """

    x: np.ndarray
    y: np.ndarray
    means: tuple[np.ndarray, np.ndarray]
    shape: tuple[int, ...]
    dtype: np.dtype
    axes: np.ndarray
    left: np.ndarray
    moments: ThetaMoments

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, moments: ThetaMoments) -> "_Spread":
        flat = x.reshape(len(x), -1).astype(np.float64)
        means = flat.mean(axis=0), y.mean(axis=0)
        flat, y = flat - means[0], y - means[1]
        left, scales, right = np.linalg.svd(flat, full_matrices=False)
        rank = int((scales > max(flat.shape) * np.finfo(np.float64).eps * scales[0]).sum())
        axes = scales[:rank, np.newaxis] * right[:rank] / np.sqrt(len(x))
        return cls(flat, y, means, x.shape[1:], x.dtype, axes, left[:, :rank], moments)

    def shrunk(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = (
            mean + self.moments.mean * values[rows] for mean, values in zip(self.means, (self.x, self.y), strict=True)
        )
        return x.reshape(len(rows), *self.shape).astype(self.dtype), y

    def explained(self, rows: np.ndarray) -> np.ndarray:
        """Sigma_yx Sigma_xx^+ Sigma_xy of each row, `(rows, c, c)`: a projection, whatever the rank of Sigma_xx.

        Perturbations of features are combinations of the columns of sqrt(gamma^2 / n) left and sigma left_i, stacked;
        those of targets are projected on them. The Gram matrix of the columns is gamma^2 / n I plus a dyad, which
        Sherman and Morrison invert.
        """
        if self.moments.gamma_squared == 0:
            return np.zeros((len(rows), self.y.shape[1], self.y.shape[1]))
        common, own = self.moments.gamma_squared / len(self.x), self.moments.variance
        u, y = self.left[rows], self.y[rows]
        products = common * self.left.T @ self.y + own * u[:, :, np.newaxis] * y[:, np.newaxis, :]
        along = np.einsum("br,brc->bc", u, products)
        size = np.square(u).sum(axis=1)
        dyad = (own / (common * (common + own * size)))[:, np.newaxis, np.newaxis]
        squares = np.einsum("brc,bre->bce", products, products) / common
        return squares - dyad * along[:, :, np.newaxis] * along[:, np.newaxis, :]


class _Derivatives(NamedTuple):
    """At shrunk data, of a block: base losses `(b,)`, p - y and outputs `(b, c)`, Jacobians and Hessians."""

    base: np.ndarray
    outputs: np.ndarray
    jacobian: np.ndarray  # (b, c, d)
    hessian: np.ndarray  # (b, d, d), of (p - y)^T f with p - y held fixed
    loss_hessian: np.ndarray  # (b, c, c)


def _derivatives(model: Callable, loss_of: TaylorLoss, x: np.ndarray, y: np.ndarray) -> _Derivatives:
    x, y = tf.constant(x), tf.constant(y)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(x)
            raw = ask(model, x)
            residual = tf.stop_gradient(loss_of.mean(raw) - tf.cast(y, raw.dtype))
            slope = residual * raw
        gradient = inner.gradient(slope, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    hessian = outer.batch_jacobian(gradient, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    jacobian = inner.batch_jacobian(raw, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    outputs = tf.cast(raw, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        means = loss_of.mean(outputs)
    loss_hessian = tape.batch_jacobian(means, outputs)
    size, d = len(x), int(np.prod(x.shape[1:]))
    shapes = ((size,), outputs.shape, (size, -1, d), (size, d, d), loss_hessian.shape)
    values = (loss_of.value(y, outputs), outputs, jacobian, hessian, loss_hessian)
    return _Derivatives(*(v.numpy().astype(np.float64).reshape(s) for v, s in zip(values, shapes, strict=True)))


def _terms(loss_of: TaylorLoss, spread: _Spread, rows: np.ndarray, at: _Derivatives) -> tuple[np.ndarray, ...]:
    """base, r1 + r3 by eq. (33), r2, r3, r4 of each row."""
    moments, own_x, own_y = spread.moments, spread.x[rows], spread.y[rows]
    common, own = moments.gamma_squared, moments.variance

    def curvature(directions: np.ndarray) -> np.ndarray:
        outputs = tf.constant(at.outputs[:, np.newaxis])
        return loss_of.curvature(outputs, tf.constant(directions)).numpy().sum(axis=1)

    along_axes = np.einsum("bcd,rd->brc", at.jacobian, spread.axes)
    along_own = np.einsum("bcd,bd->bc", at.jacobian, own_x)
    quadratic = common * curvature(along_axes) + own * curvature(along_own[:, np.newaxis])
    covariance_yx = spread.y.T @ spread.x / len(spread.x)
    cross = common * np.einsum("cd,bcd->b", covariance_yx, at.jacobian) + own * (own_y * along_own).sum(axis=1)
    bend = common * np.einsum("rd,bde,re->b", spread.axes, at.hessian, spread.axes, optimize=True)
    bend += own * np.einsum("bd,bde,be->b", own_x, at.hessian, own_x, optimize=True)
    inverse = np.linalg.pinv(at.loss_hessian, rcond=1e-14, hermitian=True)
    r3 = -0.5 * np.einsum("bce,bec->b", spread.explained(rows), inverse)
    size_y = common * np.square(spread.y).sum() / len(spread.y) + own * np.square(own_y).sum(axis=1)
    return at.base, 0.5 * quadratic - cross, 0.5 * bend, r3, 0.5 * loss_of.target_curvature * size_y


def asked(model: Callable, x: np.ndarray) -> tf.Tensor:
    """What the model answers, in float64."""
    return tf.cast(ask(model, tf.constant(x)), tf.float64)


def checked_risk(
    model: Callable, x: Any, y: Any, alpha: float, loss: str
) -> tuple[np.ndarray, np.ndarray, TaylorLoss]:
    """Features, targets as the loss takes them, and the loss.

    Raises:
        TypeError, ValueError: for what `mixup_risk` refuses.
    """
    _checks.number("alpha", alpha)
    loss = _checks.choice("loss", loss, tuple(LOSSES))
    x = for_model(x, y)
    return x, targets_of(y, one_output(model, x), loss), LOSSES[loss]


def _mixed(values: np.ndarray, i: np.ndarray, j: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    ratio = ratio.reshape(-1, *[1] * (values.ndim - 1))
    return (ratio * values[i] + (1 - ratio) * values[j]).astype(values.dtype)


def _blocks(count: int, size: int) -> Iterator[np.ndarray]:
    size = max(1, size)
    return (np.arange(start, min(start + size, count)) for start in range(0, count, size))
