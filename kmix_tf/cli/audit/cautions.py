"""What someone should know before mixing these data, in plain words."""

from collections.abc import Iterator
from typing import Any

from kmix_tf.cli.audit.wording import count, listed, number, percent
from kmix_tf.cli.reading.sample import Sample

# Mixtures of two classes of which so many fall to a third are worth a line, and so many lines are read.
_CONFLICT, _CONFLICTS_NAMED = 0.05, 4
# From here on, most mixtures are of the large classes with themselves.
_IMBALANCE = 10
# One feature with more of all squared distance than this decides who is near, if there are some features.
_DOMINANT, _FEW_FEATURES = 0.5, 3
# Where so many nearest neighbours disagree, distances say little about classes.
_OVERLAP = 0.2


def cautions(
    sample: Sample, measures: dict[str, Any], standardized: bool, alpha: float = 1.0
) -> list[dict[str, str]]:
    """A list of {about, text}. alpha: the one asked for."""
    found = {
        "equal samples with different labels": _contradictory_copies(sample),
        "mixtures that fall to another class": _conflicts(sample.classes, measures, alpha),
        "classes that overlap": _overlap(measures["closeness"]["nearest_is_other"]),
        "mixtures that touch": _crossing(measures["steepness"]),
        "features of different scales": _scales(measures["scales"], standardized),
        "constant features": _constant(sample),
        "unbalanced classes": _balance(sample),
        "classes of one sample": _single(sample),
        "classes not measured": _unseen(sample),
    }
    return [{"about": about, "text": text} for about, texts in found.items() for text in texts]


def _contradictory_copies(sample: Sample) -> Iterator[str]:
    groups = sample.contradictions
    if groups:
        examples = "; ".join(" and ".join(map(str, group[:4])) for group in groups[:3])
        yield (
            f"Of {sample.searched:,} samples searched, {sum(map(len, groups)):,} have an exact copy with another "
            f"label, such as {examples}. Mixing cannot fix contradictions: mend the labels, or count on that error."
        )


def _conflicts(classes: list[str], measures: dict[str, Any], alpha: float) -> Iterator[str]:
    row = next(row for row in measures["conflicts"]["by_alpha"] if row["alpha"] == alpha)
    # What mixing adds, and surely at least half of it.
    enough = (("share", _CONFLICT), ("low", _CONFLICT / 2))
    named = [pair for pair in row["worst"] if all(pair[at] - pair["baseline"] >= least for at, least in enough)]
    for pair in named[:_CONFLICTS_NAMED]:
        a, b, third = (classes[i] for i in (*pair["classes"], pair["third"]))
        mixed, own = (f"within class {a}", "of its own") if a == b else (f"of classes {a} and {b}", f"of {a} or {b}")
        yield (
            f"At alpha = {alpha:g}, {percent(pair['share'])} of the mixtures {mixed} are nearer to a sample of class "
            f"{third} than to any other sample {own}; of the same samples unmixed, {percent(pair['baseline'])} are."
        )


def _overlap(share: float) -> Iterator[str]:
    if share >= _OVERLAP:
        yield (
            f"The nearest neighbour of {percent(share)} of the samples is of another class: distances between these "
            "features say little about classes. Matching, local weights and this audit rest on them; try an "
            "embedding (embedding= in the layer; audit the embedded samples)."
        )


def _crossing(found: dict[str, Any]) -> Iterator[str]:
    infinite = float("inf")
    if found["full"] == infinite and found["vanilla"] != infinite:
        yield (
            "Same-class mixtures of different classes meet in a point: no continuous model is right on all of them. "
            f"Among pairs at most epsilon = {number(found['epsilon'])} apart, "
            + ("they still do." if found["local"] == infinite else "they do not.")
        )


def _scales(scales: dict[str, Any] | None, standardized: bool) -> Iterator[str]:
    if scales and not standardized and scales["features"] >= _FEW_FEATURES and scales["share"] > _DOMINANT:
        yield (
            f"Feature {scales['widest']} alone makes up {percent(scales['share'])} of squared distances, so it "
            "decides who is matched and who is near. Bring features to one scale (layer.adapt(dataset) does), and "
            "audit with --standardize."
        )


def _constant(sample: Sample) -> Iterator[str]:
    # Edges of images are often constant, which means nothing.
    if sample.constant and sample.x.ndim == 2:
        yield (
            f"{count(len(sample.constant), 'feature')} of {sample.x.shape[1]} never change: "
            f"{listed(sample.constant)}. They tell nothing and mix to themselves."
        )


def _balance(sample: Sample) -> Iterator[str]:
    counts, names = sample.counts, sample.classes
    large, small = int(counts.argmax()), int(counts.argmin())
    if counts[large] >= _IMBALANCE * counts[small]:
        yield (
            f"Class {names[large]} has {counts[large]:,} samples, class {names[small]} has {counts[small]:,}. "
            f"{percent((counts[large] / counts.sum()) ** 2)} of random pairs lie within the largest class; "
            "OtherClassPairing() or balanced batches mix more across classes."
        )


def _single(sample: Sample) -> Iterator[str]:
    single = [name for name, samples in zip(sample.classes, sample.counts, strict=True) if samples == 1]
    if single:
        yield f"Of {count(len(single), 'class')} there is one sample only: {listed(single)}."


def _unseen(sample: Sample) -> Iterator[str]:
    measured = set(sample.y.tolist())
    unseen = [name for i, name in enumerate(sample.classes) if i not in measured]
    if unseen:
        yield f"The sample drawn holds none of {count(len(unseen), 'class')}: {listed(unseen)}. Raise --max-samples."
