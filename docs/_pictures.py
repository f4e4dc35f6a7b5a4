"""Draws the pictures of the cards in docs/methods: `python docs/_pictures.py [name ...]`.

They are committed: to draw them takes minutes, and they change only with the mixes. All mixes of images are shown on
the same photographs, which `kmix-tf gallery` has as well.
"""

import pathlib
import sys
from collections.abc import Callable, Sequence

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from _plots import PLOTS
from matplotlib.figure import Figure

from kmix_tf import AutoMixModel, BetaRatio, CoMixupLayer, KMixupLayer, MixLayer, RecursiveMixLayer, mix
from kmix_tf.cli.gallery.images import Album, photograph_album
from kmix_tf.cli.gallery.mixtures import BLENDS, SETTINGS, Entry, Setting, make_group, shown_rows

FOLDER = pathlib.Path(__file__).parent / "methods" / "pictures"
SEED, SHOWN, SMALL = 0, 4, 2
# Of the gallery's blends, by card.
STRIPS = {
    "cutmix": "CutMix",
    "fmix": "FMix",
    "resizemix": "ResizeMix",
    "gridmix": "GridMix",
    "smoothmix": "SmoothMix",
    "saliencymix": "SaliencyMix",
    "attentive": "Attentive CutMix",
    "puzzlemix": "Puzzle Mix",
    "alignmix": "AlignMixup",
    "stylemix": "StyleMix",
}


def _sheet(rows: dict[str, Sequence[np.ndarray]], captions: dict[str, Sequence[str]]) -> Figure:
    """Rows of images, named at the left, with captions below some."""
    columns = max(len(row) for row in rows.values())
    figure, all_axes = plt.subplots(
        len(rows), columns, figsize=(1.35 * columns + 0.4, 1.5 * len(rows) + 0.3), squeeze=False, layout="constrained"
    )
    for (name, row), axes in zip(rows.items(), all_axes, strict=True):
        axes[0].set_ylabel(name, fontsize=9)
        for at, (image, axis) in enumerate(zip(row, axes, strict=True)):
            axis.imshow(np.clip(image, 0, 1))
            axis.set_xticks([])
            axis.set_yticks([])
            if name in captions:
                axis.set_xlabel(captions[name][at], fontsize=8)
    return figure


def _save(name: str, figure: Figure, images: Sequence[np.ndarray]) -> None:
    """The picture of a card, and a small one of some mixtures for the page that lists all."""
    figure.savefig(FOLDER / f"{name}.jpg", dpi=110, pil_kwargs={"quality": 85})
    plt.close(figure)
    wide = np.concatenate([np.clip(image, 0, 1) for image in images[:SMALL]], axis=1)
    tf.io.write_file(
        str(FOLDER / f"{name}-small.jpg"), tf.io.encode_jpeg(np.round(255 * wide).astype(np.uint8), quality=88)
    )


def _mixed(name: str, album: Album, rows: list[int], entry: Entry, setting: Setting) -> None:
    """Some pairs, and the mixture of each."""
    mixtures = make_group(album, entry, setting, rows, SEED).mixtures
    shown = {
        "sample": [album.images[one.sample] for one in mixtures],
        "partner": [album.images[one.partner] for one in mixtures],
        "mixture": [one.image for one in mixtures],
    }
    _save(name, _sheet(shown, {"mixture": [_share(one.share) for one in mixtures]}), shown["mixture"])


def _share(share: float) -> str:
    return f"label: {share:.2f} + {1 - share:.2f}"


def _of_the_gallery(name: str, album: Album, rows: list[int]) -> None:
    entry = next(each for each in BLENDS if each.title == STRIPS[name])
    _mixed(name, album, rows, entry, SETTINGS[0])


def _kmixup(name: str, album: Album, rows: list[int]) -> None:
    """The same samples with random and with matched partners."""
    one, many = (make_group(album, BLENDS[0], SETTINGS[at], rows, SEED).mixtures for at in (0, 1))
    shown = {
        "sample": [album.images[each.sample] for each in one],
        "random": [album.images[each.partner] for each in one],
        "mixture, k = 1": [each.image for each in one],
        "matched": [album.images[each.partner] for each in many],
        "mixture, k = 16": [each.image for each in many],
    }
    captions = {"mixture, k = 1": [_share(each.share) for each in one]}
    captions["mixture, k = 16"] = [_share(each.share) for each in many]
    _save(name, _sheet(shown, captions), shown["mixture, k = 16"])


def _multimix(name: str, album: Album, rows: list[int]) -> None:
    """One pair, all its mixtures."""
    mixtures = make_group(album, BLENDS[0], SETTINGS[2], rows, SEED).mixtures
    images, captions = [one.image for one in mixtures], [_share(one.share) for one in mixtures]
    _save(name, _sheet({"mixtures of one pair": images}, {"mixtures of one pair": captions}), images[1:4:2])


