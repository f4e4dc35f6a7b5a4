"""Random calls of all layers with all kinds of batches, against NumPy: in plain ops, in graphs, and under XLA.

A case that does not hold is told with a line that repeats it.
"""

import time
import traceback
import warnings
from collections.abc import Callable, Iterator

import tensorflow as tf
from fuzzing import cases
from harness import Row, main

TITLE = "Random calls of all layers"
# How many are tried in full, and for how long in short.
PLAIN, COMPILED, SHORT = 10_000, 1_000, {"plain": 25.0, "graph": 8.0, "XLA": 15.0}
# How many calls share what was compiled.
OF_ONE = 4


def plain(number: int) -> int:
    """One call in plain ops, held against NumPy, SciPy and itself."""
    tf.config.run_functions_eagerly(True)
    cases.check(cases.case(number))
    return 1


def replay(way: str, number: int) -> None:
    """Asks one case again, and shows what it is."""
    print(cases.case(number, way == "XLA"))
    WAYS[way](number)


WAYS: dict[str, Callable[[int], int]] = {"plain": plain}


def asked(way: str, count: int, seconds: float) -> Row:
    """Cases of one way, as many as asked for, or for so long."""
    began, number, times, held = time.monotonic(), 0, 0, 0
    while times < count and time.monotonic() - began < seconds:
        try:
            made = WAYS[way](number)
            held += made
        except Exception as error:
            made = 1
            told = traceback.format_exception_only(error)[-1].strip()[:500]
            print(
                f"does not hold: {told}\n  again: cd reliability; python -c \"import fuzz; fuzz.replay('{way}', {number})\""
            )
        times, number = times + made, number + 1
    return Row(f"calls {way}", times, held)


def measure(short: bool) -> Iterator[Row]:
    warnings.simplefilter("ignore")
    yield asked("plain", PLAIN, SHORT["plain"] if short else 1e9)


main(__name__, __doc__)
