"""What someone should know before mixing these data, in plain words."""

from collections.abc import Iterator
from typing import Any

from kmix_tf.cli.audit.reading.sample import Sample
from kmix_tf.cli.audit.report.wording import count, listed, number, percent

# Mixtures of two classes of which so many fall to a third are worth a line, and so many lines are read.
_CONFLICT, _CONFLICTS_NAMED = 0.05, 4
# From here on, most mixtures are of the large classes with themselves.
_IMBALANCE = 10
# One feature with more of all squared distance than this decides who is near, if there are some features.
_DOMINANT, _FEW_FEATURES = 0.5, 3
# Where so many nearest neighbours disagree, distances say little about classes.
_OVERLAP = 0.2


def cautions(sample: Sample, measures: dict[str, Any], standardized: bool) -> list[dict[str, str]]:
    """A list of {about, text}."""
    found = [
        *_contradictory_copies(sample),
        *_conflicts(sample.classes, measures),
        *_overlap(measures),
        *_crossing(measures),
        *_scales(measures, standardized),
        *_constant(sample),
        *_balance(sample),
    ]
    return [{"about": about, "text": text} for about, text in found]


def _contradictory_copies(sample: Sample) -> Iterator[tuple[str, str]]:
    groups = sample.contradictions
    if groups:
        examples = "; ".join(" and ".join(map(str, group[:4])) for group in groups[:3])
        yield (
            "equal samples with different labels",
            f"Of {sample.searched:,} samples searched, {sum(map(len, groups)):,} have an exact copy with another "
            f"label, such as {examples}. Mixing cannot fix contradictions: mend the labels, or count on that error.",
        )


def _conflicts(classes: list[str], measures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    row = next(row for row in measures["conflicts"]["by_alpha"] if row["alpha"] == 1)
    named = [pair for pair in row["worst"] if pair["share"] >= _CONFLICT and pair["low"] >= _CONFLICT / 2]
    for pair in named[:_CONFLICTS_NAMED]:
        a, b = (classes[i] for i in pair["classes"])
        third = classes[pair["third"]]
        mixed, own = (f"within class {a}", "of its own") if a == b else (f"of classes {a} and {b}", f"of {a} or {b}")
        yield (
            "mixtures that fall to another class",
            f"At alpha = 1, {percent(pair['share'])} of the mixtures {mixed} are nearer to a sample of class {third} "
            f"than to any other sample {own}.",
        )


def _overlap(measures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    share = measures["closeness"]["nearest_is_other"]
    if share >= _OVERLAP:
        yield (
            "classes that overlap",
            f"The nearest neighbour of {percent(share)} of the samples is of another class: distances between these "
            "features say little about classes. Matching, local weights and this audit rest on them; try an "
            "embedding (embedding= in the layer; audit the embedded samples).",
        )


def _crossing(measures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    found = measures["steepness"]
    touching = found["full"] == float("inf")
    if touching and found["vanilla"] != float("inf"):
        yield (
            "mixtures that touch",
            "Same-class mixtures of different classes meet in a point: no continuous model is right on all of them. "
            f"Among pairs at most epsilon = {number(found['epsilon'])} apart, "
            + ("they still do." if found["local"] == float("inf") else "they do not."),
        )


def _scales(measures: dict[str, Any], standardized: bool) -> Iterator[tuple[str, str]]:
    scales = measures["scales"]
    if scales and not standardized and scales["features"] >= _FEW_FEATURES and scales["share"] > _DOMINANT:
        yield (
            "features of different scales",
            f"Feature {scales['widest']} alone makes up {percent(scales['share'])} of squared distances, so it "
            "decides who is matched and who is near. Bring features to one scale (layer.adapt(dataset) does), and "
            "audit with --standardize.",
        )


def _constant(sample: Sample) -> Iterator[tuple[str, str]]:
    if sample.constant and sample.x.ndim == 2:
        # Edges of images are often constant, which means nothing.
        yield (
            "constant features",
            f"{count(len(sample.constant), 'feature')} of {sample.x.shape[1]} never change: "
            f"{listed(sample.constant)}. They tell nothing and mix to themselves.",
        )


def _balance(sample: Sample) -> Iterator[tuple[str, str]]:
    largest, smallest = int(sample.counts.argmax()), int(sample.counts.argmin())
    if sample.counts[largest] >= _IMBALANCE * sample.counts[smallest]:
        share = sample.counts[largest] / sample.counts.sum()
        yield (
            "unbalanced classes",
            f"Class {sample.classes[largest]} has {sample.counts[largest]:,} samples, class "
            f"{sample.classes[smallest]} has {sample.counts[smallest]:,}. {percent(share**2)} of random pairs lie "
            "within the largest class; OtherClassPairing() or balanced batches mix more across classes.",
        )
    single = [name for name, samples in zip(sample.classes, sample.counts, strict=True) if samples == 1]
    if single:
        yield "classes of one sample", f"Of {count(len(single), 'class')} there is one sample only: {listed(single)}."
    measured = {int(label) for label in sample.y}
    unseen = [name for i, name in enumerate(sample.classes) if i not in measured]
    if unseen:
        yield (
            "classes not measured",
            f"The sample drawn holds none of {count(len(unseen), 'class')}: {listed(unseen)}. Raise --max-samples.",
        )
