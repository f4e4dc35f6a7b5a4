"""Mixing in other processes: on workers of tf.data service, after their data came back, and in exported graphs."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import CutMixBlend, ExponentialWeight, KMixupLayer, mix

# A dispatcher and two workers, in a process that never imports the package; it prints the address and lives as long
# as its standard input. Workers that shard files have addresses that are known beforehand.
SERVER = """
import os, socket, sys
import tensorflow as tf
service = tf.data.experimental.service
sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
ports = [each.getsockname()[1] for each in sockets]
[each.close() for each in sockets]
workers = [f"localhost:{port}" for port in ports]
dispatcher = service.DispatchServer(service.DispatcherConfig(port=0, worker_addresses=workers))
address = dispatcher.target.split("://")[1]
running = [
    service.WorkerServer(service.WorkerConfig(dispatcher_address=address, worker_address=worker, port=port))
    for worker, port in zip(workers, ports)
]
print(address, flush=True)
sys.stdin.read()
os._exit(0)  # Servers that are stopped one after the other wait minutes for each other.
"""

RNG = np.random.default_rng(6)
X = RNG.normal(size=(48, 4, 4, 1)).astype(np.float32)
Y = np.arange(48) % 3


@pytest.fixture(autouse=True)
def no_seed_of_others():
    """Without TensorFlow's global seed, which other tests of the process may have set: it would seed stages."""
    tf.random.set_seed(None)


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


def distributed(dataset, address, policy="OFF"):
    service = tf.data.experimental.service
    sharding = getattr(service.ShardingPolicy, policy)
    return dataset.apply(service.distribute(sharding, f"grpc://{address}"))


def batches():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(12)


def layer(solver):
    return KMixupLayer(
        4, solver=solver, interpolations=2, blend=CutMixBlend(), weight=ExponentialWeight(1.0), num_classes=3
    )


