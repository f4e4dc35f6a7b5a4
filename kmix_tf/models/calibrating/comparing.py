"""Five ways to read a model's answers, on the same held-out data, and which of them to take."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kmix_tf.maths.reliability import ReliabilityCurve
from kmix_tf.models.calibrating.fits import fit
from kmix_tf.models.calibrating.maps import AnswerMap, Temperature
from kmix_tf.models.calibrating.rows import Rows
from kmix_tf.models.calibrating.scores import Scored, Scores, scored

PLAIN, SHRUNK = "plain", "shrunk"
# In how many parts samples are taken, each of which is scored by what the others say; of more numbers, in two.
_PARTS, _LARGE = 10, 2**23
# By name, in the order of tables.
WAYS = {
    "plain": "the model as it is",
    "theta": "its logits / theta; nothing is fitted",
    "rescaled": "eq. (22): input shrunk, answer stretched",
    "temperature": "one temperature, fitted",
    "both": "eq. (22), and one temperature fitted",
}
_SHRINKING = ("rescaled", "both")
_TO_CALL = {
    "plain": "calibrate(method=None), or the wrapped model itself",
    "theta": "calibrate(method='theta')",
    "rescaled": "the rescaled model as it is",
    "temperature": "calibrate(held_out)",
    "both": "calibrate(held_out, shrink=True)",
}


class Comparison(NamedTuple):
    """What five ways to read one output are worth, each a `Scores`. Printed, it is a table.

    plain: the wrapped model. rescaled: eq. (22). theta: the wrapped model's logits divided by theta, as eq. (22) does
    it, without shrinking the input. temperature: the wrapped model's, divided by a fitted number. both: eq. (22),
    divided by a fitted number. The last two are scored on each tenth of the samples by what is fitted on the others
    (on halves, where there are millions); None where there is no temperature that fits.

    recommended: the name of one of them, that of the least loss; but one that shrinks inputs, which may change
    classes, only if its loss is less than the others' by more than a standard error. reason: why, a sentence.
    classes, only if its loss is less than the others' by more than a standard error. reason: why, a sentence.
    fitted: the maps "temperature" and "both" of all of
    """

    plain: Scores
    rescaled: Scores
    theta: Scores
    temperature: Scores | None
    both: Scores | None
    recommended: str
    reason: str
    fitted: dict[str, AnswerMap]
    curves: dict[str, ReliabilityCurve]
    samples: int

    def scores(self) -> dict[str, Scores]:
        """Those that there are, by name."""
        found = {name: getattr(self, name) for name in WAYS}
        return {name: each for name, each in found.items() if each is not None}

    def __str__(self) -> str:
        fields = [name for name in Scores._fields if getattr(self.plain, name) is not None]
        titles = [
            {"calibration_error": "calibration", "calibration_floor": "(floor)"}.get(each, each) for each in fields
        ]
        rows = [f"{'':12}" + "".join(f"{title:>13}" for title in titles)]
        for name, each in self.scores().items():
            values = "".join(f"{getattr(each, field):13.4g}" for field in fields)
            rows.append(f"{name:12}{values}  {WAYS[name]}{self._number(name)}")
        return "\n".join([*rows, self.reason])

    def _number(self, name: str) -> str:
        found = self.fitted.get(name)
        return f": {found.temperature:.3g}" if isinstance(found, Temperature) else ""


def compared(rows: Rows, theta: float, bins: int) -> Comparison:
    """Compares the ways on rows that have the sets "plain" and "shrunk", at least one row.

    Args:
        theta: by which eq. (22) divides.
    """
    plain, shrunk = rows.sets[PLAIN], rows.sets[SHRUNK]
    answers = {"plain": plain, "theta": plain / np.float32(theta), "rescaled": shrunk}
    results = {name: scored(rows, logits, bins) for name, logits in answers.items()}
    fitted = {}
    for name, logits in (("temperature", plain), ("both", shrunk)):
        try:
            fitted[name] = fit("temperature", rows, logits)
            results[name] = scored(rows, _across(rows, logits), bins)
        except ValueError:
            fitted.pop(name, None)  # No temperature: `calibrate` says why.
    results = {name: results[name] for name in WAYS if name in results}
    recommended, reason = _recommended(results)
    found = {name: each.scores for name, each in results.items()}
    curves = {name: each.curve for name, each in results.items() if each.curve is not None}
    samples = len(next(iter(results.values())).losses)
    return Comparison(
        found["plain"], found["rescaled"], found["theta"], found.get("temperature"), found.get("both"),
        recommended, reason, fitted, curves, samples,
    )  # fmt: skip


def _across(rows: Rows, logits: np.ndarray) -> np.ndarray:
    """Each part of the samples, mapped as is best for all others."""
    names, index = np.unique(rows.samples, return_inverse=True)
    parts = 2 if logits.size > _LARGE else min(_PARTS, len(names))
    part = (np.random.default_rng(0).permutation(len(names)) % parts)[index]
    mapped = np.empty_like(logits)
    for each in range(parts):
        others = part != each
        found = fit("temperature", rows.at(others), logits[others])
        mapped[~others] = np.asarray(found(logits[~others]))
    return mapped


def _recommended(results: dict[str, Scored]) -> tuple[str, str]:
    """The way of the least loss; one that shrinks inputs, which changes classes, only if it is clearly better."""
    kept = min((name for name in results if name not in _SHRINKING), key=lambda name: results[name].losses.mean())
    best = min(results, key=lambda name: results[name].losses.mean())
    gap = results[kept].losses - results[best].losses
    error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else np.inf
    chosen = best if gap.mean() > error else kept
    return chosen, _reason(chosen, best, results)


def _reason(name: str, best: str, results: dict[str, Scored]) -> str:
    loss: Callable[[str], str] = lambda which: f"{results[which].scores.loss:.4g}"  # noqa: E731
    text = f"Take {name}, which is {_TO_CALL[name]}: "
    if name == best:
        return f"{text}it has the least loss, {loss(name)}; plain has {loss('plain')}."
    return f"{text}its loss, {loss(name)}, is within a standard error of the least, {loss(best)} ({best})."
