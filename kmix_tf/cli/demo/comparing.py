"""The demo's course: train by each method with each seed, compare, draw, export and serve."""

import dataclasses
import json
import pathlib
import time
from typing import Any

import click
import keras
import numpy as np

from kmix_tf._writing import write_files
from kmix_tf.cli.demo.data import Data, Split, load_digits, load_file, split
from kmix_tf.cli.demo.pictures import TOY_EPOCHS, draw_pairs, draw_regions, draw_reliability, drawing
from kmix_tf.cli.demo.training import (
    ALPHA,
    BATCH,
    EXPORTED,
    METHODS,
    Scores,
    export_and_serve,
    probabilities,
    score,
    train,
)
from kmix_tf.cli.places import writable_folder
from kmix_tf.cli.terminal import Grid, UserError, escaped, in_one_line, progress, show, written
from kmix_tf.models import RescaledModel

# Of the table: names and digits behind the point.
COLUMNS = {"error": ("test error, %", 1), "calibration": ("calibration error, %", 1), "loss": ("test loss", 2)}


@dataclasses.dataclass(frozen=True)
class DemoRequest:
    """What the command line asks for, by its options; see their help."""

    data: str | None
    seeds: int
    epochs: int
    train: int | None
    wrong_labels: float | None
    out: str
    export: str
    as_json: bool


def run_demo(request: DemoRequest) -> None:
    """Runs the demo, writes figures, results.json and results.md, and prints the results."""
    started = time.monotonic()
    drawing()
    data = load_file(request.data) if request.data else load_digits()
    setting = _setting(request, data)
    out = writable_folder(request.out)
    writable_folder(request.export, "--export")
    if not request.as_json:
        show(_described(setting))
    results, figures = _Course(request, data, setting, out).results()
    results["seconds"] = round(time.monotonic() - started, 1)
    grid = compared(results["table"])
    files: dict[pathlib.Path, str | bytes] = {out / f"{name}.png": png for name, png in figures.items()}
    files[out / "results.json"] = escaped(json.dumps(results, indent=2)) + "\n"
    files[out / "results.md"] = written(_described(setting), grid) + "\n"
    write_files(files)
    if request.as_json:
        click.echo(escaped(json.dumps(results)))
    else:
        show(grid, *_report(results))


def _setting(request: DemoRequest, data: Data) -> dict[str, Any]:
    training, wrong = request.train, request.wrong_labels
    if training is None:
        training = 2 * len(data.x) // 3 if request.data else 400
    if training >= len(data.x):
        raise UserError(f"--train must be below {len(data.x)}, the samples there are. Received: {training}.")
    if wrong is None:
        wrong = 0.0 if request.data else 0.2
    if wrong != wrong:  # NaN, which is in no range and is not found beyond it either
        raise UserError("--wrong-labels must be a number. Received: nan.")
    return {
        "data": data.name,
        "samples": len(data.x),
        "classes": len(data.classes),
        "training_samples": training,
        "test_samples": len(data.x) - training,
        "wrong_labels": wrong,
        "batch": BATCH,
        "alpha": ALPHA,
        "epochs": request.epochs,
        "seeds": list(range(request.seeds)),
    }


class _Course:
    """All runs, and what is kept of them: by method the scores and predictions of each seed, and the true labels."""

    def __init__(self, request: DemoRequest, data: Data, setting: dict[str, Any], out: pathlib.Path):
        self._request, self._data, self._setting, self._out = request, data, setting, out
        self._scores: dict[str, list[Scores]] = {}
        self._predictions: dict[str, list[np.ndarray]] = {}
        self._truths: list[np.ndarray] = []

    def results(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Of all runs, with where figures will be and the export is; and figures by name, as PNG."""
        total = len(METHODS) * (self._request.seeds * self._request.epochs + TOY_EPOCHS)
        with progress("training", total, self._request.as_json) as advance:
            rescaled, parts = self._run(self._setting["seeds"][0], advance)
            for seed in self._setting["seeds"][1:]:
                self._run(seed, advance)
            advance(0, "decision regions on a toy")
            figures = {"regions": draw_regions(0, advance)}
        figures["pairs"] = draw_pairs(parts.x_train[:BATCH], parts.y_train[:BATCH], seed=0)
        joined = {name: np.concatenate(found) for name, found in self._predictions.items()}
        figures["reliability"] = draw_reliability(np.concatenate(self._truths), joined)
        served = export_and_serve(rescaled[EXPORTED], pathlib.Path(self._request.export), parts.x_test[:100])
        results = {
            "setting": self._setting,
            "table": summary(self._scores),
            "runs": {name: [run._asdict() for run in runs] for name, runs in self._scores.items()},
            "figures": [str(self._out / f"{name}.png") for name in ("pairs", "regions", "reliability")],
            "export": {"path": self._request.export, "largest_difference_served": served},
        }
        return results, figures

    def _run(self, seed: int, advance: Any) -> tuple[dict[str, RescaledModel], Split]:
        """Every method with one seed; returns the rescaled models by method."""
        parts = split(self._data, self._setting["training_samples"], self._setting["wrong_labels"], seed)
        self._truths.append(parts.y_test)
        rescaled = {}
        for method, k in METHODS.items():
            advance(0, f"seed {seed}, {method}")
            trained = train(parts, len(self._data.classes), k, seed, self._request.epochs, advance)
            self._keep(method, trained.model, parts)
            if trained.rescaled is not None:
                rescaled[method] = trained.rescaled
                self._keep(f"{method}, rescaled", trained.rescaled, parts)
        return rescaled, parts

    def _keep(self, name: str, model: keras.Model, parts: Split) -> None:
        """What it predicts, and how good that is."""
        predicted = probabilities(model, parts.x_test)
        self._predictions.setdefault(name, []).append(predicted)
        self._scores.setdefault(name, []).append(score(parts.y_test, predicted))


def summary(scores: dict[str, list[Scores]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over seeds, by method and column."""

    def told(values: list[float]) -> dict[str, float]:
        return {"mean": float(np.mean(values)), "spread": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}

    return {
        method: {column: told([getattr(run, column) for run in runs]) for column in COLUMNS}
        for method, runs in scores.items()
    }


def compared(table: dict[str, dict[str, dict[str, float]]]) -> Grid:
    """A row for each method: mean ± standard deviation."""
    rows = [
        [
            method,
            *(f"{row[c]['mean']:.{digits}f} ± {row[c]['spread']:.{digits}f}" for c, (_, digits) in COLUMNS.items()),
        ]
        for method, row in table.items()
    ]
    return Grid(["", *(name for name, _ in COLUMNS.values())], rows)


def _described(setting: dict[str, Any]) -> str:
    return (
        f"{in_one_line(setting['data'])}: {setting['training_samples']} training samples of "
        f"{setting['classes']} classes, "
        f"{setting['wrong_labels']:.0%} of them with wrong labels; {setting['test_samples']} test samples; "
        f"{setting['epochs']} epochs, batches of {setting['batch']}, alpha = {setting['alpha']:g}, "
        f"seeds 0 to {setting['seeds'][-1]} (mean ± standard deviation)."
    )


def _report(results: dict[str, Any]) -> list[str]:
    export = results["export"]
    return [
        "Figures: " + ", ".join(results["figures"]),
        f"Exported to {export['path']}; a fresh process with TensorFlow alone served the same numbers "
        f"(largest difference {export['largest_difference_served']:.1e}).",
        f"{results['seconds']:.0f} seconds.",
    ]
