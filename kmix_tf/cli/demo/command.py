"""The demo's command line and its course."""

import argparse
import json
import pathlib
import time
from typing import Any

import numpy as np

from kmix_tf import _extras
from kmix_tf.cli.demo import data as demo_data
from kmix_tf.cli.demo.data import Data, DataError, Split
from kmix_tf.cli.demo.evaluation import Scores, markdown, probabilities, score, summary
from kmix_tf.cli.demo.figures import TOY_EPOCHS, draw_pairs, draw_regions, draw_reliability
from kmix_tf.cli.demo.serving import export_and_serve
from kmix_tf.cli.demo.training import ALPHA, BATCH, METHODS, Trained, train


def add_parser(commands: Any) -> None:
    """Adds `demo` to the commands of `kmix-tf`."""
    parser = commands.add_parser(
        "demo",
        help="train with and without mixup, side by side, and serve the result",
        description="Trains the same small network without mixup, with mixup and with k-mixup on the same data, and "
        "compares them over several seeds, with and without rescaled prediction. Draws figures, exports the rescaled "
        "k-mixup model of the first seed and serves it from a fresh process.",
    )
    parser.add_argument("--data", metavar="FILE.npz", help="your own arrays x (n, ...) and y (n,); default: digits")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="use seeds 0 to N - 1 (default: 5)")
    parser.add_argument("--epochs", type=int, default=60, metavar="N", help="epochs of each run (default: 60)")
    parser.add_argument(
        "--train", type=int, metavar="N", help="training samples (default: 400, or two thirds of your own)"
    )
    parser.add_argument(
        "--wrong-labels",
        type=float,
        metavar="SHARE",
        help="share of training labels to replace by wrong ones (default: 0.2, or 0 for your own data)",
    )
    parser.add_argument("--out", default="demo", metavar="DIR", help="folder for figures and tables (default: demo)")
    parser.add_argument(
        "--export", default="saved_models/demo", metavar="DIR", help="folder for the SavedModel (saved_models/demo)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON only, no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the demo; 0 on success."""
    started = time.monotonic()
    data = demo_data.load_file(arguments.data) if arguments.data else demo_data.load_digits()
    training, wrong_labels = _setting(arguments, data)
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    setting = {
        "data": data.name,
        "samples": len(data.x),
        "classes": len(data.classes),
        "training_samples": training,
        "test_samples": len(data.x) - training,
        "wrong_labels": wrong_labels,
        "batch": BATCH,
        "alpha": ALPHA,
        "epochs": arguments.epochs,
        "seeds": list(range(arguments.seeds)),
    }
    if not arguments.json:
        print(_described(setting), flush=True)
    results = _experiment(arguments, data, setting, out)
    results["seconds"] = round(time.monotonic() - started, 1)
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    table = markdown(results["table"])
    (out / "results.md").write_text(f"{_described(setting)}\n\n{table}\n")
    print(json.dumps(results) if arguments.json else _report(results, table))
    return 0


def _setting(arguments: argparse.Namespace, data: Data) -> tuple[int, float]:
    training = arguments.train
    if training is None:
        training = 2 * len(data.x) // 3 if arguments.data else 400
    wrong = arguments.wrong_labels
    if wrong is None:
        wrong = 0.0 if arguments.data else 0.2
    for name, value, low, high in (
        ("--train", training, 2, len(data.x) - 1),
        ("--wrong-labels", wrong, 0, 0.9),
        ("--seeds", arguments.seeds, 1, 1000),
        ("--epochs", arguments.epochs, 1, 100_000),
    ):
        if not low <= value <= high:
            raise DataError(f"{name} must be from {low} to {high}. Received: {value}.")
    return training, wrong


def _experiment(arguments: argparse.Namespace, data: Data, setting: dict[str, Any], out: pathlib.Path) -> dict:
    tqdm = _extras.require("tqdm", "examples", "kmix-tf demo").tqdm
    total = len(METHODS) * (arguments.seeds * arguments.epochs + TOY_EPOCHS)
    scores: dict[str, list[Scores]] = {}
    predictions: dict[str, list[np.ndarray]] = {}
    truths: list[np.ndarray] = []
    exported: tuple[Trained, Split] | None = None
    with tqdm(total=total, unit="epoch", disable=arguments.json) as bar:
        for seed in setting["seeds"]:
            data_split = demo_data.split(data, setting["training_samples"], setting["wrong_labels"], seed)
            truths.append(data_split.y_test)
            for method, k in METHODS.items():
                bar.set_description(f"seed {seed}, {method}")
                trained = train(data_split, len(data.classes), k, seed, arguments.epochs, bar.update)
                for name, model in _variants(method, trained).items():
                    predicted = probabilities(model, data_split.x_test)
                    predictions.setdefault(name, []).append(predicted)
                    scores.setdefault(name, []).append(score(data_split.y_test, predicted))
            exported = exported or (trained, data_split)
        bar.set_description("decision regions on a toy")
        draw_regions(out / "regions.png", 0, bar.update)
        bar.set_description("done")
    trained, data_split = exported
    draw_pairs(out / "pairs.png", data_split.x_train[:BATCH], data_split.y_train[:BATCH], seed=0)
    joined = {name: np.concatenate(parts) for name, parts in predictions.items()}
    draw_reliability(out / "reliability.png", np.concatenate(truths), joined)
    difference = export_and_serve(trained.rescaled, pathlib.Path(arguments.export), data_split.x_test[:100])
    return {
        "setting": setting,
        "table": summary(scores),
        "runs": {name: [run._asdict() for run in runs] for name, runs in scores.items()},
        "figures": [str(out / f"{name}.png") for name in ("pairs", "regions", "reliability")],
        "export": {"path": arguments.export, "largest_difference_served": difference},
    }


def _variants(method: str, trained: Trained) -> dict[str, Any]:
    if trained.rescaled is None:
        return {method: trained.model}
    return {method: trained.model, f"{method}, rescaled": trained.rescaled}


def _described(setting: dict[str, Any]) -> str:
    return (
        f"{setting['data']}: {setting['training_samples']} training samples of {setting['classes']} classes, "
        f"{setting['wrong_labels']:.0%} of them with wrong labels; {setting['test_samples']} test samples; "
        f"{setting['epochs']} epochs, batches of {setting['batch']}, alpha = {setting['alpha']:g}, "
        f"seeds 0 to {setting['seeds'][-1]} (mean ± standard deviation)."
    )


def _report(results: dict[str, Any], table: str) -> str:
    export = results["export"]
    return "\n".join(
        [
            "",
            table,
            "",
            "Figures: " + ", ".join(results["figures"]),
            f"Exported to {export['path']}; a fresh process with TensorFlow alone served the same numbers "
            f"(largest difference {export['largest_difference_served']:.1e}).",
            f"{results['seconds']:.0f} seconds.",
        ]
    )
