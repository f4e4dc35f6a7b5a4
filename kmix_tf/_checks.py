"""Checks of arguments, each with an error that says who, what was received and what would be right."""

import contextlib
import math
import numbers
from collections.abc import Iterator, Sequence
from typing import Any

# How far from 1 a row of probabilities may sum: half precision rounds each of many classes, and on the way to them,
# otherwise on every processor. What the checks are there to find, logits and labels of many classes, is far off.
SUM_TOLERANCE = 1e-2


def refuse(owner: str, name: str, rule: str, value: Any, error: type[Exception] = ValueError) -> None:
    """Raises `error`, which says what was received and what would be right."""
    complain(owner, f"{name} must be {rule}. Received: {name}={_shown(value)}.", error)


def _shown(value: Any) -> str:
    """Arrays and tensors by their shape: their numbers would bury the message."""
    shape = getattr(value, "shape", ())
    return repr(value) if shape == () else f"<{type(value).__name__} of shape {shape}>"


def complain(owner: str, text: str, error: type[Exception] = ValueError) -> None:
    """Raises `error`, remembering its text so that `speaking_as` can name another owner."""
    problem = error(f"{owner}: {text}")
    problem.kmix_owner, problem.kmix_text = owner, text
    raise problem


@contextlib.contextmanager
def speaking_as(owner: str, *parts: str) -> Iterator[None]:
    """Lets a refusal inside the block name `owner`: users know the layer they wrote, not its parts.

    parts: those whose refusals are meant; default, any.
    """
    try:
        yield
    except (TypeError, ValueError) as problem:
        if not hasattr(problem, "kmix_text") or (parts and problem.kmix_owner not in parts):
            raise
        named = problem
    else:
        return
    complain(owner, named.kmix_text, type(named))


def integer(owner: str, name: str, value: Any, minimum: int) -> int:
    """An integer of at least `minimum`, also NumPy's; booleans are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        refuse(owner, name, f"an integer >= {minimum}", value)
    return int(value)


def number(owner: str, name: str, value: Any, minimum: float = 0.0) -> float:
    """A finite real number of at least `minimum`, as a float."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < minimum:
        refuse(owner, name, f">= {minimum:g} and finite", value)
    return float(value)


def positive(owner: str, name: str, value: Any) -> float:
    """A finite real number above 0, as a float."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        refuse(owner, name, "> 0 and finite", value)
    return float(value)


def choice(owner: str, name: str, value: Any, options: Sequence[str]) -> str:
    """One of several strings."""
    if not isinstance(value, str) or value not in options:
        refuse(owner, name, "one of " + ", ".join(map(repr, options)), value)
    return value


def flag(owner: str, name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        refuse(owner, name, "True or False", value)
    return value


def probability(owner: str, name: str, value: Any) -> float:
    """A number in [0, 1], as a float."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        refuse(owner, name, "in [0, 1]", value)
    return float(value)


def function(owner: str, name: str, value: Any, default: Any = None) -> Any:
    """Something that can be called, or the default where it is None."""
    if value is None:
        return default
    if not callable(value):
        refuse(owner, name, "callable", value, TypeError)
    return value
