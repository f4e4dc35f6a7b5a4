"""The blends on show, and mixtures of an album by each, with what their labels say."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import layers
from kmix_tf.cli.gallery.images import Album

# One mixture of a pair shows most with shares near a half; several, with shares from end to end.
ALPHA, ALPHA_OF_SEVERAL = 2.0, 1.0
INTERPOLATIONS = 5
GROUP = 16
PAIRS = 6


class Entry(NamedTuple):
    """A blend's name, the layer that makes it, and what it does in a sentence."""

    title: str
    layer: type[layers.MixLayer]
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


_WHOLE = "The weighted mean of two whole images: both shine through everywhere, as in plain mixup and k-mixup."
_BOX = "A box of the partner is pasted into the sample, wherever chance puts it; labels count its pixels."
_MASK = "The partner shows through a mask of any shape, cut from smooth noise; labels count the mask's pixels."
_OBJECT = "A box round the partner's most salient place is pasted at the same place, so that it brings an object."
_BLOCKS = (
    "Blocks of both, or half of each, are laid so that what is salient in either shows; some are moved to do so."
)
BLENDS = (
    Entry("Linear", layers.KMixupLayer, _WHOLE),
    Entry("CutMix", layers.CutMixLayer, _BOX),
    Entry("FMix", layers.FMixLayer, _MASK),
    Entry("SaliencyMix", layers.SaliencyMixLayer, _OBJECT),
    Entry("Puzzle Mix", layers.PuzzleMixLayer, _BLOCKS),
)
SETTINGS = (Setting(1, 1), Setting(GROUP, 1), Setting(1, INTERPOLATIONS), Setting(GROUP, INTERPOLATIONS))


def shown_rows(album: Album, seed: int) -> list[int]:
    """The samples on show: the first whose random partner is another kind of thing, then any."""
    partner = _partners(album, 1, seed)
    return sorted(range(len(partner)), key=lambda row: album.names[row] == album.names[partner[row]])[:PAIRS]


def make_group(album: Album, entry: Entry, setting: Setting, rows: list[int], seed: int) -> Group:
    """Mixes the album in one setting. Each image is a class of its own, so that the labels tell all shares."""
    layer, count = entry.layer(**setting.arguments), len(album.images)
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
    code = f"x, y = {entry.layer.__name__}({arguments})(images, labels, seed={seed})"
    return Group(entry, setting, code, mixtures)


def partner_distances(album: Album, seed: int) -> dict[int, float]:
    """How far apart partners are, for each k on show: the root of the mean squared difference of their pixels."""
    apart = {k: album.images - album.images[_partners(album, k, seed)] for k in (1, GROUP)}
    return {k: float(np.sqrt(np.mean(difference**2))) for k, difference in apart.items()}


def _partners(album: Album, k: int, seed: int) -> np.ndarray:
    return layers.KMixupLayer(k, features_only=True).plan([album.images], seed).partner.numpy()
