"""LocalMixupLoss says what to do with losses that have no number for each sample, or targets at other places."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, LocalMixupLoss, MixModel, mix, pack_targets, unpack_targets

RNG = np.random.default_rng(2)
IMAGES = RNG.normal(size=(8, 6, 6, 3)).astype(np.float32)
MASKS = (RNG.random((8, 6, 6, 1)) > 0.5).astype(np.float32)
SOUNDS = RNG.normal(size=(8, 20, 5)).astype(np.float32)
LETTERS = RNG.integers(1, 5, (8, 7))


def dice_of_batch(y_true, y_pred):
    return 1 - 2 * tf.reduce_sum(y_true * y_pred) / (tf.reduce_sum(y_true) + tf.reduce_sum(y_pred))


def dice(y_true, y_pred):
    both, all_ = (tf.reduce_sum(each, axis=(1, 2, 3)) for each in (y_true * y_pred, y_true + y_pred))
    return 1 - 2 * both / all_


def ctc(y_true, y_pred):
    y_true, count = tf.cast(y_true, tf.int32), tf.shape(y_pred)[:1]
    lengths = [tf.tile(tf.shape(each)[1:2], count) for each in (y_true, y_pred)]
    return tf.nn.ctc_loss(y_true, y_pred, *lengths, logits_time_major=False, blank_index=0)


def segmenting():
    return keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(1, 1, activation="sigmoid")])


def listening():
    return keras.Sequential([keras.Input((20, 5)), keras.layers.Dense(5)])


def trained(network, loss, x, y):
    mixing = MixModel(network(), KMixupLayer(1, targets="packed"), seed=0)
    mixing.compile("sgd", loss)
    return mixing.fit(x, y, validation_data=(x, y), verbose=0).history


ONE_EACH = r"loss must give one number.*\(\w+, 6, 6\)\. Received"
LOSSES = {
    "batch": (segmenting, dice_of_batch, IMAGES, MASKS, rf"{ONE_EACH}: dice_of_batch, which gives \(\)"),
    "samples": (segmenting, dice, IMAGES, MASKS, rf"{ONE_EACH}: dice, which gives \(\w+,\)"),
    "other places": (listening, ctc, SOUNDS, LETTERS, r"a class at each place.*\(\w+, 7\).*\(\w+, 20, 5\), as CTC"),
    "as many places": (
        listening, ctc, SOUNDS, RNG.integers(1, 5, (8, 20)), r"each of both targets by itself.*ctc, which stopped",
    ),
}  # fmt: skip
if hasattr(keras.losses, "Dice"):
    LOSSES["Keras' Dice"] = (segmenting, keras.losses.Dice(), IMAGES, MASKS, "one number for each sample.*Dice")
if hasattr(keras.losses, "CTC"):
    LOSSES["Keras' CTC"] = (
        listening,
        keras.losses.CTC(),
        SOUNDS,
        LETTERS,
        "a class at each place of the predictions",
    )


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_cannot_be_mixed_so_is_refused_saying_what_to_do(name):
    network, loss, x, y, message = LOSSES[name]
    with pytest.raises(ValueError, match=rf"(?s)LocalMixupLoss: .*{message}.*function of your own.*unpack_targets"):
        trained(network, LocalMixupLoss(loss), x, y)
    model, data = network(), tf.data.Dataset.from_tensor_slices((x, y)).batch(8, drop_remainder=True)
    model.compile("sgd", LocalMixupLoss(loss))
    with pytest.raises(ValueError, match=rf"(?s)LocalMixupLoss: .*{message}.*function of your own"):
        model.fit(data.apply(mix(KMixupLayer(1, targets="packed"), seed=0)), verbose=0)


def test_what_shapes_do_not_show_beforehand_stops_as_well():
    loss = LocalMixupLoss(lambda y, p: tf.reshape(tf.square(y - p), [-1])[:5])
    signature = [tf.TensorSpec([None, 4]), tf.TensorSpec([None, 1])]
    packed = pack_targets(np.ones((8, 1), np.float32), np.ones((8, 1), np.float32), 0.5)

    @tf.function(input_signature=signature)
    def of_batch(y, p):
        return loss.call(y, p)

    with pytest.raises(
        (tf.errors.InvalidArgumentError, ValueError), match="LocalMixupLoss: loss must give one number"
    ):
        of_batch(packed, np.ones((8, 1), np.float32))


def test_what_the_message_says_to_do_gives_the_loss_of_both_targets():
    def by_hand(y_true, y_pred):
        y_a, y_b, ratio, weight = unpack_targets(y_true)
        ratio, weight = ratio[:, 0, 0], weight[:, 0, 0]
        return weight * (ratio * dice(y_a, y_pred) + (1 - ratio) * dice(y_b, y_pred))

    ratio, p = RNG.random(8).astype(np.float32), RNG.random((8, 6, 6, 1)).astype(np.float32)
    packed = pack_targets(MASKS, MASKS[::-1], ratio)

    def oracle(y):
        return 1 - 2 * (y * p).sum((1, 2, 3)) / (y + p).sum((1, 2, 3))

    expected = ratio * oracle(MASKS) + (1 - ratio) * oracle(MASKS[::-1])
    np.testing.assert_allclose(by_hand(packed, p), expected, rtol=1e-4)
    assert np.isfinite(trained(segmenting, by_hand, IMAGES, MASKS)["val_loss"]).all()

    def ctc_by_hand(y_true, y_pred):
        y_a, y_b, ratio, weight = unpack_targets(y_true)
        y_a, y_b, ratio, weight = y_a[..., 0, 0], y_b[..., 0, 0], ratio[..., 0], weight[..., 0]
        return weight[:, 0] * (ratio[:, 0] * ctc(y_a, y_pred) + (1 - ratio[:, 0]) * ctc(y_b, y_pred))

    packed, p = pack_targets(LETTERS, LETTERS[::-1], ratio), tf.constant(SOUNDS)
    expected = ratio * ctc(LETTERS, p) + (1 - ratio) * ctc(LETTERS[::-1], p)
    np.testing.assert_allclose(ctc_by_hand(packed, p), expected, rtol=1e-4)
    assert np.isfinite(trained(listening, ctc_by_hand, SOUNDS, LETTERS)["val_loss"]).all()
