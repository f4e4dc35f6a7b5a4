"""The blends on show, and the settings they are shown with."""

import importlib
from typing import Any, NamedTuple

from kmix_tf.layers import MixLayer

# One mixture of a pair shows most with shares near a half; several, with shares from end to end.
ALPHA, ALPHA_OF_SEVERAL = 2.0, 1.0
INTERPOLATIONS = 5
GROUP = 16


class Entry(NamedTuple):
    """A blend's name, the layer that makes it, and what it does in a sentence."""

    title: str
    module: str
    layer: str
    explanation: str


class Setting(NamedTuple):
    """Samples in a group that is matched, and mixtures of each pair."""

    k: int
    interpolations: int


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


def make_layer(entry: Entry, setting: Setting) -> MixLayer:
    """The layer that a blend is shown with. Imported here, so that one page needs no more than its blends do."""
    module = importlib.import_module(f"kmix_tf.layers.{entry.module}")
    return getattr(module, entry.layer)(**_arguments(setting))


def code(entry: Entry, setting: Setting, seed: int) -> str:
    """The line that makes a batch of mixtures."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in _arguments(setting).items())
    return f"x, y = {entry.layer}({arguments})(images, labels, seed={seed})"


def _arguments(setting: Setting) -> dict[str, Any]:
    if setting.interpolations == 1:
        return {"k": setting.k, "alpha": ALPHA, "scope": "sample"}
    several = {"interpolations": setting.interpolations}
    return {"k": setting.k, "alpha": ALPHA_OF_SEVERAL, "scope": "sample", **several}
