"""What holds for all layers and options alike: one way of calling them is as good as another, here or elsewhere."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.layers.stage import Stage

RNG = np.random.default_rng(4)
X = RNG.normal(size=(8, 4, 6, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 8).astype(np.int32)
STEP = 7


def call(layer, x=X, y=Y, seed=5, **options):
    step = {"step": STEP} if layer.schedule is not None else {}
    return layer(x, y, seed=seed, **step, **options)


def test_a_layer_is_made_anew_by_its_configuration(every, same):
    _, make = every
    layer = make()
    back = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    assert type(back) is type(layer)
    assert json.dumps(back.get_config()) == json.dumps(layer.get_config())
    same(call(back), call(layer), rtol=0, atol=0)


def test_a_seed_repeats_and_another_does_not(every, same):
    _, make = every
    layer = make()
    same(call(layer), call(layer), rtol=0, atol=0)
    # Layers that seldom mix leave some seeds' batches as they are.
    assert any(not np.array_equal(call(layer, seed=seed)[0], call(layer)[0]) for seed in range(6, 12))


@pytest.mark.parametrize("spec", [[8, 4, 6, 1], [None, 4, 6, 1], [None, None, None, 1]], ids=str)
@pytest.mark.matrix  # test_mix asks it of some, and pipelines are graphs
def test_eager_calls_and_graphs_agree(every, spec, same):
    name, make = every
    if name == "adapted" and spec[1] is None:
        spec = [None, None, 6, 1]
    layer = make()
    signature = [tf.TensorSpec(spec), tf.TensorSpec(spec[:1], tf.int32)]
    graph = tf.function(lambda x, y: call(layer, x, y), input_signature=signature)
    same(graph(X, Y), call(layer))


def test_a_compiled_mix_is_compiled_once_for_all_seeds(every_compiled):
    # XLA compiles anew for each value of what it takes for a constant, and writes it into the program.
    name, make = every_compiled
    if "host" in name:
        pytest.skip("needs the host")
    layer = make()
    function = tf.function(lambda x, y, seed: call(layer, x, y, seed), jit_compile=True, autograph=False)
    x, y = tf.constant(X), tf.constant(Y)
    programs = [set(), set()]
    # TensorFlow 2.15 writes the same function in one of a few ways, whatever the seed: seen with choices.
    for _ in range(10):
        for n, seen in enumerate(programs):
            seen.add(function.experimental_get_compiler_ir(x, y, tf.constant([0, n]))(stage="hlo"))
        if set.intersection(*programs):
            return
    pytest.fail("No program of one seed is a program of the other.")


def test_calls_and_pipelines_agree(every, same):
    _, make = every
    layer = make()
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).map(lambda x, y: call(layer, x, y))
    same(next(iter(dataset)), call(layer))


def test_compiled_and_plain_graphs_agree(every_compiled, same):
    name, make = every_compiled
    layer = make()
    if name.startswith("host"):
        assert not layer.supports_jit
        pytest.skip("a host callback cannot be compiled")
    assert layer.supports_jit
    signature = [tf.TensorSpec([None, 4, 6, 1]), tf.TensorSpec([None], tf.int32)]
    compiled = tf.function(lambda x, y: call(layer, x, y), jit_compile=True, input_signature=signature)
    same(compiled(X, Y), call(layer), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
@pytest.mark.representatives("dtype", [tf.float16])
def test_features_keep_their_dtype_and_targets_do_not_take_it(every, dtype):
    _, make = every
    layer = make()
    wide, narrow = call(layer, X.astype(np.float32)), call(layer, tf.cast(X, dtype))
    assert narrow[0].dtype == dtype
    assert [part.dtype for part in narrow[1:]] == [tf.float32] * (len(wide) - 1)
    assert narrow[0].shape == wide[0].shape
    assert np.isfinite(tf.cast(narrow[0], tf.float64)).all()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7])
@pytest.mark.usefixtures("plain_functions")
@pytest.mark.representatives("size", [0, 3])
def test_any_batch_size_gives_whole_mixtures(every, size):
    _, make = every
    layer = make()
    x, y, *weight = call(layer, X[:size], Y[:size])
    times = len(call(layer)[0]) // 8
    assert x.shape == (times * size, *X.shape[1:])
    assert len(y) == times * size
    assert all(np.isfinite(part).all() for part in (x, y, *weight))
    if layer.targets == "mixed":
        np.testing.assert_allclose(tf.reduce_sum(y, axis=1), 1, rtol=1e-5)
    for each in weight:
        assert each.shape == (times * size,)
    low, high = (X[:size].min(initial=0), X[:size].max(initial=0))
    assert ((x.numpy() >= low - 1e-5) & (x.numpy() <= high + 1e-5)).all()


@pytest.mark.matrix  # test_mix asks it of some
def test_a_batch_of_one_comes_back_exactly(every):
    _, make = every
    layer = make()
    x, y, *weight = call(layer, X[:1], Y[:1])
    assert (x.numpy() == X[:1]).all()
    if layer.targets == "mixed":
        assert (y.numpy() == np.eye(3)[Y[:1]]).all()
    assert all((each.numpy() == 1).all() for each in weight)


def test_inference_converts_alike_and_mixes_nothing(every):
    _, make = every
    layer = make()
    x, y = layer(X, Y, training=False)
    assert (x.numpy() == X).all()
    trained = call(layer)[1]
    assert y.dtype == trained.dtype
    assert y.shape[1:] == trained.shape[1:]


@pytest.mark.usefixtures("plain_functions")
def test_the_mixture_in_another_process_is_the_same(half, tmp_path, elsewhere):
    of_this_module = ["any distribution", "embedded", "saliencymix by brightness", "attentivemix by brightness"]
    of_this_module += ["stylemix", "style cutmix"]
    made = {name: make() for name, make in half.items() if name not in of_this_module}
    configs = {name: keras.saving.serialize_keras_object(layer) for name, layer in made.items()}
    (tmp_path / "layers.json").write_text(json.dumps(configs))
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    program = """
import json, sys, keras, numpy as np, tensorflow as tf
import kmix_tf
tf.config.run_functions_eagerly(True)
folder = sys.argv[1]
data = np.load(folder + "/data.npz")
parts = {}
for name, config in json.load(open(folder + "/layers.json")).items():
    layer = keras.saving.deserialize_keras_object(config)
    step = {"step": 7} if layer.schedule is not None else {}
    for number, part in enumerate(layer(data["x"], data["y"], seed=5, **step)):
        parts[f"{name}/{number}"] = np.asarray(part)
np.savez(folder + "/mixed.npz", **parts)
"""
    elsewhere(program, tmp_path)
    with np.load(tmp_path / "mixed.npz") as there:
        for name, layer in made.items():
            for number, part in enumerate(call(layer)):
                np.testing.assert_allclose(part, there[f"{name}/{number}"], rtol=1e-6, atol=1e-6, err_msg=name)


def test_every_kind_of_layer_is_among_them(layers):
    import kmix_tf

    kinds = {type(make()) for make in layers.values()}
    public = {value for value in vars(kmix_tf).values() if isinstance(value, type) and issubclass(value, Stage)}
    # What carries mixtures on to the next batch cannot be called with one alone; test_recursivemix asks it.
    assert kinds == {value for value in public if not value.carries}
