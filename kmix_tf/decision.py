"""What the four decisions of a mix have in common: they say what they need, and can be saved.

A decision is an object of a small base class, which declares what it needs to be told; or a plain callable of the
signature that the base class documents, which is wrapped, and checked, when a layer is made of it. Such a callable
declares by attributes of the same names.
"""

import builtins
import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import keras

from kmix_tf import _checks, _deprecated

# What a decision may declare, as plain callables do by attributes; and names that these had once.
DECLARED = {"needs_targets", "needs_distances", "needs_saliency", "runs_on_host", "mixtures", "mutual", "by_distance"}
_ONCE = {
    "uses_targets": "needs_targets",
    "uses_saliency": "needs_saliency",
    "interpolations": "mixtures",
    "times": "mixtures",
}
_NOTICES = {
    old: _deprecated.notice(f"{old}, as an attribute of a decision,", "0.2.0", f"Write {new} instead.")
    for old, new in _ONCE.items()
}


class Configured:
    """An object that is made anew of its arguments: each is kept as an attribute of the same name."""

    def get_config(self) -> dict[str, Any]:
        """The arguments, as JSON can hold them."""
        return {name: saved(getattr(self, name), name) for name in arguments_of(type(self))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """What `get_config` describes, also one of an older version."""
        return cls(**{name: restored(value) for name, value in _deprecated.as_now(cls, config).items()})


class Decision(Configured):
    """One of the four decisions of a mix.

    Attributes, which a class declares:
        needs_targets: whether it is told the targets of the batch.
        needs_distances: whether it is told the distances of pairs.
        needs_saliency: whether it is told what matters where in the images.
        runs_on_host: whether it calls back to the host, where XLA cannot follow.
        mixtures: how many mixtures of each sample it makes; None for one, without an axis of its own.
    """

    kind: ClassVar[str] = "decision"
    signature: ClassVar[str] = "(...)"

    needs_targets: bool = False
    needs_distances: bool = False
    needs_saliency: bool = False
    runs_on_host: bool = False
    mixtures: int | None = None

    @property
    def shown(self) -> str:
        """The name of it in messages."""
        return type(self).__name__


class Wrapped:
    """What wrapped callables have in common; mixed in before the base class of a decision."""

    function: Callable
    kind: ClassVar[str]

    def __init__(self, function: Callable):
        self.function = function
        for name, value in declarations(self.kind, function).items():
            setattr(self, name, value)
        for name in _attributes_of(function):
            if name in _NOTICES:
                _deprecated.warn(_NOTICES[name])

    @property
    def shown(self) -> str:
        return name_of(self.function)


def name_of(function: Any) -> str:
    """A function's own name, or that of its class."""
    return str(getattr(function, "__name__", type(function).__name__))


def as_decision(value: Any, base: type[Decision], wrapper: Callable[[Callable], Any], told: int) -> Any:
    """The decision, or a wrapper of a plain callable, checked as far as it can be without a batch.

    Args:
        base: the class of such decisions. wrapper: what wraps a callable.
        told: how many arguments the callable is given by position.

    Raises:
        TypeError: for what is neither, a class instead of an object of it, or a callable that takes other arguments.
        ValueError: for what it declares and there is not.
    """
    if isinstance(value, base):
        declarations(base.kind, value)
        return value
    if isinstance(value, type):
        rule = f"an object: with brackets, {value.__name__}(...)"
        _checks.refuse(base.kind, rule, value, TypeError)
    if isinstance(value, Decision) or not callable(value):
        raise _checks.problem(
            f"{base.kind} must be callable. Received: {base.kind}={value!r}. "
            f"Give a {base.__name__}, or a function {base.signature}.",
            TypeError,
        )
    wrapped = wrapper(value)
    needs = [name for name in ("targets", "saliency", "distances") if getattr(wrapped, f"needs_{name}")]
    if base.kind == "blend":  # It is told by name.
        require_arguments(base.kind, value, base.signature, told, needs)
    else:
        require_arguments(base.kind, value, base.signature, told + len(needs))
    return wrapped


def require_arguments(kind: str, function: Callable, signature: str, told: int, names: Sequence[str] = ()) -> None:
    """Refuses a callable that cannot take so many arguments by position, and these by name; where nobody knows its
    signature, it passes."""
    try:
        taken = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        taken.bind(*[None] * told, **dict.fromkeys(names))
    except TypeError as error:
        raise _checks.problem(
            f"{kind} must be a callable {signature}. Received: {name_of(function)}{taken}, which does not take "
            f"{' and '.join([f'{told} arguments', *names])}.",
            TypeError,
        ) from error


def declarations(kind: str, function: Any) -> dict[str, Any]:
    """What a callable declares by its attributes.

    Raises:
        TypeError: for a value of another type. ValueError: for a name that is nearly one of those there are.
    """
    found = {}
    for name in _attributes_of(function):
        known = _ONCE.get(name, name)
        if known in DECLARED:
            found[known] = _declared(kind, name, getattr(function, name), known)
            continue
        near = difflib.get_close_matches(name, [*DECLARED, *_ONCE], n=1, cutoff=0.85)
        if near:
            raise _checks.problem(
                f"{kind} must declare what it needs by known names. Received: {name_of(function)}.{name}. "
                f"Is {_ONCE.get(near[0], near[0])} meant?"
            )
    return {name: value for name, value in found.items() if value is not None}


def _attributes_of(function: Any) -> list[str]:
    """Public names that a user has set on a callable or on its class."""
    own = dict(getattr(function, "__dict__", {}))
    for base in type(function).__mro__:
        if not base.__module__.startswith(("builtins", "functools", "kmix_tf.", "keras.", "tensorflow.")):
            own = {**vars(base), **own}
    return [name for name in own if not name.startswith("_")]


def _declared(kind: str, name: str, value: Any, known: str) -> Any:
    if known == "mixtures":
        return None if value is None else _checks.integer(f"{kind}.{name}", value, minimum=1)
    return _checks.flag(f"{kind}.{name}", value)


def arguments_of(cls: Any) -> list[str]:
    """The names of a class' own arguments."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(cls.__init__).parameters.values()
    return [each.name for each in parameters if each.kind not in kinds and each.name != "self"]


def saved(value: Any, name: str) -> Any:
    """An argument as JSON can hold it.

    Raises:
        TypeError: for an object that cannot be made anew, naming it.
    """
    value = getattr(value, "function", value) if isinstance(value, Wrapped) else value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [saved(each, name) for each in value]
    if isinstance(value, dict):
        return {key: saved(each, name) for key, each in value.items()}
    if not hasattr(value, "get_config") and type(value).__name__ != "function":
        raise _checks.problem(
            f"{name} cannot be saved: {name_of(value)} has no get_config. Give it get_config and from_config, and "
            "register its class by keras.saving.register_keras_serializable(); or save the weights alone.",
            TypeError,
        )
    return keras.saving.serialize_keras_object(value)


def restored(value: Any) -> Any:
    """What `saved` was given; objects are known by their class' name."""
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [restored(each) for each in value]
    if isinstance(value, dict) and "class_name" in value:
        _refuse_foreign(value)
        return keras.saving.deserialize_keras_object(value)
    if isinstance(value, dict):
        return {key: restored(each) for key, each in value.items()}
    return [restored(each) for each in value] if isinstance(value, list) else value


def _refuse_foreign(value: Mapping[str, Any]) -> None:
    """Refuses a function of any module: Keras writes none, but Keras 2 would import it, and a mix would call it."""
    name, module = value.get("config"), str(value.get("module") or "builtins")
    if value["class_name"] != "function" or keras.saving.get_registered_object(str(name)) is not None:
        return
    is_foreign = module.partition(".")[0] not in ("builtins", "keras", "kmix_tf")
    if is_foreign or (module == "builtins" and hasattr(builtins, str(name))):
        raise _checks.problem(
            "A saved function must be one that is registered by keras.saving.register_keras_serializable() or given "
            f"as custom_objects. Received: {name!r} of the module {module!r}."
        )
