"""What has another name now, or will be gone: users are warned for two minor versions.

A name, argument or attribute that is deprecated since 0.2.0 still works in 0.2 and 0.3, with a `FutureWarning` that
says what to write instead, and is gone in 0.4.0. A FutureWarning, because Python hides DeprecationWarnings of code
that is imported, where users would not see them; scikit-learn does the same. It names the line that the user
wrote, so that Python shows it once for each such line. Whatever warns has a `Notice`, and a test fails when one has
outlived its time.

Files are another matter: nobody can change what was saved. Old names in configurations are read without a warning,
and stay so for ever: see `as_now` and `known_once_as`.
"""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any, NamedTuple, TypeVar

import keras

T = TypeVar("T", bound=Callable)

MINOR_VERSIONS = 2

# Frames of these are not the user's line.
_NOT_USERS = ("kmix_tf", "keras", "tf_keras", "tensorflow", "functools", "importlib")
_PACKAGE = "kmix_tf"


class Notice(NamedTuple):
    """what: it, with the name of what it belongs to. since: the version that warns first. instead: a sentence that
    says what to write."""

    what: str
    since: str
    instead: str

    @property
    def removed_in(self) -> str:
        """The version that will not have it."""
        major, minor = version_of(self.since)
        return f"{major}.{minor + MINOR_VERSIONS}.0"

    @property
    def text(self) -> str:
        return f"{self.what} is deprecated since {self.since}, and {self._end}"

    @property
    def line(self) -> str:
        """The line of a docstring."""
        return f"Deprecated since {self.since}: it {self._end}"

    @property
    def _end(self) -> str:
        return f"will be gone in {self.removed_in}. {self.instead}"


# Every notice there is, in the order in which modules are imported.
NOTICES: list[Notice] = []


def version_of(text: str) -> tuple[int, int]:
    """Major and minor number of a version."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def overdue(version: str, notices: Iterable[Notice]) -> list[Notice]:
    """Those that this version was not to have any more."""
    return [each for each in notices if version_of(version) >= version_of(each.removed_in)]


def notice(what: str, since: str, instead: str) -> Notice:
    """A notice that is kept in the list of all."""
    NOTICES.append(Notice(what, since, instead))
    return NOTICES[-1]


def warn(of: Notice) -> None:
    """Warns of it, at the line of the user who wrote it."""
    warnings.warn(of.text, FutureWarning, stacklevel=_depth_of_the_user())


def _depth_of_the_user() -> int:
    """How far up from `warn` the first frame is that is not of a library; of none, the last."""
    frame: FrameType | None = sys._getframe(2)
    depth = 2
    while frame is not None and _is_of_a_library(frame):
        frame, depth = frame.f_back, depth + 1
    return depth if frame is not None else depth - 1


def _is_of_a_library(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_USERS


def deprecated(since: str, instead: str) -> Callable[[T], T]:
    """Of a function, or of a class where an object of it is made. `instead` is a sentence: "Write `mix` instead." """

    def decorate(it: T) -> T:
        told = notice(it.__name__, since, instead)
        if isinstance(it, type):
            init = it.__init__  # type: ignore[misc]
            it.__init__ = _warning(init, told)  # type: ignore[misc]
            _add_line(it, told)
            return it
        made: Any = _warning(it, told)
        _add_line(made, told)
        return made

    return decorate


def renamed_argument(old: str, new: str, since: str) -> Callable[[T], T]:
    """Of a function, or of a class's `__init__`: what is given by the old name goes to the new one.

    Raises, when called:
        TypeError: if both are given.
    """

    def decorate(function: T) -> T:
        who = _owner(function)
        told = notice(f"{who}: the argument {old}", since, f"Write {new} instead.")

        @_like(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if old not in kwargs:
                return function(*args, **kwargs)
            if _is_given(function, new, args, kwargs):
                raise TypeError(f"{who}: {new} must be given once. Received: {new} and {old}, its name of before.")
            warn(told)
            kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def deprecated_argument(name: str, since: str, instead: str) -> Callable[[T], T]:
    """Of a function, or of a class's `__init__`, that goes on taking the argument. `instead` is a sentence."""

    def decorate(function: T) -> T:
        told = notice(f"{_owner(function)}: the argument {name}", since, instead)

        @_like(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if _is_given(function, name, args, kwargs):
                warn(told)
            return function(*args, **kwargs)

        return call

    return decorate


def renamed(module: str, since: str, **names: str) -> Callable[[str], Any]:
    """A module's `__getattr__`, for names of before: `__getattr__ = renamed(__name__, "0.2.0", OldLayer="NewLayer")`.

    The old name is the same object as the new one. For classes that are saved, see `known_once_as` as well.
    """
    notices = {old: notice(f"{module}.{old}", since, f"Write {module}.{new} instead.") for old, new in names.items()}

    def look_up(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn(notices[name])
        return getattr(sys.modules[module], names[name])

    return look_up


def known_once_as(*names: str) -> Callable[[T], T]:
    """Of a registered class: files in which it has these names still load."""

    def decorate(cls: T) -> T:
        keras.saving.get_custom_objects().update({f"{_PACKAGE}>{name}": cls for name in names})
        return cls

    return decorate


def as_now(cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the names of now: of a class that says `once = {"old": "new"}`."""
    once: Mapping[str, str] = getattr(cls, "once", {})
    return {once.get(name, name): value for name, value in config.items()}


def _warning(function: Callable, told: Notice) -> Callable:
    @_like(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        warn(told)
        return function(*args, **kwargs)

    return call


def _like(function: Callable) -> Callable[[Callable], Any]:
    """`functools.wraps`, for those too who do not look through wrappers for a signature, as Keras."""

    def decorate(call: Any) -> Any:
        call = functools.wraps(function)(call)
        call.__signature__ = inspect.signature(function)
        return call

    return decorate


def _owner(function: Callable) -> str:
    """The class whose `__init__` it is, or the function itself."""
    owner, _, name = function.__qualname__.rpartition("<locals>.")[2].rpartition(".")
    return owner if name == "__init__" else name


def _is_given(function: Callable, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    return name in kwargs or name in list(inspect.signature(function).parameters)[: len(args)]


def _add_line(it: Any, told: Notice) -> None:
    """After the first paragraph."""
    first, *rest = inspect.cleandoc(it.__doc__ or "").split("\n\n")
    it.__doc__ = "\n\n".join([first, told.line, *rest] if first else [told.line])
