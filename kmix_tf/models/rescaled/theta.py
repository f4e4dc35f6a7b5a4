"""How far a model's training mixed: theta, from an alpha, a ratio, a mix layer, or the model itself."""

import math
import warnings
from typing import Any, NamedTuple

from kmix_tf import _checks
from kmix_tf.layers import ChoiceLayer, Stage
from kmix_tf.maths.theta import ThetaMoments, theta_moments, theta_moments_sampled
from kmix_tf.models.rescaled.measured import MEASURED, ThetaOf
from kmix_tf.models.rescaled.slopes import MeasuredTheta
from kmix_tf.models.rescaled.training import Training, trained_through
from kmix_tf.ratio import BetaRatio, DistributionRatio

RULE = "a number, a mix layer, a ratio such as BetaRatio(0.5), or ThetaMoments"


class Mixed(NamedTuple):
    """alpha: of Beta(alpha, alpha), or None for another distribution. theta: its moments. untouched: names of
    features that were not mixed. masks: of those that say which elements are there."""

    alpha: float | None
    theta: ThetaMoments
    untouched: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()


# Of ratios of which only the user knows theta, or where it need not be known.
_UNKNOWN = Mixed(None, ThetaMoments(math.nan, math.nan, math.nan))


def theta_told(alpha: Any, model: Any, theta: Any = None) -> tuple[Mixed, ThetaOf]:
    """What `alpha` says, or where it is None, what the mix within the model says; and what to do about theta.

    Args:
        theta: None, for the exact one; "measured"; or `MeasuredTheta`, of what was measured before.

    Raises:
        TypeError, ValueError: if it says nothing that can be understood, or measured.

    Warns:
        UserWarning: as `mixed_as`; where it is to be measured, only for what measuring does not cover.
    """
    if isinstance(theta, MeasuredTheta):
        return (_UNKNOWN if alpha is None else _understood(alpha)), ThetaOf(None, theta)
    if theta is None:
        return mixed_as(alpha, model), ThetaOf(None, None)
    _checks.choice("theta", theta, (MEASURED,))
    training = _to_measure(alpha, list(trained_through(model)))
    return _if_known(training), ThetaOf(training, None)


def _to_measure(alpha: Any, held: list[Training]) -> Training:
    """The training whose mixtures can be measured, if there is one."""
    told = _told(alpha, held) if alpha is not None else next(iter(held), None)
    if told is None or not isinstance(told.source, Stage):
        rule = "the mix layer that the model was trained with, where theta='measured', which is of its mixtures"
        _checks.refuse("alpha", f"{rule}; else leave theta out", alpha)
    hidden = sorted({name for training in [told, *held] for name in training.hidden})
    if hidden:
        raise _checks.problem(
            "theta='measured' looks at mixtures of inputs, and needs a model that was trained on these. Received: "
            f"one whose hidden layers {', '.join(map(repr, hidden))} were mixed. Leave theta out, and compare by "
            "evaluate_both; or do without."
        )
    for training in held:
        if training is not told:
            _warn_if_different(_if_known(told), training)
    if told.source.is_scheduled and told.step is None:
        _warn(
            "the layer's schedule is not taken into account: theta is that of its mixed batches. A MixModel that was "
            "trained knows its last step, at which the schedule counts"
        )
    return told


def _if_known(training: Training) -> Mixed:
    """What can be known without measuring."""
    try:
        return _of_training(training)
    except TypeError:
        layer = training.source.members()[0]
        return _UNKNOWN._replace(untouched=tuple(layer.passthrough), masks=tuple(layer.masks))


def mixed_as(alpha: Any, model: Any) -> Mixed:
    """What `alpha` says, or where it is None, what the mix within the model says.

    Raises:
        TypeError, ValueError: if it says nothing that can be understood.

    Warns:
        UserWarning: if both are known and differ; for what eq. (22) does not hold for in either.
    """
    held = list(trained_through(model))
    if alpha is None and not held:
        _checks.refuse("alpha", f"{RULE}, for the model holds no mix layer to take it from", alpha)
    told = held[0] if alpha is None else _told(alpha, held)
    mixed = _understood(alpha) if told is None else _of_training(told)
    known = [*held, *([] if told is None or told in held else [told])]
    for doubt in dict.fromkeys(doubt for training in known for doubt in training.doubts):
        _warn(doubt)
    if told is not None and getattr(told.source, "is_scheduled", False):
        _warn("the layer's schedule is not taken into account: theta is that of its mixed batches")
    for training in held:
        if training is not told:
            _warn_if_different(mixed, training)
    return mixed


