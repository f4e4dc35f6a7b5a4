"""A bar of how far a long computation is, where a person is watching."""

import sys
from collections.abc import Callable

import keras


def progress(title: str, unit: str, total: int | None = None) -> Callable[[], None]:
    """Begins a bar, and returns what is to be called after each step; where nobody watches, nothing is printed.

    Args:
        unit: what a step is called. total: how many there will be, or None where that is not known.
    """
    if not sys.stdout.isatty():
        return lambda: None
    print(title)
    bar = keras.utils.Progbar(total, unit_name=unit)
    return lambda: bar.add(1)
