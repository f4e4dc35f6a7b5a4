"""Exports of models: with what Keras' own export takes, and written beside what they replace."""

import inspect
import os
from collections.abc import Callable
from typing import Any

import keras

from kmix_tf import _checks
from kmix_tf._writing import replacing
from kmix_tf.models.formats import SAVED_MODEL, is_of_converter, require_format, require_whole

__all__ = ["SAVED_MODEL", "checked_path", "export"]


def checked_path(filepath: Any, path: Any) -> Any:
    """The one of both that was given, for `path` is what `filepath` was called before.

    Raises:
        TypeError: for none, both, or what is no path.
    """
    given = [each for each in (filepath, path) if each is not None]
    only = given[0] if len(given) == 1 else given or None
    if not isinstance(only, (str, os.PathLike)) or not os.fspath(only):
        _checks.refuse("filepath", "one path, a string or pathlib.Path", only, TypeError)
    return only


def export(
    write: Callable[..., Any], path: Any, format: Any, verbose: Any, input_signature: Any, options: dict[str, Any]
) -> None:
    """Has an export of Keras' write to a path, with those of the arguments that say something.

    Args:
        write: `keras.Model.export` of a model. That of Keras 2 takes a path alone, and has one format.

    Raises:
        ValueError, ImportError: for what Keras does not do, in the words of the user's; for a file that is not whole.
        OSError: naming the path, if the file system refuses.
    """
    require_format(format, path)
    asked = {} if format == SAVED_MODEL else {"format": format}
    asked |= {} if input_signature is None else {"input_signature": input_signature}
    asked |= options
    known = inspect.signature(write).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    unknown = [name for name in asked if name not in known and not takes_all]
    if unknown:
        name = unknown[0]
        raise _checks.problem(
            f"{name} must be left out of export with Keras {keras.__version__}, which writes SavedModels and takes a "
            f"path alone. Received: {name}={asked[name]!r}. Other formats and options need Keras 3."
        )
    if verbose is not None and ("verbose" in known or takes_all):
        asked["verbose"] = verbose
    with replacing(path, is_quiet=verbose is False) as place:
        try:
            write(place, **asked)
        except Exception as error:
            if not isinstance(error, (ImportError, ValueError)) and not is_of_converter(error):
                raise
            kind = ImportError if isinstance(error, ImportError) else ValueError
            raise _checks.problem(f"Keras cannot export with format={format!r}: {error}", kind) from error
        require_whole(format, place)
