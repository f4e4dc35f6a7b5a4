"""The blends on show, and mixtures of an album by each, with what their labels say."""

import importlib
from typing import Any, NamedTuple

import numpy as np

from kmix_tf.cli.gallery.images import Album
from kmix_tf.layers import KMixupLayer

# One mixture of a pair shows most with shares near a half; several, with shares from end to end.
ALPHA, ALPHA_OF_SEVERAL = 2.0, 1.0
INTERPOLATIONS = 5
GROUP = 16
PAIRS = 6


class Entry(NamedTuple):
    """A blend's name, the layer that makes it and its module, and what it does in a sentence."""

    title: str
    module: str
    layer: str
    explanation: str


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


BLENDS = (
    Entry(
        "Linear",
        "kmixup",
        "KMixupLayer",
        "The weighted mean of two whole images: both shine through everywhere, as in plain mixup and k-mixup.",
    ),
    Entry(
        "CutMix",
        "cutmix",
        "CutMixLayer",
        "A box of the partner is pasted into the sample, wherever chance puts it; labels count its pixels.",
    ),
    Entry(
        "FMix",
        "fmix",
        "FMixLayer",
        "The partner shows through a mask of any shape, cut from smooth noise; labels count the mask's pixels.",
    ),
    Entry(
        "SaliencyMix",
        "saliencymix",
        "SaliencyMixLayer",
        "A box round the partner's most salient place is pasted at the same place, so that it brings an object.",
    ),
    Entry(
        "Puzzle Mix",
        "puzzlemix",
        "PuzzleMixLayer",
        "Blocks of both, or half of each, are laid so that what is salient in either shows; some are moved to do so.",
    ),
)
SETTINGS = (Setting(1, 1), Setting(GROUP, 1), Setting(1, INTERPOLATIONS), Setting(GROUP, INTERPOLATIONS))


def shown_rows(album: Album, seed: int) -> list[int]:
    """The samples on show: the first whose random partner is another kind of thing, then any."""
    partner = _partners(album, 1, seed)
    return sorted(range(len(partner)), key=lambda row: album.names[row] == album.names[partner[row]])[:PAIRS]


def make_group(album: Album, entry: Entry, setting: Setting, rows: list[int], seed: int) -> Group:
    """Mixes the album in one setting. Each image is a class of its own, so that the labels tell all shares."""
    # Imported here, so that a page needs no more than its blends do.
    module = importlib.import_module(f"kmix_tf.layers.{entry.module}")
    layer, count = getattr(module, entry.layer)(**setting.arguments), len(album.images)
    x, y = (part.numpy() for part in layer(album.images, np.eye(count, dtype=np.float32), seed=seed))
    plan = layer.plan([album.images], seed)
    if setting.interpolations > 1:
        # Ratios are the same for all blends: the pair whose mixtures differ most.
        spread = plan.ratio[0].numpy() - plan.ratio[-1].numpy()
        rows = [max(rows, key=lambda row: spread[row])]
    mixtures = [
        Mixture(x[step * count + row], row, int(plan.partner[row]), float(y[step * count + row, row]))
        for row in rows
        for step in range(setting.interpolations)
    ]
    arguments = ", ".join(f"{name}={value!r}" for name, value in setting.arguments.items())
    return Group(entry, setting, f"x, y = {entry.layer}({arguments})(images, labels, seed={seed})", mixtures)


def distances(album: Album, seed: int) -> dict[int, float]:
    """How far apart partners are, for each k on show: the root of the mean squared difference of their pixels."""
    found = {}
    for k in sorted({setting.k for setting in SETTINGS}):
        apart = album.images - album.images[_partners(album, k, seed)]
        found[k] = float(np.sqrt(np.mean(apart**2)))
    return found


def _partners(album: Album, k: int, seed: int) -> np.ndarray:
    return KMixupLayer(k, features_only=True).plan([album.images], seed).partner.numpy()
