import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kmix_tf.cli import main
from kmix_tf.cli.audit.measuring import harm


@pytest.fixture(scope="session", autouse=True)
def _ask_fewer_samples():
    """Asking 150 samples about all chords is most of an audit's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harm, "_ASKED", 40)
        patch.setattr(harm, "_ASKED_AMONG", 500)
        yield


@pytest.fixture(scope="session")
def audit(tmp_path_factory):
    """`audit(x, y, *options)`: the folder of a report and the report, made once for each data and options.

    Without a trial, unless the options hold "--trial".
    """
    made = {}

    def run(name, x, y, *options):
        key = (name, *options)
        if key not in made:
            folder = tmp_path_factory.mktemp("audit")
            np.savez(folder / f"{name}.npz", x=x, y=y)
            assert (
                main(
                    [
                        "audit",
                        "--no-trial",
                        str(folder / f"{name}.npz"),
                        "--out",
                        str(folder / "out"),
                        "--json",
                        *options,
                    ]
                )
                == 0
            )
            made[key] = folder / "out", json.loads((folder / "out" / "report.json").read_text())
        return made[key]

    return run


@pytest.fixture(scope="session")
def digits():
    """`digits(n)`: the first n of scikit-learn's handwritten digits, and their classes."""
    data = load_digits()
    return lambda n: (data.images[:n], data.target[:n])


@pytest.fixture(scope="session")
def made():
    """`made(...)`: measures in which only what is given speaks."""
    return _made


def _made(
    contradicted=(0.0, 0.0, 0.0),
    conflict=(0.0, 0.0, 0.0),
    cross=None,
    alpha_k=None,
    samples=1000,
    q=(1.0, 2.0, 3.0),
    median=2.0,
    epsilon=2.0,
    copies=0,
    found=0,
):
    """Measures of few numbers. conflict: what mixing adds. cross: the share across classes by k.

    alpha_k: for alpha = 1. copies: of 1,000 samples about to be asked, found: of 4,000 searched.
    """
    cross = cross or dict.fromkeys((1, 2, 4, 8, 16, 32, 64), 0.9)
    alphas = (0.2, 1.0, 32.0)
    return {
        "contradictions": {
            "samples": 1000,
            "copies": copies,
            "asked": 0 if contradicted[0] is None else 150,
            "by_alpha": [
                {"alpha": a, "share": share} | ({"reason": "all are of one class"} if share is None else {})
                for a, share in zip(alphas, contradicted, strict=True)
            ],
        },
        "copies": {"found": found, "searched": 4000},
        "conflicts": {
            "by_alpha": [
                {"alpha": a, "share": 0.25 + more, "baseline": 0.25, "excess": more}
                | {"excess_low": more - 0.01, "excess_high": more + 0.01}
                for a, more in zip(alphas, conflict, strict=True)
            ]
        },
        "closeness": {"samples": samples},
        "matching": {
            "by_k": [
                {"k": k, "cross_share": share}
                | {"alphas": [{"alpha": a, "alpha_k": a if k == 1 else alpha_k} for a in alphas]}
                for k, share in cross.items()
            ]
        },
        "locality": {
            "epsilon": epsilon,
            "rate": 0.35 if epsilon else float("inf"),
            "batch_size": 128,
            "effective_batch": 12.5,
        },
        "steepness": harm.in_typical_slopes(
            {"samples": 300, "epsilon": epsilon} | dict(zip(("vanilla", "local", "full"), q, strict=True)), median
        ),
    }
