"""Workers: two processes that train one model by `MultiWorkerMirroredStrategy`, over the loopback interface."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from harness import Row, main

TITLE = "Two workers"

SECONDS = 600  # Gloo and gRPC wait for one another; a machine may be busy.

# What each worker runs. It prints a line of JSON.
PROGRAM = """
import hashlib, json, sys
import keras
import numpy as np
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
from kmix_tf import KMixupLayer, LocalMixupLayer, MixModel

steps = int(sys.argv[1])
x = np.random.default_rng(0).normal(size=(8 * steps, 5)).astype(np.float32)
y = np.arange(8 * steps) % 3


def own(worker):
    rows = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    first = 4 * worker.input_pipeline_id
    return rows.map(lambda x, y: (x[first : first + 4], y[first : first + 4]))


def network():
    keras.utils.set_random_seed(5)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])


def made(across=False, mixed=True):
    with strategy.scope():
        loss = keras.losses.CategoricalCrossentropy if mixed else keras.losses.SparseCategoricalCrossentropy
        model = network()
        model = MixModel(model, KMixupLayer(2, num_classes=3), seed=0, across_replicas=across) if mixed else model
        model.compile(keras.optimizers.SGD(0.1), loss(from_logits=True), jit_compile=False)
        if hasattr(model.optimizer, "build"):
            model.optimizer.build(model.trainable_variables)
    return model


def digest(values):
    return hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in values)).hexdigest()


def trained(model, seen):
    batches = iter(strategy.distribute_datasets_from_function(own))

    @tf.function
    def step():
        def one(data):
            number, seed = model._counter.next(alike=model.across_replicas)
            x, y = model._mixed((*data, None), seed, number)[:2]
            with tf.GradientTape() as tape:
                losses = keras.losses.categorical_crossentropy(y, model(x), from_logits=True)
                loss = tf.nn.compute_average_loss(losses)
            gradients = tape.gradient(loss, model.trainable_variables)
            model.optimizer.apply_gradients(zip(gradients, model.trainable_variables))
            return x, y, seed
        return strategy.run(one, args=(next(batches),))

    weights = []
    for _ in range(steps):
        seen.append([strategy.experimental_local_results(each)[0].numpy() for each in step()])
        weights.append(digest([each.numpy() for each in model.trainable_variables]))
    return weights


def fitted(model):
    try:
        model.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(8), verbose=0)
        return digest([each.numpy() for each in model.trainable_variables])
    except Exception as error:
        return type(error).__name__ + ": " + " ".join(str(error).split())[:300]


apart, across = [], []
result = {"weights": trained(made(), apart), "weights across": trained(made(across=True), across)}
result["draws"] = [digest(each[:2]) for each in apart]
number = strategy.cluster_resolver.task_id
layer = KMixupLayer(2, num_classes=3)
result["as one"] = 0
for first, (mixed_x, mixed_y, seed) in zip(range(0, 8 * steps, 8), across):
    whole = layer(x[first : first + 8], y[first : first + 8], seed=seed)
    mine = slice(4 * number, 4 * number + 4)
    result["as one"] += all(np.allclose(a, b[mine], atol=1e-6) for a, b in zip((mixed_x, mixed_y), whole))
result["plain fit"], result["fit"] = fitted(made(mixed=False)), fitted(made())
print(json.dumps(result), flush=True)
"""


def both(program: str, *arguments: str) -> list[dict[str, Any]]:
    """What a program prints last as worker 0 and as worker 1.

    Raises:
        RuntimeError: with what one of them said, if it failed.
    """
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    root = str(pathlib.Path(__file__).parent.parent)
    workers = []
    with tempfile.TemporaryFile("w+") as errors:
        try:
            for index in range(2):
                config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
                paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
                environment = {**os.environ, "TF_CONFIG": config, "PYTHONPATH": paths}
                command = [sys.executable, "-c", program, *arguments]
                workers.append(
                    subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
                )
            said = [worker.communicate(timeout=SECONDS)[0] for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
        if any(worker.returncode for worker in workers):
            errors.seek(0)
            raise RuntimeError(errors.read()[-3000:])
    return [json.loads(each.splitlines()[-1]) for each in said]


def equal(workers: list[dict[str, Any]], name: str) -> int:
    """In how many entries of a list both agree."""
    return sum(ours == theirs for ours, theirs in zip(*(worker[name] for worker in workers), strict=True))


def measure(short: bool) -> Iterator[Row]:
    """The rows."""
    steps = 5 if short else 200
    workers = both(PROGRAM, str(steps))
    yield Row(
        "a loop of steps that mix, on two workers: equal weights after each step", steps, equal(workers, "weights")
    )
    draws = [draw for worker in workers for draw in worker["draws"]]
    yield Row("what the workers mix in these steps: other mixtures each time", len(draws), len(set(draws)))
    yield Row(
        "with across_replicas=True: the rows that one process makes of the whole batch",
        2 * steps,
        sum(worker["as one"] for worker in workers),
        numbers=f"weights equal after {equal(workers, 'weights across')} of {steps} steps",
    )
    yield fits(workers)


def fits(workers: list[dict[str, Any]]) -> Row:
    """Whether `fit` trains on two workers, or says what to do where Keras' own does not."""
    control, found = workers[0]["plain fit"], [worker["fit"] for worker in workers]
    if "Error" in control:
        held = sum("two_workers.py" in each for each in found)
        return Row(
            "`fit` on two workers, which this Keras has not: an error that says what to do", 2, held, control[:60]
        )
    return Row(
        "`fit` on two workers: equal weights", 1, int(found[0] == found[1] and "Error" not in found[0]), "trains"
    )


main(__name__, __doc__)
