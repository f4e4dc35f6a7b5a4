"""Options of kinds that nobody expects are refused in words, when the layer is made or when what they give shows."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ChoiceLayer, KMixupLayer, MixLayer, MultiMixLayer, PuzzleMixLayer

X, Y = np.arange(24, dtype=np.float32).reshape(6, 4), np.eye(6, dtype=np.float32)
IMAGES = np.random.default_rng(0).random((6, 4, 4, 1), np.float32)


@pytest.mark.parametrize(
    "adapted",
    [3.0, [1.0], max, {"a": 1}, {"alpha": "x"}, {"alpha": -1.0}, {"scales": 2.0}, {"scales": [[None]]}],
    ids=str,
)
def test_what_no_adaptation_gave(adapted):
    with pytest.raises(ValueError, match="KMixupLayer: adapted must be None, or what get_config"):
        KMixupLayer(2, adapted=adapted)


def test_what_an_adaptation_gave():
    layer = KMixupLayer(2, name="adapted")
    layer.adapt(tf.data.Dataset.from_tensors((X, Y)))
    adapted = layer.get_config()["adapted"]
    assert adapted["scales"]
    assert KMixupLayer(2, adapted=adapted).get_config()["adapted"] == adapted


@pytest.mark.parametrize("argument", ["schedule", "embedding"])
@pytest.mark.parametrize("layer", [MixLayer, lambda **told: ChoiceLayer([MixLayer()], **told)], ids=["mix", "choice"])
def test_callables_are_asked_for_what_they_take(argument, layer):
    if argument == "embedding" and layer is not MixLayer:
        pytest.skip("A choice has none.")
    with pytest.raises(TypeError, match=f"{argument} must be a callable .*does not take 1 arguments"):
        layer(**{argument: lambda: 1.0})
    with pytest.raises(TypeError, match=rf"{argument} must be an object: with brackets, dict\(\.\.\.\)"):
        layer(**{argument: dict})


JUNK = [None, "x", {}, object()]


@pytest.mark.parametrize("junk", JUNK, ids=["none", "text", "dict", "object"])
def test_callables_that_give_no_numbers(junk):
    def given(*told):
        return junk

    for options, error in (
        ({"schedule": given}, "schedule must give a probability"),
        ({"ratio": given}, "ratio must give ratios"),
        ({"label_shares": given}, "given must return ratios"),
        ({"pairing": lambda *told: (junk, junk)}, r"must return Pairing\(partner, group\)"),
    ):
        with pytest.raises(TypeError, match=f"MixLayer: .*{error}.*Received: "):
            MixLayer(**options)(X, Y, seed=1, step=0)
    if junk is not None:  # Which says that all mixtures count alike.
        with pytest.raises(TypeError, match="MixLayer: given must give weights of the partners' shape"):
            MixLayer(weight=given)(X, Y, seed=1)
    with pytest.raises(TypeError, match=r"saliency must be a (float tensor|callable).*Received: "):
        PuzzleMixLayer(saliency=given)(IMAGES, Y, seed=1)


@pytest.mark.parametrize("shape", [(3,), (2, 6), (2, 2, 2)], ids=str)
def test_weights_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"MixLayer: <lambda> must give weights of the partners' shape.*Received"):
        MixLayer(weight=lambda *told: np.ones(shape, np.float32))(X, Y, seed=1)


def test_weights_that_are_integers_count_as_numbers():
    *_, weight = MixLayer(weight=lambda *told: np.array([2, 0, 0, 1, 0, 0]))(X, Y, seed=1)
    np.testing.assert_allclose(weight, [4, 0, 0, 2, 0, 0])


def test_an_embedding_of_another_length():
    layer = MixLayer(weight=lambda first, *told: tf.ones_like(first[0][:, 0]), embedding=lambda x: x[:4])
    with pytest.raises(ValueError, match=r"MixLayer: all parts .* embedding\(features\) of shape \(4, 4\)"):
        layer(X, Y, seed=1)


def test_numbers_of_classes_with_keys_of_two_kinds():
    with pytest.raises(TypeError, match=r"MixLayer: keys of a dictionary .*num_classes with keys \['a', 1\]"):
        MixLayer(num_classes={"a": 3, 1: 2})


def test_tensors_and_arrays_where_words_belong():
    number = tf.constant(1.0)
    for argument in ("match_on", "masks", "passthrough"):
        with pytest.raises(TypeError, match=f"MixLayer: {argument} must be a key"):
            MixLayer(**{argument: number})
    for value in (number, np.array(["a", "b"])):
        with pytest.raises(ValueError, match="KMixupLayer: scope must be one of"):
            KMixupLayer(2, scope=value)
        with pytest.raises(ValueError, match="MultiMixLayer: baseline must be one of"):
            MultiMixLayer(baseline=value)