def _regmixup(name: str, album: Album, rows: list[int]) -> None:
    """Mixtures near the middle, beside the samples, which are trained on as well."""
    layer = KMixupLayer(1, alpha=20.0, scope="sample")
    labels = np.eye(len(album.images), dtype=np.float32)
    x, y = layer(album.images, labels, seed=SEED)
    mixtures, shares = x.numpy()[rows], y.numpy()[rows, rows]
    shown = {"sample: one loss": album.images[rows], "mixture: another": mixtures}
    _save(name, _sheet(shown, {"mixture: another": [_share(share) for share in shares]}), mixtures)


def _comixup(name: str, album: Album, rows: list[int]) -> None:
    labels = np.eye(len(album.images), dtype=np.float32)
    _collages(name, *CoMixupLayer()(album.images, labels, seed=SEED))


def _recursivemix(name: str, album: Album, rows: list[int]) -> None:
    """The last batch of some, so that there is something in what is pasted."""
    labels, each = np.eye(len(album.images), dtype=np.float32), len(album.images) // 4
    dataset = tf.data.Dataset.from_tensor_slices((album.images, labels)).batch(each)
    *_, (x, y) = dataset.apply(mix(RecursiveMixLayer(scope="sample"), seed=SEED))
    _collages(name, x, y)


def _collages(name: str, x: tf.Tensor, y: tf.Tensor) -> None:
    """The mixtures with the least of their first image, and the largest shares of their labels."""
    shares = -np.sort(-y.numpy())[:, :4]
    rows = np.argsort(shares[:, 0])[:SHOWN]
    images = x.numpy()[rows]
    captions = ["label: " + "\n+ ".join(f"{share:.2f}" for share in row if share >= 0.005) for row in shares[rows]]
    _save(name, _sheet({"mixture": images}, {"mixture": captions}), images)


def _automix(name: str, album: Album, rows: list[int]) -> None:
    """Masks that a block has learnt on these photographs, at half their size, and the mixtures that they make."""
    keras.utils.set_random_seed(SEED)
    layers, names = keras.layers, sorted(set(album.names))
    images = album.images.reshape(len(album.images), 48, 2, 48, 2, 3).mean(axis=(2, 4))
    labels = np.array([names.index(each) for each in album.names])
    x = inputs = keras.Input(images.shape[1:])
    for stage in range(3):
        x = layers.Conv2D(16 << stage, 3, 2, padding="same", activation="relu", name=f"stage_{stage}")(x)
    model = keras.Model(inputs, layers.Dense(len(names))(layers.GlobalAveragePooling2D()(x)))
    layer = MixLayer(ratio=BetaRatio(2.0, scope="sample"), num_classes=len(names))
    mixing = AutoMixModel(model, "stage_1", layer, momentum=0.97, area_weight=3.0, variance_weight=0.2, seed=SEED)
    mixing.compile(keras.optimizers.Adam(4e-3), keras.losses.CategoricalCrossentropy(from_logits=True))
    mixing.fit(images, labels, batch_size=len(labels), epochs=200, verbose=0)
    plan = layer.plan([images], SEED)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()
    maps = keras.Model(model.inputs, model.get_layer("stage_1").output)(images)
    small = mixing.block(maps, tf.gather(maps, partner), tf.constant(ratio))[..., tf.newaxis]
    mask = tf.image.resize(small, album.images.shape[1:3], method="nearest").numpy()
    mixed = mask * album.images + (1 - mask) * album.images[partner]
    shown = {
        "sample": album.images[rows],
        "partner": album.images[partner[rows]],
        "mask": np.repeat(mask[rows], 3, axis=-1),
        "mixture": mixed[rows],
    }
    _save(name, _sheet(shown, {"mixture": [_share(share) for share in mask[rows].mean(axis=(1, 2, 3))]}), mixed[rows])


PICTURES: dict[str, Callable[[str, Album, list[int]], None]] = {
    "kmixup": _kmixup,
    "multimix": _multimix,
    **dict.fromkeys(STRIPS, _of_the_gallery),
    "comixup": _comixup,
    "recursivemix": _recursivemix,
    "regmixup": _regmixup,
    "automix": _automix,
}


def main(wanted: Sequence[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    album = photograph_album(SEED)
    rows = shown_rows(album, SEED)[:SHOWN]
    for name in wanted or [*PICTURES, *PLOTS]:
        if name in PLOTS:
            PLOTS[name]().savefig(FOLDER / f"{name}.png", dpi=110)
            plt.close("all")
        else:
            PICTURES[name](name, album, rows)
        print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
