"""Mixtures of an album, each with what its label says."""

from typing import NamedTuple

import numpy as np

from kmix_tf.cli.gallery.blends import BLENDS, SETTINGS, Entry, Setting, code, make_layer
from kmix_tf.cli.gallery.images import Album
from kmix_tf.layers import KMixupLayer

PAIRS = 6


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


def shown_rows(album: Album, seed: int) -> list[int]:
    """The samples on show: the first whose random partner is another kind of thing, then any."""
    partner = KMixupLayer(1, features_only=True).plan([album.images], seed).partner.numpy()
    return sorted(range(len(partner)), key=lambda row: album.names[row] == album.names[partner[row]])[:PAIRS]


def make_group(album: Album, entry: Entry, setting: Setting, rows: list[int], seed: int) -> Group:
    """Mixes the album in one setting. Each image is a class of its own, so that the labels tell all shares."""
    layer, count = make_layer(entry, setting), len(album.images)
    labels = np.eye(count, dtype=np.float32)
    x, y = (part.numpy() for part in layer(album.images, labels, seed=seed))
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
    return Group(entry, setting, code(entry, setting, seed), mixtures)


def distances(album: Album, seed: int) -> dict[int, float]:
    """How far apart partners are, for each k on show: the root of the mean squared difference of their pixels."""
    found = {}
    for k in sorted({setting.k for setting in SETTINGS}):
        partner = KMixupLayer(k, features_only=True).plan([album.images], seed).partner.numpy()
        found[k] = float(np.sqrt(np.mean((album.images - album.images[partner]) ** 2)))
    return found


def all_settings() -> list[tuple[Entry, Setting]]:
    """Every blend in every setting, in the page's order."""
    return [(entry, setting) for entry in BLENDS for setting in SETTINGS]
