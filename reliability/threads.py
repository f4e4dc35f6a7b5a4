"""Threads: first calls at once, parallel maps, one layer in many threads, and copies of a layer in use.

What a layer drew is told by what it made: all mixtures of a batch of 16 numbers, with a ratio of 23 bits each.
"""

import concurrent.futures
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from harness import Row, main

import kmix_tf

TITLE = "Threads"
# Threads that call at once trace at once, and each trace but one is thrown away: TensorFlow says so many times.
tf.get_logger().setLevel("ERROR")
THREADS = 8
FEATURES = tf.reshape(tf.range(16, dtype=tf.float32), [16, 1])
TARGETS = tf.one_hot(tf.range(16) % 4, 4)
IMAGES = tf.random.stateless_uniform([16, 8, 8, 1], [0, 1])

# One of each kind of blend, pairing and weight, and what calls back to the host.
KINDS: dict[str, Callable[[], Any]] = {
    "mixup": lambda: kmix_tf.MixLayer(),
    "k-mixup, host": lambda: kmix_tf.KMixupLayer(4),
    "k-mixup, graph": lambda: kmix_tf.KMixupLayer(4, solver="graph"),
    "multi-mix": lambda: kmix_tf.MultiMixLayer(3),
    "local mixup": lambda: kmix_tf.LocalMixupLayer(),
    "CutMix": lambda: kmix_tf.CutMixLayer(scope="sample"),
    "FMix": lambda: kmix_tf.FMixLayer(scope="sample"),
    "ResizeMix": lambda: kmix_tf.ResizeMixLayer(),
    "SaliencyMix": lambda: kmix_tf.SaliencyMixLayer(),
    "a choice": lambda: kmix_tf.ChoiceLayer([kmix_tf.CutMixLayer(), kmix_tf.MixLayer(), None], [0.4, 0.4, 0.2]),
}


def measure(short: bool) -> Iterator[Row]:
    """The rows."""
    times = {"by hand": 8 if short else 1000, "in a tf.function": 2 if short else 100}
    for words, call in CALLS.items():
        held = sum(len(set(at_once(call(fresh(number))))) == THREADS for number in range(times[words]))
        tried = f"{THREADS} threads call a layer for the first time at once, {words}: all draws differ"
        yield Row(tried, times[words], held)
    yield mapped(short)
    yield one_seed(short)
    yield from copied(short)


def fresh(number: int) -> Any:
    """A layer that was never called, every other one with a seed."""
    return kmix_tf.MixLayer(ratio=kmix_tf.BetaRatio(1.0, "sample"), seed=number if number % 2 else None)


def told(result: Any) -> tuple[bytes, ...]:
    """All that a call gave, to the last bit."""
    return tuple(np.asarray(leaf).tobytes() for leaf in tf.nest.flatten(result))


def in_graph(layer: Any) -> Callable[[], Any]:
    """A function for each thread: each traces its own, so that all of them are first."""
    return lambda: told(tf.function(lambda: layer(FEATURES, TARGETS), autograph=False)())


CALLS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "by hand": lambda layer: lambda: told(layer(FEATURES, TARGETS)),
    "in a tf.function": in_graph,
}


def at_once(call: Callable[[], Any], times: int = 1) -> list[Any]:
    """What so many calls in each of the threads gave, all threads having begun together."""
    start = threading.Barrier(THREADS)

    def run(_: int) -> list[Any]:
        start.wait()
        return [call() for _ in range(times)]

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return [each for given in pool.map(run, range(THREADS)) for each in given]


def mapped(short: bool) -> Row:
    """A parallel map of two epochs, beside Keras' own MixUp."""
    batches = 100 if short else 5000

    def distinct(layer: Any, take: Callable[..., Any]) -> int:
        data = tf.data.Dataset.from_tensors((IMAGES, TARGETS)).repeat(batches)
        data = data.map(take(layer), num_parallel_calls=THREADS, deterministic=False)
        return len({told(batch) for _ in range(2) for batch in data})

    held = distinct(kmix_tf.MixLayer(ratio=kmix_tf.BetaRatio(1.0, "sample")), lambda layer: layer)
    control = "Keras 2 has no MixUp"
    if hasattr(keras.layers, "MixUp"):
        theirs = distinct(keras.layers.MixUp(1.0, seed=0), as_dictionary)
        control = f"Keras' MixUp with a seed: {theirs:,} of {2 * batches:,} distinct"
    return Row(
        f"batches of two epochs of Dataset.map(layer, num_parallel_calls={THREADS}): no draw twice",
        2 * batches,
        held,
        control,
    )


def as_dictionary(layer: Any) -> Callable[[Any, Any], Any]:
    """Keras' own layers take a batch so."""
    return lambda x, y: layer({"images": x, "labels": y}, training=True)


def one_seed(short: bool) -> Row:
    """One layer, one seed: what is made at once in many threads is what one thread makes."""
    times, tried, held = 1 if short else 50, 0, 0
    for make in KINDS.values():
        layer = make()
        found = at_once(lambda layer=layer: told(layer(IMAGES, TARGETS, seed=7)), times)
        alone = told(layer(IMAGES, TARGETS, seed=7))
        tried, held = tried + len(found), held + sum(each == alone for each in found)
    words = f"calls of {len(KINDS)} layers by {THREADS} threads at once, with one seed: each is what one thread makes"
    return Row(words, tried, held)


def copied(short: bool) -> Iterator[Row]:
    """Copies of a layer that other threads are calling."""
    ways = {"copy.deepcopy": copy.deepcopy, "pickle": lambda layer: pickle.loads(pickle.dumps(layer))}
    times = 4 if short else 500
    for words, make in ways.items():
        free = sum(_draws_alone(make, None) for _ in range(times))
        yield Row(f"{words} of a layer without a seed, in use: the copy draws other numbers than it", times, free)
        seeded = sum(_draws_alone(make, 3) for _ in range(times))
        yield Row(f"{words} of a layer with a seed, in use: the copy begins with its first draw", times, seeded)


def _draws_alone(make: Callable[[Any], Any], seed: int | None) -> bool:
    """Whether a copy, made while threads call the layer, draws what it should."""
    layer = kmix_tf.MixLayer(ratio=kmix_tf.BetaRatio(1.0, "sample"), seed=seed)
    call = CALLS["by hand"]
    first, copies = call(layer)(), []
    drawn = at_once(lambda: (copies.append(make(layer)), call(layer)())[1], 2)
    began = [call(each)() for each in copies]
    if seed is not None:
        return set(began) == {first} and first not in drawn
    return len({first, *drawn, *began}) == 1 + len(drawn) + len(began)


main(__name__, __doc__)
