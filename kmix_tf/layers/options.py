"""What a mix layer asks of its options, beyond what each decision asks of its own."""

import difflib
import numbers
from collections.abc import Mapping
from typing import Any, NoReturn, TypedDict

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch.door import require_order
from kmix_tf.blend import BlendStrategy
from kmix_tf.decision import arguments_of, require_arguments
from kmix_tf.layers.adaptation import Adaptation
from kmix_tf.pairing import PairingStrategy, RandomPairing
from kmix_tf.ratio import BetaRatio, RatioStrategy
from kmix_tf.reduction.base import FULL


class KerasOptions(TypedDict, total=False):
    """What Keras' own layers take besides."""

    name: str | None
    dtype: Any
    trainable: bool


_KERAS = ("name", "dtype", "trainable")

_NO_PAIRS, _NO_DISTANCES = "so there are no pairs to match", "so no distances of pairs are measured"
_OWN_SHARES = "and its own shares of each, one mixture for each row of the batch"
GATHERS = "a blend that gathers samples itself mixes any number of them, "
# What has no meaning beside a blend that gathers its samples itself, and why not.
OF_PAIRS = {
    "pairing": _NO_PAIRS,
    "k": _NO_PAIRS,
    "cost": _NO_PAIRS,
    "solver": "by a solver of its own on the host",
    "ratio": _OWN_SHARES,
    "interpolations": _OWN_SHARES,
    "scope": _OWN_SHARES,
    "weight": "so there is no distance of a pair to weigh it by",
    "label_shares": "so labels have no two shares for a rule to change",
    "match_on": _NO_DISTANCES,
    "embedding": _NO_DISTANCES,
    "match_at": _NO_DISTANCES,
    "adapted": _NO_DISTANCES,
    "targets": "and has no two targets to pack",
    "bounding_box_format": "of which no boxes are cut out",
    "box_visibility": "of which no boxes are cut out",
    "box_weights": "of which no boxes are cut out",
}