def _told(alpha: Any, held: list[Training]) -> Training | None:
    """The training that a mix layer given as `alpha` means, which may be the model's own."""
    if not isinstance(alpha, Stage):
        return None
    return next((training for training in held if training.source is alpha), Training(alpha))


def _of_training(training: Training) -> Mixed:
    if not isinstance(training.source, Stage):
        return _understood(training.source.alpha)
    mixed = _of_layer(training.source)
    if not training.clean_weight:
        return mixed
    # The loss on mixtures and so much of that on the batch itself is that of batches mixed with this probability.
    return mixed._replace(alpha=None, theta=_thinned(mixed.theta, 1 / (1 + training.clean_weight)))


def _understood(alpha: Any) -> Mixed:
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


def _of_layer(layer: Any) -> Mixed:
    if isinstance(layer, ChoiceLayer):
        return _of_choice(layer)
    if layer.blend.gathers:
        raise _checks.problem(
            f"alpha is for mixtures of two samples. Received: {layer.blend.shown}, which gathers any number of them. "
            "Give theta='measured' with the layer.",
            TypeError,
        )
    learnt = layer.matched_alpha
    mixed = _understood(layer.ratio if learnt is None else learnt)
    if layer.probability != 1:
        mixed = Mixed(None, _thinned(mixed.theta, layer.probability))
    return mixed._replace(untouched=tuple(layer.passthrough), masks=tuple(layer.masks))


def _of_choice(choice: ChoiceLayer) -> Mixed:
    """Of batches, or samples, that are mixed by one of several layers: theta has the mixture of their laws."""
    parts = [(_of_layer(layer), share) for layer, share in choice.shares]
    first, total = parts[0][0], sum(share for _, share in parts)
    if total > 1 - 1e-9 and first.alpha is not None and all(part.alpha == first.alpha for part, _ in parts):
        return first
    smaller = sum(share * (1 - part.theta.mean) for part, share in parts)
    gamma_squared = sum(share * part.theta.gamma_squared for part, share in parts)
    return Mixed(None, ThetaMoments(1 - smaller, gamma_squared - smaller**2, gamma_squared), first.untouched)


def _thinned(theta: ThetaMoments, probability: float) -> ThetaMoments:
    """Of batches that are mixed with a probability, and else have theta 1."""
    smaller, gamma_squared = probability * (1 - theta.mean), probability * theta.gamma_squared
    return ThetaMoments(1 - smaller, gamma_squared - smaller**2, gamma_squared)


def _checked_moments(theta: ThetaMoments) -> ThetaMoments:
    mean, variance, gamma_squared = (_checks.number(f"alpha.{name}", v) for name, v in theta._asdict().items())
    if not 0.5 <= mean <= 1 or abs(variance + (1 - mean) ** 2 - gamma_squared) > 1e-6:
        _checks.refuse("alpha", "such ThetaMoments as theta_moments_of gives", theta)
    return ThetaMoments(mean, variance, gamma_squared)


def _warn_if_different(mixed: Mixed, training: Training) -> None:
    try:
        other = _of_training(training)
    except TypeError:
        return  # A ratio of the user's own, of which only the user knows theta.
    # Sampled moments have errors of their own.
    tolerance = 2e-3 if mixed.alpha is None or other.alpha is None else 1e-6
    # Where one is not known, it is NaN, which differs from nothing.
    if abs(other.theta.mean - mixed.theta.mean) > tolerance:
        _warn(
            f"alpha should be that of the mix the model was trained with. Received: {_said(mixed)}; the model's "
            f"{type(training.source).__name__} has {_said(other)}",
        )


def _said(mixed: Mixed) -> str:
    text = f"theta_bar={mixed.theta.mean:.6g}"
    return text if mixed.alpha is None else f"alpha={mixed.alpha:g} ({text})"


def _warn(message: str) -> None:
    warnings.warn(f"{_checks.speaker()}: {message}.", UserWarning, stacklevel=6)
