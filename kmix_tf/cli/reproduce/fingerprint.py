"""By which code something was measured: results of other code are not mixed with new ones."""

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

from kmix_tf.paired import Experiment

# Of the package itself, the version tells.
_OURS = "experiments"
_DIGITS = 16


def fingerprint(experiment: Experiment) -> str:
    """Of `measure` and of all functions, classes and constants of `experiments` that it uses, as Python reads them.

    What is only said, drawn or claimed is not in it, nor are comments, docstrings and the layout of the code.
    """
    seen: dict[str, str] = {}
    _collect(experiment.measure, seen)
    told = "\n".join(f"{name}: {text}" for name, text in sorted(seen.items()))
    return hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]


def _collect(value: Any, seen: dict[str, str]) -> None:
    name = f"{value.__module__}.{value.__qualname__}"
    if name in seen:
        return
    seen[name] = _text(value)
    for function in _functions(value):
        for word in sorted(_words(function.__code__)):
            if word in function.__globals__:
                _used(f"{function.__module__}.{word}", function.__globals__[word], seen)


def _used(name: str, value: Any, seen: dict[str, str]) -> None:
    if inspect.ismodule(value):
        # Of a module of ours everything may be used: its names are not told apart.
        if value.__name__.startswith(_OURS):
            seen[value.__name__] = ast.unparse(_bare(ast.parse(inspect.getsource(value))))
    elif inspect.isfunction(value) or inspect.isclass(value):
        if (value.__module__ or "").startswith(_OURS):
            _collect(value, seen)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _used(f"{name}[{key!r}]", each, seen)
    elif isinstance(value, (tuple, list)):
        for place, each in enumerate(value):
            _used(f"{name}[{place}]", each, seen)
    elif isinstance(value, (str, bytes, int, float, type(None))):
        seen[name] = repr(value)


def _functions(value: Any) -> Iterator[FunctionType]:
    """The function itself, or the methods of a class."""
    for each in (value, *vars(value).values()) if inspect.isclass(value) else (value,):
        function: Callable | None = getattr(each, "fget", None) or getattr(each, "__func__", each)
        function = inspect.unwrap(function) if callable(function) else None
        if inspect.isfunction(function):
            yield function


def _words(code: CodeType) -> set[str]:
    """Names that it may look up, and those of the functions within it."""
    inner = [_words(each) for each in code.co_consts if isinstance(each, CodeType)]
    return set(code.co_names).union(*inner)


def _text(value: Any) -> str:
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(value)))
    try:
        return ast.unparse(_bare(ast.parse(source)))
    except SyntaxError:  # A lambda's lines may be part of a statement.
        return source.strip()


def _bare(tree: ast.Module) -> ast.Module:
    """Without docstrings."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined, index]
    return tree
