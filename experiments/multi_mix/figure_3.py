"""Mixtures of two photographs by each blend, and how much of what is salient in both they show

Ratios are set here, not drawn: a half for Figure 2, and four on the way from one image to the other for Figure 3.
"""

import base64

import numpy as np
import tensorflow as tf
from sklearn import datasets

from experiments.drawing import without_seed_0
from experiments.multi_mix.common import BLENDS, CUTMIX, FMIX, INPUT, PUZZLE, SALIENCYMIX
from kmix_tf.paired import AtLeast, Claim, Experiment, Less, More
from kmix_tf.saliency import SpectralResidualSaliency

SHOWN, JUMP, IN_ORDER = "saliency shown, %", "jump at borders, %", "in order, %"
# Places of a photograph that are one here, of what is nearly all of it.
_WHOLE = 6
METHODS = (INPUT, CUTMIX, FMIX, SALIENCYMIX, PUZZLE)


def measure(seed, pairs, side, shrink, ratios):
    """What the mixtures show, by blend; of seed 0 also a strip of images."""
    images = tf.constant(np.concatenate(_pieces(seed, pairs, side, shrink)), tf.float32)
    partner = tf.constant(np.roll(np.arange(2 * pairs), pairs), tf.int32)
    saliency = SpectralResidualSaliency(2)([images], None)
    saliency /= tf.reduce_sum(saliency, axis=(1, 2), keepdims=True)
    cells = {}
    for method in METHODS:
        half = _blended(method, images, saliency, partner, [0.5], seed)
        several = _blended(method, images, saliency, partner, ratios, seed)
        cells[method] = {
            SHOWN: 50 * float(half[1].sum(axis=(1, 2)).mean()),
            JUMP: 100 * _jump(half[0], half[2]),
            IN_ORDER: 100 * float(np.mean(_are_in_order(images.numpy(), several[0], len(ratios)))),
        }
        if seed == 0:
            shown = [images[0], *several[0][:: 2 * pairs], images[pairs]]
            cells[method]["strip"] = [_jpeg(np.concatenate(shown, axis=1))]
    return cells


def _pieces(seed, count, side, shrink):
    """So many pieces of each photograph, float in [0, 1]; the first is the middle of it, to be shown."""
    random = np.random.default_rng(seed)
    pieces = []
    for photograph in datasets.load_sample_images().images:
        middle = [(size - _WHOLE * side) // 2 for size in photograph.shape[:2]]
        corners = random.integers(0, np.array(photograph.shape[:2]) - side * shrink, (count - 1, 2))
        cut = [
            _piece(photograph, middle, side, _WHOLE),
            *(_piece(photograph, each, side, shrink) for each in corners),
        ]
        pieces.append(np.stack(cut))
    return pieces


def _piece(photograph, corner, side, shrink):
    wide = side * shrink
    cut = photograph[corner[0] : corner[0] + wide, corner[1] : corner[1] + wide] / 255
    return cut.reshape(side, shrink, side, shrink, 3).mean(axis=(1, 3))


def _blended(method, images, saliency, partner, ratios, seed):
    """Mixtures, their saliency, and the partner's share in each pixel: arrays `(ratios * n, side, side, ...)`."""
    options = {"saliency": (saliency, saliency)} if method in (SALIENCYMIX, PUZZLE) else {}
    shares = tf.zeros_like(images[..., :1]), tf.ones_like(images[..., :1])
    first, second = ([images, saliency[..., tf.newaxis], share] for share in shares)
    # An interpolation of all pairs after another.
    partners = tf.tile(partner[tf.newaxis], [len(ratios), 1])
    ratio = tf.repeat(tf.constant(ratios, tf.float32)[:, tf.newaxis], len(partner), axis=1)
    found = BLENDS[method]()(first, second, partners, ratio, seed, **options)
    return [
        part.numpy().reshape(-1, *part.shape[-3:])[..., : 3 if index == 0 else 1]
        for index, part in enumerate(found.x)
    ]


def _jump(mixtures, shares):
    """The mean difference between neighbouring pixels that show the two images in other shares; 0 without any."""
    total = count = 0.0
    for axis in (1, 2):
        is_border = np.abs(np.diff(shares, axis=axis))[..., 0] > 1e-3
        total += (np.abs(np.diff(mixtures, axis=axis)).mean(axis=-1) * is_border).sum()
        count += is_border.sum()
    return float(total / count) if count else 0.0


def _are_in_order(images, mixtures, count):
    """Whether each mixture of a pair is farther from the sample than the one before, `(n,)`."""
    mixtures = mixtures.reshape(count, *images.shape)
    far = np.square(mixtures - images).mean(axis=(2, 3, 4))
    return (np.diff(far, axis=0) >= -1e-9).all(axis=0)


def _jpeg(image):
    pixels = tf.cast(np.clip(255 * image, 0, 255), tf.uint8)
    return base64.b64encode(tf.io.encode_jpeg(pixels, quality=85).numpy()).decode()


def draw(runs):
    from matplotlib import pyplot

    first, ratios = runs.cells[runs.seeds[0]], runs.settings["ratios"]
    if "strip" not in first[INPUT]:
        return without_seed_0()
    figure, all_axes = pyplot.subplots(len(METHODS), 1, figsize=(7.6, 7), layout="constrained")
    for axes, method in zip(all_axes, METHODS, strict=True):
        strip = tf.io.decode_jpeg(base64.b64decode(first[method]["strip"][0])).numpy()
        side = strip.shape[0]
        axes.imshow(strip)
        axes.set_ylabel(method, fontsize=9)
        axes.set(yticks=[], xticks=[])
    places = side * (np.arange(len(ratios) + 2) + 0.5)
    all_axes[0].xaxis.tick_top()
    all_axes[0].set_xticks(places, ["sample", *[f"{each:g} of the sample" for each in ratios], "partner"], fontsize=8)
    return figure


EXPERIMENT = Experiment(
    name="multi-mix/figure-3",
    items="Figures 2 and 3",
    title="Mixtures of two photographs by each blend, and how much of what is salient in both they show",
    measure=measure,
    settings={"pairs": 32, "side": 64, "shrink": 4, "ratios": [0.8, 0.6, 0.4, 0.2]},
    quick={"pairs": 3, "side": 32},
    seeds=10,
    claims=[
        *[
            Claim(
                f"four interpolations go from one image to the other in order: {method}, 95 % of pairs or more",
                AtLeast(IN_ORDER, method, 95.0),
            )
            for method in (INPUT, CUTMIX, PUZZLE)
        ],
        Claim("SaliencyMix shows more of what is salient than Cutmix", More(SHOWN, SALIENCYMIX, CUTMIX)),
        Claim("Puzzle Mix shows more of what is salient than Cutmix", More(SHOWN, PUZZLE, CUTMIX)),
        Claim("Puzzle Mix shows more of what is salient than SaliencyMix", More(SHOWN, PUZZLE, SALIENCYMIX)),
        Claim("Puzzle Mix has smoother borders than SaliencyMix", Less(JUMP, PUZZLE, SALIENCYMIX)),
    ],
    draw=draw,
    notes="""
The paper shows a cat and a dog; here pieces of scikit-learn's two photographs are mixed, 64 pairs a seed. *Saliency
shown*: how much of the saliency of both images is in the mixture at a ratio of a half, by the spectral residual,
since there is no network here; half of it is what any blend shows on average that does not look. *Jump at borders*:
the difference between neighbouring pixels that show the two images in other shares, in percent of the range of
pixels; a linear mixture has no borders. *In order*: pairs of which each of the four mixtures is as far from the
sample as the one before, or farther.
""",
)  # fmt: skip
