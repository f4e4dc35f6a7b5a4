"""The demo's course: train by each arm with each seed, compare, draw, export and serve."""

import dataclasses
import json
import pathlib
import time
from typing import Any

import click
import numpy as np

from kmix_tf._writing import write_files
from kmix_tf.cli.demo import toy
from kmix_tf.cli.demo.arms import Arm, arms, kmixup
from kmix_tf.cli.demo.data import Data, load_digits, load_file, split
from kmix_tf.cli.demo.pictures import draw_pairs, draw_regions, draw_reliability, drawing
from kmix_tf.cli.demo.telling import apart, compared, differences, sentences, summary
from kmix_tf.cli.demo.training import BATCH, EPSILON, Course, Scored, export_and_serve
from kmix_tf.cli.places import writable_folder
from kmix_tf.cli.terminal import UserError, escaped, in_one_line, progress, show, written

# Of which the rescaled model is exported.
EXPORTED = kmixup(1.0)
_FIGURES = ("regions", "pairs", "reliability")


@dataclasses.dataclass(frozen=True)
class DemoRequest:
    """What the command line asks for, by its options; see their help."""

    data: str | None
    seeds: int
    epochs: int
    train: int | None
    wrong_labels: float
    out: str
    export: str
    as_json: bool


def run_demo(request: DemoRequest) -> None:
    """Runs the demo, writes figures, results.json and results.md, and prints the results."""
    started = time.monotonic()
    drawing()
    data = load_file(request.data) if request.data else load_digits()
    setting = _setting(request, data)
    out = writable_folder(request.out, files=[*(f"{name}.png" for name in _FIGURES), "results.json", "results.md"])
    writable_folder(request.export, "--export", ["saved_model.pb"])
    results, figures = _Demo(request, data, setting, out).results()
    results["seconds"] = round(time.monotonic() - started, 1)
    told = _told(results)
    files: dict[pathlib.Path, str | bytes] = {out / f"{name}.png": png for name, png in figures.items()}
    files[out / "results.json"] = escaped(json.dumps(results, indent=2)) + "\n"
    files[out / "results.md"] = written(*told) + "\n"
    write_files(files)
    if request.as_json:
        click.echo(escaped(json.dumps(results)))
    else:
        show(*told, *_report(results))


def _setting(request: DemoRequest, data: Data) -> dict[str, Any]:
    training, wrong = request.train, request.wrong_labels
    if training is None:
        training = 2 * len(data.x) // 3 if request.data else 1000
    if training >= len(data.x):
        raise UserError(f"--train must be below {len(data.x)}, the samples there are. Received: {training}.")
    if wrong != wrong:  # NaN, which is in no range and is not found beyond it either
        raise UserError("--wrong-labels must be a number. Received: nan.")
    return {
        "data": data.name,
        "samples": len(data.x),
        "is_table": data.x.ndim == 2,
        "classes": len(data.classes),
        "training_samples": training,
        "test_samples": len(data.x) - training,
        "wrong_labels": wrong,
        "batch": BATCH,
        "epsilon": EPSILON,
        "epochs": request.epochs,
        "seeds": list(range(request.seeds)),
    }


