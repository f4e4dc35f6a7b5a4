"""Checks of arguments, each with an error that says who, what was received and what would be right.

Errors begin with the name of the layer, class or function that the user wrote. It is not handed from function to
function: whoever is called from outside says its name once, by `speaks` or `speaking_as`, and keeps the word while
it calls others.
"""

import contextvars
import functools
import inspect
import math
import numbers
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# How far from 1 a row of probabilities may sum: half precision rounds each of many classes, and on the way to them,
# otherwise on every processor. What the checks are there to find, logits and labels of many classes, is far off.
SUM_TOLERANCE = 1e-2

_NOBODY = "kmix_tf"
_speaker: contextvars.ContextVar[str] = contextvars.ContextVar("kmix_tf_speaker", default=_NOBODY)

# Whose name errors begin with now.
speaker = _speaker.get


class speaking_as:
    """Within it, errors begin with this name; unless somebody speaks already, whom the user knows better.

    Args:
        who: a name, or an object, which speaks by the name of its class.
        anew: True to take the word from whoever has it, for what the user made: a saliency source, say.
    """

    def __init__(self, who: Any, anew: bool = False):
        self._name = who if isinstance(who, str) else type(who).__name__
        self._anew = anew

    def __enter__(self) -> None:
        self._before = _speaker.set(self._name if self._anew or speaker() == _NOBODY else speaker())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _speaker.reset(self._before)


def speaks(function: Callable[P, R], anew: bool = False) -> Callable[P, R]:
    """Makes a function speak by its own name, and a method by the name of its object's class.

    anew: as in `speaking_as`.
    """
    is_method = "." in function.__qualname__.rpartition("<locals>.")[2]

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with speaking_as(args[0] if is_method else function.__name__, anew):
            return function(*args, **kwargs)

    # Keras asks for the arguments of `__init__` without looking through wrappers.
    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call


def speaks_anew(function: Callable[P, R]) -> Callable[P, R]:
    """`speaks`, also where somebody speaks already: for parts of a mix that the user wrote by name."""
    return speaks(function, anew=True)


def problem(text: str, error: type[Exception] = ValueError) -> Exception:
    """An error that begins with the speaker's name: `raise problem(...)`."""
    return unadorned(error(f"{speaker()}: {text}"))


def unadorned(error: Exception) -> Exception:
    """An error of which Keras takes its list of arguments to have been added: it would stand before the message."""
    error._keras_call_info_injected = True  # type: ignore[attr-defined]
    return error


def refuse(name: str, rule: str, value: Any, error: type[Exception] = ValueError) -> NoReturn:
    """Raises `error`, which says what was received and what would be right."""
    raise problem(f"{name} must be {rule}. Received: {name}={_shown(value)}.", error)


def _shown(value: Any) -> str:
    """Arrays and tensors by their shape: their numbers would bury the message."""
    shape = getattr(value, "shape", ())
    return repr(value) if shape == () else f"<{type(value).__name__} of shape {shape}>"


def integer(name: str, value: Any, minimum: int) -> int:
    """An integer of at least `minimum`, also NumPy's; booleans are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        refuse(name, f"an integer >= {minimum}", value)
    return int(value)


def number(name: str, value: Any, minimum: float = 0.0) -> float:
    """A finite real number of at least `minimum`, as a float."""
    if not _is_real(value) or not math.isfinite(value) or value < minimum:
        refuse(name, f">= {minimum:g} and finite", value)
    return float(value)


def positive(name: str, value: Any) -> float:
    """A finite real number above 0, as a float."""
    if not _is_real(value) or not 0 < value < math.inf:
        refuse(name, "> 0 and finite", value)
    return float(value)


def probability(name: str, value: Any) -> float:
    """A number in [0, 1], as a float."""
    if not _is_real(value) or not 0 <= value <= 1:
        refuse(name, "in [0, 1]", value)
    return float(value)


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def axes(value: Any) -> int:
    """How many axes an image has: 1 for signals, 2 for images, 3 for volumes."""
    if integer("axes", value, minimum=1) > 3:
        refuse("axes", "1, 2 or 3", value)
    return int(value)


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """One of several strings."""
    if not isinstance(value, str) or value not in options:
        refuse(name, "one of " + ", ".join(map(repr, options)), value)
    return value


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        refuse(name, "True or False", value)
    return value


def function(name: str, value: Any, default: Any = None) -> Any:
    """Something that can be called, or the default where it is None."""
    if value is None:
        return default
    if not callable(value):
        refuse(name, "callable", value, TypeError)
    return value
