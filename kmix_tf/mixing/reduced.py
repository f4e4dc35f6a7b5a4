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
        return sides._replace(to_match=_AUTO) if match_at == AUTO and pairing.by_distance else sides
    if decisions.needs_distances:
        first = match_at(sides.first)
        return sides._replace(first=first, second=first if sides.is_one else match_at(sides.second))
    return sides if pairing.by_distance is False else sides._replace(to_match=match_at)
