"""The numbers that Puzzle Mix goes by, checked."""

from typing import Any, NamedTuple

from kmix_tf import _checks
from kmix_tf.pairing.matching import SOLVERS

# Masks of more blocks have better answers than a graph of all of them.
MOST_BLOCKS = 64
MOST_LABELS = 17


class PuzzleSettings(NamedTuple):
    """The arguments of `PuzzleMixBlend`, but for the saliency."""

    axes: int
    blocks: int | None
    n_labels: int
    beta: float
    gamma: float
    eta: float
    neigh_size: int
    transport: bool
    t_eps: float
    transport_blocks: int
    value_range: tuple[float, float] | None
    solver: str


def checked_settings(**given: Any) -> PuzzleSettings:
    """Settings that make sense, or an error that names the argument that does not."""
    integers = {"axes": (1, 2), "n_labels": (2, MOST_LABELS), "neigh_size": (1, None)}
    integers["transport_blocks"] = (1, MOST_BLOCKS)
    if given["blocks"] is not None:
        integers["blocks"] = (2, MOST_BLOCKS)
    for name, (least, most) in integers.items():
        given[name] = _checks.integer(name, given[name], minimum=least)
        if most is not None and given[name] > most:
            _checks.refuse(name, f"an integer from {least} to {most}", given[name])
    for name in ("beta", "gamma", "eta", "t_eps"):
        given[name] = _checks.number(name, given[name])
    given["transport"] = _checks.flag("transport", given["transport"])
    given["solver"] = _checks.choice("solver", given["solver"], SOLVERS)
    given["value_range"] = _checked_range(given["value_range"])
    return PuzzleSettings(**given)


def _checked_range(value_range: Any) -> tuple[float, float] | None:
    if value_range is None:
        return None
    is_pair = isinstance(value_range, (list, tuple)) and len(value_range) == 2
    if not is_pair:
        _checks.refuse("value_range", "a pair of numbers (least, greatest), or None", value_range)
    low, high = (_checks.number("value_range", end, minimum=-float("inf")) for end in value_range)
    if not low < high:
        _checks.refuse("value_range", "a pair of numbers (least, greatest), or None", value_range)
    return low, high
