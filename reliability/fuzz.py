"""Random calls of all layers with all kinds of batches: what comes back must follow, by NumPy, from what was drawn.

Also spoilt batches and odd options, of which none may come through, nor end in any words but ours. A case that does
not hold is told with a line that repeats it.
"""

import dataclasses
import time
import traceback
import warnings
from collections.abc import Callable, Iterator

import tensorflow as tf
from fuzzing import cases, spoilt
from harness import Row, main

TITLE = "Random calls"
# The longest that one case may take: what hangs is none that holds.
PATIENCE = 120.0


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to ask cases: in words; how often in full, for how many seconds in short; what asks one, by its number.

    ask: gives how many calls it made, or raises.
    """

    tried: str
    times: int
    seconds: float
    ask: Callable[[int], int]


def plain(number: int) -> int:
    """In plain ops, held against NumPy and SciPy; and once more, for the same to come back."""
    tf.config.run_functions_eagerly(True)
    cases.check(cases.case(number))
    return 2


def traced(number: int) -> int:
    """In a graph, of open batch size: as in plain ops."""
    return cases.check_traced(cases.case(number), is_compiled=False)


def compiled(number: int) -> int:
    """Under XLA: as in plain ops, for several seeds."""
    return cases.check_traced(cases.case(number, is_compiled=True), is_compiled=True)


def refused(number: int) -> int:
    """A spoilt batch."""
    tf.config.run_functions_eagerly(True)
    spoilt.refused(number)
    return 1


def configured(number: int) -> int:
    """An odd option."""
    tf.config.run_functions_eagerly(True)
    spoilt.configured(number)
    return 1


def extreme(number: int) -> int:
    """An extreme batch."""
    tf.config.run_functions_eagerly(True)
    spoilt.bounded(number)
    return 1


def fitted(number: int) -> int:
    """A spoilt batch, given to `fit`."""
    tf.config.run_functions_eagerly(False)
    spoilt.unfit(number)
    return 1


WAYS = {
    "plain": Way("random layers and batches in plain ops: the mixture NumPy makes", 10_000, 15.0, plain),
    "traced": Way("the same in graphs of open batch size, by training and as data to validate on", 500, 5.0, traced),
    "compiled": Way("the same under XLA", 1_000, 10.0, compiled),
    "refused": Way("batches with a part spoilt: refused in words of ours", 10_000, 4.0, refused),
    "extreme": Way("batches empty, huge, tiny, without columns: finite and in bounds, or words", 2_000, 4.0, extreme),
    "configured": Way(
        "options of all kinds of objects: a layer that works, or words of ours", 10_000, 3.0, configured
    ),
    "fitted": Way("spoilt batches given to fit of a mixing model: refused in words of ours", 200, 3.0, fitted),
}


def replay(name: str, number: int) -> None:
    """Asks one case again, and shows what becomes of it."""
    if name in ("plain", "traced", "compiled"):
        print(cases.case(number, name == "compiled"))
    WAYS[name].ask(number)


def asked(name: str, short: bool) -> Row:
    """Cases of one way, as many as are wanted, or as go into the time there is."""
    way, began = WAYS[name], time.monotonic()
    number = times = lost = 0
    slowest = 0.0
    while times < way.times and not (short and time.monotonic() - began > way.seconds):
        before = time.monotonic()
        try:
            times += way.ask(number)
        except Exception as error:
            times, lost = times + 1, lost + 1
            _tell(name, number, "".join(traceback.format_exception_only(error)))
        slowest = max(slowest, time.monotonic() - before)
        if time.monotonic() - before > PATIENCE:
            lost += 1
            _tell(name, number, f"took more than {PATIENCE:.0f} s")
        number += 1
    return Row(way.tried, times, times - lost, numbers=f"{number:,} cases, the slowest {slowest:.1f} s")


def _tell(name: str, number: int, why: str) -> None:
    print(f"does not hold: {why.strip()[:600]}")
    print(f"  again: cd reliability && PYTHONPATH=.. python -c \"import fuzz; fuzz.replay('{name}', {number})\"")


def measure(short: bool) -> Iterator[Row]:
    """The rows, one for each way."""
    warnings.simplefilter("ignore")
    for name in WAYS:
        yield asked(name, short)


main(__name__, __doc__)
