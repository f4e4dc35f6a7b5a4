"""StyleCutMix against its formula in NumPy, place by place, with the box that CutMix would cut."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import CutMixLayer, MixLayer, StyleCutMixBlend

RNG = np.random.default_rng(16)


def images(*shape):
    return RNG.uniform(size=shape).astype(np.float32)


def test_mixtures_follow_the_formula(networks, in_style):
    first, second = images(3, 4, 6, 1), images(3, 4, 6, 1)
    partner, style, plain = [2, 0, 0], [0.5, 0.0, 0.8], [0.25, 0.5, 0.0]
    mask = (RNG.uniform(size=(3, 4, 6)) < 0.5).astype(np.float32)
    blend = StyleCutMixBlend(*networks)
    sides = [tf.constant(first)], [tf.constant(second)]
    pairs = blend._images(*sides, tf.constant(partner), tf.ones([3]))
    made = blend.stylised(pairs, tf.constant(partner), tf.constant(mask), tf.constant(style), tf.constant(plain))
    for row, (other, s, g) in enumerate(zip(partner, style, plain, strict=True)):
        a, b, own = first[row], second[other], mask[row][..., np.newaxis]
        ours, theirs = g * a + (1 - g) * in_style(a, b), g * b + (1 - g) * in_style(b, a)
        # The authors' formula, with the content c of each place.
        both = np.maximum(0, own + s - 1)
        expected = both * a + (1 - own - s + both) * b + (own - both) * ours + (s - both) * theirs
        np.testing.assert_allclose(made[row], expected, atol=1e-4)


def test_shares_in_labels_follow_content_and_style(networks):
    x = tf.constant(images(6, 8, 8, 1))
    partner, ratio = tf.constant([1, 2, 3, 4, 5, 0]), tf.fill([6], 0.5)
    content_alone = StyleCutMixBlend(*networks, content_share=1.0)([x], [x], partner, ratio, seed=3)
    np.testing.assert_allclose(content_alone.ratio, content_alone.mask.numpy().mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(content_alone.label_ratio, content_alone.ratio, atol=1e-6)
    # Without style, s is 1; without restyling, g is.
    c = content_alone.ratio.numpy()
    no_style = StyleCutMixBlend(*networks, style_alpha=0.0, plain_alpha=1e6, content_share=0.0)
    blended = no_style([x], [x], partner, ratio, seed=3)
    np.testing.assert_allclose(blended.label_ratio, 0.5 * c + 0.5, atol=2e-3)  # g c + (1 - g) s, with g nearly 1/2
    np.testing.assert_allclose(
        blended.x[0].numpy()[blended.mask.numpy() > 0], x.numpy()[blended.mask.numpy() > 0], atol=1e-6
    )
    plain = StyleCutMixBlend(*networks, plain_alpha=0.0, content_share=0.0)([x], [x], partner, ratio, seed=3)
    np.testing.assert_allclose(plain.label_ratio, c, atol=1e-6)
    own = plain.mask.numpy()[..., np.newaxis] > 0
    np.testing.assert_allclose(plain.x[0], np.where(own, x, tf.gather(x, partner)), atol=1e-6)


def test_maps_are_pasted_as_content_is(networks):
    x = images(5, 8, 8, 1)
    maps = np.broadcast_to(np.eye(5, dtype=np.float32)[:, np.newaxis, np.newaxis], (5, 8, 8, 5)).copy()
    layer = MixLayer(blend=StyleCutMixBlend(*networks))
    _, (mixed, label) = layer(x, (maps, np.eye(5, dtype=np.float32)), seed=2)
    assert set(np.unique(mixed)) == {0, 1}
    np.testing.assert_allclose(tf.reduce_sum(label, axis=1), 1, atol=1e-6)
    assert CutMixLayer().blend.axes == layer.blend.axes


def test_another_plain_alpha_is_refused(networks):
    with pytest.raises(ValueError, match=r"StyleCutMixBlend: plain_alpha must be .* Received: plain_alpha=-1"):
        StyleCutMixBlend(*networks, plain_alpha=-1)