POLICIES = ["OFF", "DYNAMIC", "FILE", "DATA", "FILE_OR_DATA", "HINT"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sixteen batches of four rows, the same in each of as many files, and the mark of their file as a weight."""
    folder = tmp_path_factory.mktemp("files")
    for number in range(16):
        with tf.io.TFRecordWriter(str(folder / f"{number:02}")) as writer:
            writer.write(tf.io.serialize_tensor(tf.constant(number)).numpy())
    return sorted(map(str, folder.iterdir()))


def from_files(files, policy):
    """One batch a file: rows are one-hot, so that mixtures show ratios and partners."""
    names = tf.data.Dataset.from_tensor_slices(files)
    if policy == "HINT":
        hint = tf.data.experimental.SHARD_HINT
        names = names.shard(hint, hint)
    ones = tf.eye(4)

    def batch(record):
        number = tf.ensure_shape(tf.io.parse_tensor(record, tf.int32), [])
        return {"x": ones, "number": tf.repeat(number, 4)}, ones

    return names.interleave(tf.data.TFRecordDataset, cycle_length=2).map(batch)


def in_batches(solver="graph", **options):
    mixing = KMixupLayer(1, scope="sample", solver=solver, passthrough=["number"])
    return mix(mixing, **options)


def drawn(dataset):
    """The numbers of the batches, and what was drawn for each."""
    elements = [(int(x["number"][0]), x["x"].numpy().tobytes()) for x, _ in dataset]
    return [number for number, _ in elements], [draws for _, draws in elements]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("of_its_layer", [False, True])
@pytest.mark.representatives("policy, of_its_layer", [("OFF", False), ("DYNAMIC", True), ("FILE", False)])
def test_a_seeded_stage_refuses_to_repeat_its_draws_on_workers(policy, of_its_layer, address, files):
    stage = mix(KMixupLayer(1, seed=0, passthrough=["number"])) if of_its_layer else in_batches(seed=0)
    mixed = distributed(from_files(files, policy).apply(stage), address, policy)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"mix: a worker of tf\.data service .* salted=True"):
        list(mixed)


def test_a_stage_that_follows_the_global_seed_refuses_as_well(address, files):
    tf.random.set_seed(1)
    try:
        mixed = distributed(from_files(files, "OFF").apply(in_batches()), address)
    finally:
        tf.random.set_seed(None)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"mix: a worker of tf\.data service"):
        list(mixed)


@pytest.mark.parametrize("seed", [None, 0])
def test_a_layer_that_is_mapped_refuses_to_repeat_its_draws_on_workers(seed, address, files):
    mapped = from_files(files, "OFF").map(KMixupLayer(1, passthrough=["number"], seed=seed))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"KMixupLayer: a worker of tf\.data service .* salted"):
        list(distributed(mapped, address))
    # Here, it goes on.
    draws = [draw for _ in range(2) for draw in drawn(mapped)[1]]
    assert len(set(draws)) == 32


def test_a_layer_that_is_mapped_over_what_comes_back_draws_anew_in_every_epoch(address, files):
    mapped = distributed(from_files(files, "OFF"), address).map(
        KMixupLayer(1, scope="sample", passthrough=["number"], seed=0)
    )
    draws = [draw for _ in range(2) for draw in drawn(mapped)[1]]
    assert len(draws) == len(set(draws)) == 64


def test_what_only_converts_is_the_same_on_workers(address, files):
    mapped = from_files(files, "OFF").map(KMixupLayer(1, passthrough=["number"]).for_evaluation())
    assert set(drawn(distributed(mapped, address))[1]) == {np.eye(4, dtype=np.float32).tobytes()}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seeded", [True, False])
@pytest.mark.representatives(
    "policy, seeded", [("OFF", True), ("DYNAMIC", False), ("FILE", True), ("FILE_OR_DATA", True), ("DATA", True)]
)
def test_salted_and_unseeded_stages_draw_anew_on_every_worker_and_in_every_epoch(policy, seeded, address, files):
    stage = in_batches(seed=0, salted=True) if seeded else in_batches()
    dataset = distributed(from_files(files, policy).apply(stage), address, policy)
    epochs = [drawn(dataset) for _ in range(2)]
    draws = [draw for _, draws in epochs for draw in draws]
    # Four ratios, multiples of 2^-23, in each of at most 64 batches: two are alike once in 10^24 runs.
    assert len(draws) == len(set(draws)) == 2 * 16 * (2 if policy == "OFF" else 1)
    for numbers, _ in epochs:
        assert sorted(numbers) == sorted([*range(16)] * (2 if policy == "OFF" else 1))


@pytest.mark.parametrize("policy", ["FILE", "AUTO", "DATA"])
@pytest.mark.parametrize("salted", [True, False])
def test_shards_of_files_are_mixed_differently_and_those_of_the_first_as_without(policy, salted, files):
    # What a strategy of several workers does with its dataset, each in its own process.
    from tensorflow.python.data.experimental.ops.distribute import _AutoShardDataset

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = getattr(tf.data.experimental.AutoShardPolicy, policy)
    mixed = from_files(files, policy).apply(in_batches(seed=0, salted=salted)).with_options(options)
    shards = [[drawn(_AutoShardDataset(mixed, 2, index)) for _ in range(2)] for index in range(2)]
    numbers = [sorted(first[0] + second[0]) for first, second in zip(*shards, strict=True)]
    assert numbers == [list(range(16))] * 2
    draws = [draw for epochs in shards for _, draws in epochs for draw in draws]
    assert len(set(draws)) == 32
    if not salted and policy != "DATA":
        whole = from_files(files, policy).apply(in_batches(seed=0))
        assert [drawn(whole)[1][:8] for _ in range(2)] == [draws for _, draws in shards[0]]


def test_a_worker_of_another_process_mixes_with_the_solver_of_the_graph(address):
    # Features are targets too, and are mixed alike, whatever was drawn.
    rows = tf.data.Dataset.from_tensor_slices((X, X)).batch(12)
    mixed = rows.apply(mix(KMixupLayer(4, solver="graph", interpolations=2), salted=True))
    for x, y in distributed(mixed, address):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
        assert x.shape == (24, 4, 4, 1)
        assert np.abs(np.asarray(x)[:12, None] - X[None]).max(axis=(2, 3, 4)).min() > 1e-3


def test_what_comes_back_from_workers_is_mixed_with_any_solver(address, same):
    # The same batch again and again: two workers bring theirs in no certain order.
    alike = batches().take(1).repeat(3)
    mixed = distributed(alike, address).apply(mix(layer("host"), seed=1))
    expected = alike.repeat(2).apply(mix(layer("host"), seed=1))
    for _ in range(2):  # epochs
        same(list(mixed), list(expected), rtol=1e-5, atol=1e-5)


def test_a_worker_of_another_process_cannot_call_this_ones_host(address):
    mixed = batches().apply(mix(layer("host"), salted=True))
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