class _Demo:
    """All runs, and what is kept of them: by arm what was scored with each seed, and the true labels."""

    def __init__(self, request: DemoRequest, data: Data, setting: dict[str, Any], out: pathlib.Path):
        self._request, self._data, self._setting, self._out = request, data, setting, out
        self._courses: dict[tuple[int, ...], Course] = {}
        self._scored: dict[str, list[Scored]] = {}
        self._truths: list[np.ndarray] = []

    def results(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Of all runs, with where figures will be and the export is; and figures by name, as PNG."""
        seeds, first = self._setting["seeds"], self._split(0)
        chosen = arms(first.x_train)
        total = len(seeds) * (len(chosen) * self._request.epochs + len(toy.NAMES) * toy.STEPS // toy.EVERY)
        with progress("training on a toy", total, self._request.as_json) as advance:
            on_toy = toy.measure(seeds, lambda step: advance())
            for seed in seeds:
                self._run(seed, chosen, advance)
        scores = {name: [each.scores for each in found] for name, found in self._scored.items()}
        predicted = {name: np.concatenate([e.predicted for e in found]) for name, found in self._scored.items()}
        drawn = (
            draw_regions(on_toy),
            draw_pairs(first.x_train, first.y_train, seed=0),
            draw_reliability(np.concatenate(self._truths), predicted),
        )
        figures = dict(zip(_FIGURES, drawn, strict=True))
        exported = self._scored[EXPORTED][-1].rescaled
        served = export_and_serve(exported, pathlib.Path(self._request.export), first.x_test[:100])
        results = {
            "setting": self._setting,
            "arms": {name: arm._asdict() for name, arm in chosen.items()},
            "toy": {
                "arms": {name: arm._asdict() for name, arm in on_toy.arms.items()},
                "errors": on_toy.errors,
            },
            "table": summary(scores),
            "differences": differences(scores),
            "runs": {name: [run._asdict() for run in runs] for name, runs in scores.items()},
            "figures": [str(self._out / f"{name}.png") for name in figures],
            "export": {"path": self._request.export, "largest_difference_served": served},
        }
        return results, figures

    def _split(self, seed: int) -> Any:
        return split(self._data, self._setting["training_samples"], self._setting["wrong_labels"], seed)

    def _run(self, seed: int, chosen: dict[str, Arm], advance: Any) -> None:
        """Every arm with one seed."""
        parts = self._split(seed)
        self._truths.append(parts.y_test)
        shape = parts.x_train.shape[1:]
        # Of a table, other columns may be constant with another seed.
        if shape not in self._courses:
            self._courses[shape] = Course(shape, len(self._data.classes), self._request.epochs)
        for name, arm in chosen.items():
            advance(0, f"seed {seed}, {name}")
            self._scored.setdefault(name, []).append(
                self._courses[shape].score(arm, parts, seed, lambda step: advance())
            )


def _told(results: dict[str, Any]) -> list[Any]:
    """Words and tables, on the terminal and in results.md."""
    return [
        _described(results),
        "",
        compared(results["table"]),
        "",
        apart(results["differences"]),
        "",
        *sentences(results["differences"]),
        "",
        _of_toy(results),
    ]


def _described(results: dict[str, Any]) -> str:
    setting, chosen = results["setting"], list(results["arms"].values())
    wrong = f"{setting['wrong_labels']:.0%} of them with wrong labels; " if setting["wrong_labels"] else ""
    unit = "standard deviations of its column" if setting["is_table"] else "standard deviations of all pixels"
    return (
        f"{in_one_line(setting['data'])}: {setting['training_samples']} training samples of {setting['classes']} "
        f"classes; {wrong}{setting['test_samples']} test samples; {setting['epochs']} epochs, batches of "
        f"{setting['batch']}, seeds 0 to {setting['seeds'][-1]} (mean ± standard deviation). Mixup is named by its "
        f"alpha, k-mixup by that of the mixup that it is matched with: with k = {chosen[-1]['k']} its own is "
        f"{' and '.join(map(_matched, chosen[1:3], chosen[3:]))}. Attacked: error when each feature is moved by "
        f"{setting['epsilon']:g} {unit} (FGSM). Rescaled: the calibration error of RescaledModel."
    )


def _matched(plain: dict[str, Any], matched: dict[str, Any]) -> str:
    """The alpha of k-mixup; and how far mixtures are moved, where that is not as far as by mixup."""
    alpha = f"{matched['alpha']:.2g}"
    if matched["perturbation"] > 0.97 * plain["perturbation"]:
        return alpha
    return f"{alpha} (which moves samples by {matched['perturbation']:.2g}, mixup by {plain['perturbation']:.2g})"


def _of_toy(results: dict[str, Any]) -> str:
    found = results["toy"]
    errors = ", ".join(f"{name} {np.mean(each):.1f} %" for name, each in found["errors"].items())
    plain, matched = list(found["arms"].values())[1:]
    return (
        f"A toy on which mixing far partners fails, four bars in the plane; error of the same seeds: {errors}; the "
        f"alpha of k-mixup is {_matched(plain, matched)}."
    )


def _report(results: dict[str, Any]) -> list[str]:
    export = results["export"]
    return [
        "Figures: " + ", ".join(results["figures"]),
        f"Exported to {export['path']}; a fresh process with TensorFlow alone served the same numbers "
        f"(largest difference {export['largest_difference_served']:.1e}).",
        f"{results['seconds']:.0f} seconds.",
    ]