def checked_keras_options(cls: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is left for Keras' own layer.

    Raises:
        TypeError: for an option that a preset makes of others, or one that there is not.
    """
    for name in given:
        if name in _KERAS:
            continue
        if name in getattr(cls, "without", {}):
            _refuse_without(f"{cls.why_without}{cls.without[name]}", name, given[name])
        own = arguments_of(cls)
        if name in getattr(cls, "made_of", {}):
            raise _checks.problem(
                f"{name} is made of {cls.made_of[name]}. Received: {name}={given[name]!r}. Give those; or all four "
                "decisions to MixLayer(pairing, ratio, blend, weight).",
                TypeError,
            )
        near = difflib.get_close_matches(name, own, n=1)
        hint = f" Is {near[0]} meant?" if near else f" There are: {', '.join(own)}."
        raise _checks.problem(f"there is no such option. Received: {name}={given[name]!r}.{hint}", TypeError)
    return dict(given)


def checked_callable(name: str, value: Any, signature: str) -> Any:
    """Something that can be called with one argument, or None.

    Raises:
        TypeError: for anything else, also a class instead of an object of it.
    """
    if isinstance(value, type):
        _checks.refuse(name, f"an object: with brackets, {value.__name__}(...)", value, TypeError)
    if _checks.function(name, value) is not None:
        require_arguments(name, value, signature, told=1)
    return value


def checked_adapted(adapted: Any) -> dict[str, Any]:
    """What `adapt` learnt, as `get_config` gave it; nothing, of None.

    Raises:
        ValueError: for anything else.
    """
    if adapted is None:
        return {}
    is_known = isinstance(adapted, Mapping) and all(key in arguments_of(Adaptation) for key in adapted)
    besides = [adapted[key] for key in adapted if key != "scales"] if is_known else []
    if not is_known or not all(map(_is_number, besides)) or not _are_scales(adapted.get("scales")):
        rule = "None, or what get_config() of a layer gave that was adapted: {'scales': [[...]], 'alpha': ...}"
        _checks.refuse("adapted", rule, adapted)
    return dict(adapted)


def _is_number(value: Any) -> bool:
    """Whether it is a finite number >= 0, or None."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return value is None or (is_real and 0 <= float(value) < float("inf"))


def _are_scales(scales: Any) -> bool:
    """Whether they are a list of factors for each leaf, or None."""
    if scales is None:
        return True
    are_lists = isinstance(scales, (list, tuple)) and all(isinstance(each, (list, tuple)) for each in scales)
    return are_lists and all(value is not None and _is_number(value) for each in scales for value in each)


def checked_classes(num_classes: Any) -> Any:
    """Integers of at least 2, or None, in any structure; NumPy integers become plain ones."""
    require_order("num_classes", num_classes)
    return tf.nest.map_structure(
        lambda count: None if count is None else _checks.integer("num_classes", count, minimum=2), num_classes
    )


def require_counts_that_fit(pairing: PairingStrategy, ratio: RatioStrategy) -> None:
    """Refuses several partners and several ratios of each sample that are not as many."""
    times, interpolations = pairing.mixtures, ratio.mixtures
    if times is not None and interpolations not in (None, 1, times):
        _checks.refuse("interpolations", f"1 or {times}, as many as the pairing's times", interpolations)


def require_pairs(pairing: PairingStrategy, **told: Any) -> None:
    """Refuses decisions that are one for both samples of a pair, where pairs are not mutual."""
    for name, decision in told.items():
        if decision.by_pair and not pairing.mutual:
            raise _checks.problem(
                f"pairing must be mutual for a {name} with scope='pair'. Received: {pairing.shown}, which is not. "
                "Give RandomPairing(mutual=True) or OptimalTransportPairing(k, mutual=True); a pairing of your own "
                "declares mutual = True."
            )


def require_nothing_else(layer: Any) -> None:
    """Refuses, of a blend that gathers its samples itself, whatever else would have a say in who and how much.

    Args:
        layer: a mix layer whose options are set.
    """
    if not layer.blend.gathers:
        return
    for name in ("pairing", "ratio", "weight", "label_shares", "match_on", "embedding", "match_at", "targets"):
        value = getattr(layer, name)
        if _has_a_say(name, value):
            _refuse_of_pairs(name, value, f"{layer.blend.shown} with ")


def _refuse_of_pairs(name: str, value: Any, beside: str) -> NoReturn:
    _refuse_without(f"{GATHERS}{OF_PAIRS[name]}", name, value, beside)


def _refuse_without(why: str, name: str, value: Any, beside: str = "") -> NoReturn:
    shown = getattr(value, "shown", repr(value))
    raise _checks.problem(f"{why}. Received: {beside}{name}={shown}. Leave it out.")


def _has_a_say(name: str, value: Any) -> bool:
    """Whether an option is another than the default; of decisions, one that can say anything else."""
    if name == "pairing":
        return type(value) is not RandomPairing or value.with_itself or value.mutual
    if name == "ratio":
        return type(value) is not BetaRatio or value.get_config() != BetaRatio().get_config()
    if name == "weight":
        return not value.counts_alike
    if name == "match_at":
        return value != FULL
    return value == "packed" if name == "targets" else bool(value)


def require_one_batch(blend: BlendStrategy) -> None:
    """Refuses two loaders for a blend that gathers samples of one batch."""
    if blend.gathers:
        raise _checks.problem(
            f"a blend that gathers samples itself takes them of one batch. Received: {blend.shown} and two loaders. "
            "Join the loaders' batches first, and call the layer."
        )


def scope_of_what_is_drawn(scope: str) -> str:
    """Who shares a box or a mask, in a preset: both samples of a pair, or nobody."""
    return "pair" if is_of_pairs(scope) else "sample"


def is_of_pairs(scope: Any) -> bool:
    """Whether ratios are to be one for both samples of a pair. What is no scope is refused where it is kept."""
    return isinstance(scope, str) and scope == "pair"


def option_of(part: str, name: str) -> Any:
    """An option of a preset, read where it is kept: in the decision that was made of it."""
    return property(lambda layer: getattr(getattr(layer, part), name), doc=f"{name}, an option of the {part}.")
