"""The blends on show, and mixtures of an album by each, with what their labels say."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import layers
from kmix_tf.blend import AlignMixBlend, BlendStrategy, StyleMixBlend
from kmix_tf.cli.gallery.images import Album
from kmix_tf.decision import arguments_of

# One mixture of a pair shows most with shares near a half; several, with shares from end to end.
ALPHA, ALPHA_OF_SEVERAL = 2.0, 1.0
INTERPOLATIONS = 5
GROUP = 16
PAIRS = 6
# Sides of the pieces that stand for features, where a blend takes those.
PIECE = 4


class Entry(NamedTuple):
    """A blend's name, the layer that makes it, and what it does in a sentence.

    blend: how the blend is written, if not by the layer's own name. make: makes it of how images are cut into pieces
    and put together again. of_pieces: whether it mixes such pieces, and not images.
    """

    title: str
    layer: type[layers.MixLayer]
    explanation: str
    blend: str = ""
    make: Callable[..., BlendStrategy] | None = None
    of_pieces: bool = False

    def options(self, setting: "Setting") -> dict[str, Any]:
        """Those of the layer in a setting."""
        known = arguments_of(self.layer)
        return {name: value for name, value in setting.arguments.items() if name in known}


class Setting(NamedTuple):
    """Samples in a group that is matched, and mixtures of each pair."""

    k: int
    interpolations: int

    @property
    def arguments(self) -> dict[str, Any]:
        """Of a layer."""
        if self.interpolations == 1:
            return {"k": self.k, "alpha": ALPHA, "scope": "sample"}
        return {"k": self.k, "alpha": ALPHA_OF_SEVERAL, "scope": "sample", "interpolations": self.interpolations}


class Mixture(NamedTuple):
    """image: float32 `(height, width, channels)`. sample, partner: rows of the album. share: the sample's own, as
    the label gives it."""

    image: np.ndarray
    sample: int
    partner: int
    share: float


class Group(NamedTuple):
    """Mixtures of one blend in one setting, and the line of code that made them."""

    entry: Entry
    setting: Setting
    code: str
    mixtures: list[Mixture]


_WHOLE = "The weighted mean of two whole images: both shine through everywhere, as in plain mixup and k-mixup."
_BOX = "A box of the partner is pasted into the sample, wherever chance puts it; labels count its pixels."
_MASK = "The partner shows through a mask of any shape, cut from smooth noise; labels count the mask's pixels."
_OBJECT = "A box round the partner's most salient place is pasted at the same place, so that it brings an object."
_BLOCKS = (
    "Blocks of both, or half of each, are laid so that what is salient in either shows; some are moved to do so."
)
_SMALLER = "The whole partner, made smaller, is pasted somewhere into the sample, so that all of it is seen."
_CELLS = "The image is a grid of cells, and some, drawn by chance, are the partner's; labels count their pixels."
_SPOT = "The partner shows through a soft spot, so that no edge tells a mixture; labels are the spot's mean."
_ATTENDED = "The cells of a grid that matter most in the partner are pasted at the same places; labels count them."
_ALIGNED = (
    "The partner's pieces are moved to where the sample has what is most like them, and then averaged with it. "
    "It is made for the features of a hidden layer; here pieces of pixels stand for those."
)
_STYLE = (
    "What is shown and how it looks are mixed apart, each with a ratio of its own. It takes an encoder and a "
    "decoder; here pieces of pixels stand for features, whose style is their brightness and colours."
)
BLENDS = (
    Entry("Linear", layers.KMixupLayer, _WHOLE),
    Entry("CutMix", layers.CutMixLayer, _BOX),
    Entry("FMix", layers.FMixLayer, _MASK),
    Entry("ResizeMix", layers.ResizeMixLayer, _SMALLER),
    Entry("GridMix", layers.GridMixLayer, _CELLS),
    Entry("SmoothMix", layers.SmoothMixLayer, _SPOT),
    Entry("SaliencyMix", layers.SaliencyMixLayer, _OBJECT),
    Entry("Attentive CutMix", layers.AttentiveMixLayer, _ATTENDED),
    Entry("Puzzle Mix", layers.PuzzleMixLayer, _BLOCKS),
    Entry(
        "AlignMixup", layers.KMixupLayer, _ALIGNED, "AlignMixBlend(relative=True)",
        lambda cut, put: AlignMixBlend(relative=True), of_pieces=True,
    ),
    Entry("StyleMix", layers.KMixupLayer, _STYLE, "StyleMixBlend(cut, put)", StyleMixBlend),
)  # fmt: skip
SETTINGS = (Setting(1, 1), Setting(GROUP, 1), Setting(1, INTERPOLATIONS), Setting(GROUP, INTERPOLATIONS))


def shown_rows(album: Album, seed: int) -> list[int]:
    """The samples on show: the first whose random partner is another kind of thing, then any."""
    partner = _partners(album, 1, seed)
    return sorted(range(len(partner)), key=lambda row: album.names[row] == album.names[partner[row]])[:PAIRS]


def make_group(album: Album, entry: Entry, setting: Setting, rows: list[int], seed: int) -> Group:
    """Mixes the album in one setting. Each image is a class of its own, so that the labels tell all shares."""
    options, count = entry.options(setting), len(album.images)
    cut, put = pieces(album.images)
    blend: dict[str, Any] = {} if entry.make is None else {"blend": entry.make(cut, put)}
    layer, images = entry.layer(**options, **blend), cut(album.images) if entry.of_pieces else album.images
    x, y = layer(images, np.eye(count, dtype=np.float32), seed=seed)
    x, y, plan = (put(x) if entry.of_pieces else x).numpy(), y.numpy(), layer.plan([images], seed)
    if setting.interpolations > 1:
        # Ratios are the same for all blends: the pair whose mixtures differ most.
        spread = plan.ratio[0].numpy() - plan.ratio[-1].numpy()
        rows = [max(rows, key=lambda row: spread[row])]
    mixtures = [
        Mixture(x[step * count + row], row, int(plan.partner[row]), float(y[step * count + row, row]))
        for row in rows
        for step in range(setting.interpolations)
    ]
    arguments = [f"{name}={value!r}" for name, value in options.items()]
    arguments += [f"blend={entry.blend}"] if entry.blend else []
    of = "cut(images)" if entry.of_pieces else "images"
    code = f"x, y = {entry.layer.__name__}({', '.join(arguments)})({of}, labels, seed={seed})"
    return Group(entry, setting, code, mixtures)


def pieces(images: np.ndarray) -> tuple[Callable, Callable]:
    """What cuts images into square pieces, `(batch, rows, columns, channels of all pixels)`, and puts them together
    again; pixels are the pieces of images that are so small."""
    side = PIECE if min(images.shape[1:3]) > PIECE**2 else 1
    if side == 1:
        return tf.identity, tf.identity
    return lambda x: tf.nn.space_to_depth(x, side), lambda x: tf.nn.depth_to_space(x, side)


def partner_distances(album: Album, seed: int) -> dict[int, float]:
    """How far apart partners are, for each k on show: the root of the mean squared difference of their pixels."""
    apart = {k: album.images - album.images[_partners(album, k, seed)] for k in (1, GROUP)}
    return {k: float(np.sqrt(np.mean(difference**2))) for k, difference in apart.items()}


def _partners(album: Album, k: int, seed: int) -> np.ndarray:
    return layers.KMixupLayer(k, features_only=True).plan([album.images], seed).partner.numpy()
