"""Mixing in other processes: on workers of tf.data service, after their data came back, and in exported graphs."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import CutMixBlend, ExponentialWeight, KMixupLayer, mix

# A dispatcher and a worker, in a process that never imports the package; it prints the address and lives as long as
# its standard input.
SERVER = """
import sys
import tensorflow as tf
service = tf.data.experimental.service
dispatcher = service.DispatchServer(service.DispatcherConfig(port=0))
address = dispatcher.target.split("://")[1]
worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=address))
print(address, flush=True)
sys.stdin.read()
"""

RNG = np.random.default_rng(6)
X = RNG.normal(size=(48, 4, 4, 1)).astype(np.float32)
Y = np.arange(48) % 3


@pytest.fixture(scope="module")
def address():
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield server.stdout.readline().strip()
    finally:
        server.communicate()


def distributed(dataset, address):
    service = tf.data.experimental.service
    return dataset.apply(service.distribute(service.ShardingPolicy.OFF, f"grpc://{address}"))


def batches():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(12)


def layer(solver):
    return KMixupLayer(
        4, solver=solver, interpolations=2, blend=CutMixBlend(), weight=ExponentialWeight(1.0), num_classes=3
    )


def test_a_worker_of_another_process_mixes_with_the_solver_of_the_graph(address, same):
    mixed = batches().apply(mix(layer("graph"), seed=1))
    same(list(distributed(mixed, address)), list(mixed), rtol=1e-5, atol=1e-5)


def test_what_comes_back_from_workers_is_mixed_with_any_solver(address, same):
    mixed = distributed(batches(), address).apply(mix(layer("host"), seed=1))
    same(list(mixed), list(batches().apply(mix(layer("host"), seed=1))), rtol=1e-5, atol=1e-5)


def test_a_worker_of_another_process_cannot_call_this_ones_host(address):
    mixed = batches().apply(mix(layer("host"), seed=1))
    with pytest.raises(tf.errors.OpError, match="callback"):
        list(distributed(mixed, address))


def test_mixing_with_the_solver_of_the_graph_is_exported_and_runs_where_the_package_is_not(tmp_path, same, elsewhere):
    mixing = layer("graph")
    module = tf.Module()
    module.mix = tf.function(
        lambda x, y, seed: mixing(x, y, seed=seed),
        input_signature=[
            tf.TensorSpec([None, 4, 4, 1]),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([2], tf.int32),
        ],
    )
    tf.saved_model.save(module, str(tmp_path / "mix"))
    np.savez(tmp_path / "data.npz", x=X[:12], y=Y[:12])
    program = """
import sys, numpy as np, tensorflow as tf
sys.modules["kmix_tf"] = None  # importing it would fail
loaded = tf.saved_model.load(sys.argv[1] + "/mix")
data = np.load(sys.argv[1] + "/data.npz")
np.savez(sys.argv[1] + "/mixed.npz", *[part.numpy() for part in loaded.mix(data["x"], data["y"], [1, 2])])
"""
    elsewhere(program, tmp_path)
    assert b"PyFunc" not in (tmp_path / "mix" / "saved_model.pb").read_bytes()
    with np.load(tmp_path / "mixed.npz") as there:
        same(tuple(there.values()), tuple(mixing(X[:12], Y[:12], seed=[1, 2])), rtol=1e-5, atol=1e-5)
