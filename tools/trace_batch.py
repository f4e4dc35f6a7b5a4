"""Follows one batch through a layer: which modules it goes through, and how often it moves from one to another.

    python tools/trace_batch.py            # KMixupLayer(16)
    python tools/trace_batch.py --moves    # each move, too

Only calls of functions of this package are counted, within the first trace of the layer: a move is a call of a
function in another file than that of the last such call.
"""

import argparse
import itertools
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import tensorflow as tf

import kmix_tf

PACKAGE = Path(kmix_tf.__file__).parent


def calls_of(layer: Any, x: Any, y: Any) -> list[tuple[str, str]]:
    """Calls of the package's functions in one first trace of `layer(x, y)`: (module, function)."""
    calls: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(PACKAGE)):
            calls.append((str(Path(path).relative_to(PACKAGE)), frame.f_code.co_name))

    # With a seed: without one, the layer makes a generator when it is first traced, and TensorFlow traces once more.
    traced = tf.function(lambda x, y: layer(x, y, seed=0), autograph=False)
    sys.setprofile(note)
    try:
        traced.get_concrete_function(x, y)
    finally:
        sys.setprofile(None)
    return calls


def moves_in(calls: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The calls whose module is another than that of the call before, but for the first."""
    return [call for before, call in itertools.pairwise(calls) if call[0] != before[0]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", action="store_true", help="print each move")
    show = parser.parse_args().moves
    calls = calls_of(kmix_tf.KMixupLayer(16), tf.zeros([64, 8, 8, 1]), tf.zeros([64, 10]))
    moves = moves_in(calls)
    if show:
        print(*(f"{module}  {function}" for module, function in [calls[0], *moves]), sep="\n")
    modules = {module for module, _ in calls}
    print(*sorted(modules), sep="\n")
    print(f"{len(modules)} modules, {len(moves)} moves, {len(calls)} calls")


if __name__ == "__main__":
    main()
