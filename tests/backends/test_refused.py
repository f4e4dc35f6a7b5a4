"""What a layer cannot do off TensorFlow is refused by name, with what will do."""

import keras
import numpy as np
import pytest

from kmix_tf import GradientSaliency, KMixupLayer, PuzzleMixLayer, SaliencyMixLayer

X, Y = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32), np.eye(8, dtype=np.float32)


@pytest.mark.parametrize("options", [{}, {"training": False}], ids=str)
@pytest.mark.parametrize("targets", [True, False])
def test_a_layer_in_a_model(not_tensorflow, options, targets):
    x, y = keras.Input((5,)), keras.Input((8,))
    message = rf"KMixupLayer: a layer of the data stage can be part of.*{not_tensorflow}.*dataset\.map\(layer\)"
    with pytest.raises(ValueError, match=message):
        KMixupLayer(2, features_only=True)(*[x, y][: 1 + targets], **options)


def test_a_sequential_model(not_tensorflow):
    with pytest.raises(ValueError, match=r"KMixupLayer: a layer of the data stage can be part of"):
        keras.Sequential([keras.layers.Input((5,)), KMixupLayer(2, features_only=True)])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX's functions")
@pytest.mark.parametrize("closed_over", [False, True])
@pytest.mark.parametrize("method", ["call", "between", "plan"])
def test_a_call_within_a_function_of_jax(closed_over, method):
    import jax

    layer = KMixupLayer(2)
    asked = {
        "call": lambda x, y: layer(x, y, seed=1)[0],
        "between": lambda x, y: layer.between((x, y), (x, y), seed=1)[0],
        "plan": lambda x, y: layer.plan([x], 1).ratio,
    }[method]
    # Of constants it would not fail, but mix alike in every step.
    function = jax.jit(lambda x, y: asked(X, Y) if closed_over else asked(x, y))
    with pytest.raises(ValueError, match=r"KMixupLayer: a mix cannot be part of a function that JAX transforms"):
        function(X, Y)
    assert keras.ops.is_tensor(asked(X, Y))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="of torch's gradients")
def test_tensors_that_want_a_gradient():
    import torch

    layer, x = KMixupLayer(2), torch.tensor(X, requires_grad=True)
    with pytest.raises(ValueError, match=r"KMixupLayer: arrays must not require a gradient.*\(8, 5\).*detach"):
        layer(x, Y)
    assert layer(x.detach(), Y)[0].requires_grad is False


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="of torch's compiler")
def test_a_function_that_torch_compiles_is_left_at_the_layer():
    import torch

    layer = KMixupLayer(2)
    function = torch.compile(lambda x, y, seed: layer(x, y, seed=seed)[0] * 2, backend="eager")
    x, y = torch.tensor(X), torch.tensor(Y)
    for seed in (1, 2):
        torch.testing.assert_close(function(x, y, seed), layer(x, y, seed=seed)[0] * 2)
    assert not torch.equal(function(x, y, 1), function(x, y, 2))


def test_gradients_of_a_model_as_saliency(not_tensorflow):
    model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(
        RuntimeError, match=rf"GradientSaliency: gradients.*{not_tensorflow}.*SpectralResidualSaliency"
    ):
        GradientSaliency(model, "mse")
    images, labels = (
        np.random.default_rng(0).uniform(size=(4, 8, 8, 1)).astype(np.float32),
        np.eye(4, dtype="float32"),
    )
    for layer in (PuzzleMixLayer(), SaliencyMixLayer()):  # By their default source, and by what is given.
        for given in (None, keras.ops.ones((4, 8, 8))):
            x, y = layer(images, labels, saliency=given, seed=1)
            assert x.shape == (4, 8, 8, 1) and y.shape == (4, 4)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX narrows 64 bits")
def test_integers_that_jax_would_cut_off():
    layer = KMixupLayer(2, passthrough=["id"])
    with pytest.raises(ValueError, match=r"integers must fit into int32.*7516192768.*jax_enable_x64"):
        layer({"x": X, "id": np.arange(8) * 2**30}, Y)
    assert np.array_equal(layer({"x": X, "id": np.arange(8)}, Y)[0]["id"], np.arange(8))
