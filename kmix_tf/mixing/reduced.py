"""Where features are made smaller: for the pairing alone, or for all that measures distances."""

from kmix_tf.mixing.draw import Decisions, Sides
from kmix_tf.reduction.auto import AutoPooled
from kmix_tf.reduction.base import AUTO, Reduction

_AUTO = AutoPooled()


def reduced(sides: Sides, match_at: str | Reduction, decisions: Decisions) -> Sides:
    """Sides as `match_at` says; nothing is made of features that no decision measures.

    "auto" is for pairings that say they go by distances, and changes none that ratios and weights are told. A
    reduction that the user names is for all of them.
    """
    pairing = decisions.pairing
    if isinstance(match_at, str):
        is_auto = match_at == AUTO and pairing.by_distance and _AUTO.is_for(sides.first)
        return sides._replace(match_at=_AUTO) if is_auto else sides
    if decisions.needs_distances:
        return sides.reduced(match_at)
    return sides if pairing.by_distance is False else sides._replace(match_at=match_at)
