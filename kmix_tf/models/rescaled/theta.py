"""How far a model's training mixed: theta, from an alpha, a ratio, a mix layer, or the model itself."""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

from kmix_tf import _checks
from kmix_tf.blend import LinearBlend
from kmix_tf.layers import MixLayer
from kmix_tf.maths.theta import ThetaMoments, theta_moments, theta_moments_sampled
from kmix_tf.models.mixing import MixModel
from kmix_tf.ratio import BetaRatio, DistributionRatio

RULE = "a number, a mix layer, a ratio such as BetaRatio(0.5), or ThetaMoments"


class Mixed(NamedTuple):
    """alpha: of Beta(alpha, alpha), or None for another distribution. theta: its moments. untouched: names of
    features that were not mixed."""

    alpha: float | None
    theta: ThetaMoments
    untouched: tuple[str, ...] = ()


def mixed_as(alpha: Any, model: Any) -> Mixed:
    """What `alpha` says, or where it is None, what the mix layer within the model says.

    Raises:
        TypeError, ValueError: if it says nothing that can be understood.

    Warns:
        UserWarning: if both are known and differ.
    """
    layers = list(_mix_layers(model))
    if alpha is None:
        if not layers:
            _checks.refuse("alpha", f"{RULE}, for the model holds no mix layer to take it from", alpha)
        alpha = layers[0]
    mixed = _understood(alpha)
    for layer in layers:
        if layer is not alpha:
            _warn_if_different(mixed, layer)
    return mixed


def _understood(alpha: Any) -> Mixed:
    if isinstance(alpha, MixLayer):
        return _of_layer(alpha)
    if isinstance(alpha, BetaRatio):
        return _understood(alpha.alpha)
    if isinstance(alpha, DistributionRatio):
        return Mixed(None, theta_moments_sampled(alpha.sample))
    if isinstance(alpha, ThetaMoments):
        return Mixed(None, _checked_moments(alpha))
    if callable(alpha) or isinstance(alpha, (str, tuple, list, dict)):
        _checks.refuse("alpha", f"{RULE}. Of other ratios, give theta_moments_of(density)", alpha, TypeError)
    alpha = _checks.number("alpha", alpha)
    return Mixed(alpha, theta_moments(alpha))


def _of_layer(layer: MixLayer) -> Mixed:
    learnt = layer.matched_alpha
    mixed = _understood(layer.ratio if learnt is None else learnt)
    if not isinstance(layer.blend, LinearBlend):
        _warn(f"eq. (22) is derived for linear mixing; the layer's blend is a {layer.blend.shown}")
    if layer.schedule is not None:
        _warn("the layer's schedule is not taken into account: theta is that of its mixed batches")
    if layer.probability != 1:
        mixed = Mixed(None, _thinned(mixed.theta, layer.probability))
    return mixed._replace(untouched=(*layer.passthrough, *layer.masks))


def _thinned(theta: ThetaMoments, probability: float) -> ThetaMoments:
    """Of batches that are mixed with a probability, and else have theta 1."""
    smaller, gamma_squared = probability * (1 - theta.mean), probability * theta.gamma_squared
    return ThetaMoments(1 - smaller, gamma_squared - smaller**2, gamma_squared)


def _checked_moments(theta: ThetaMoments) -> ThetaMoments:
    mean, variance, gamma_squared = (_checks.number(f"alpha.{name}", v) for name, v in theta._asdict().items())
    if not 0.5 <= mean <= 1 or abs(variance + (1 - mean) ** 2 - gamma_squared) > 1e-6:
        _checks.refuse("alpha", "such ThetaMoments as theta_moments_of gives", theta)
    return ThetaMoments(mean, variance, gamma_squared)


def _mix_layers(model: Any) -> Iterator[MixLayer]:
    """The mix layers that a model was trained through: of a MixModel, or among its layers."""
    if isinstance(model, MixModel):
        yield model.layer
        yield from _mix_layers(model.model)
    elif isinstance(model, MixLayer):
        yield model
    elif isinstance(model, keras.Model):
        for layer in model.layers:
            yield from _mix_layers(layer)


def _warn_if_different(mixed: Mixed, layer: MixLayer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what else is to be known of the layer
        other = _of_layer(layer)
    # Sampled moments have errors of their own.
    tolerance = 2e-3 if mixed.alpha is None or other.alpha is None else 1e-6
    if abs(other.theta.mean - mixed.theta.mean) > tolerance:
        _warn(
            f"alpha should be that of the mix the model was trained with. Received: {_said(mixed)}; the model's "
            f"{type(layer).__name__} has {_said(other)}",
        )


def _said(mixed: Mixed) -> str:
    text = f"theta_bar={mixed.theta.mean:.6g}"
    return text if mixed.alpha is None else f"alpha={mixed.alpha:g} ({text})"


def _warn(message: str) -> None:
    warnings.warn(f"{_checks.speaker()}: {message}.", UserWarning, stacklevel=6)
