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
    """`audit(x, y, *options)`: the folder of a report and the report, made once for each data and options."""
    made = {}

    def run(name, x, y, *options):
        key = (name, *options)
        if key not in made:
            folder = tmp_path_factory.mktemp("audit")
            np.savez(folder / f"{name}.npz", x=x, y=y)
            assert main(["audit", str(folder / f"{name}.npz"), "--out", str(folder / "out"), "--json", *options]) == 0
            made[key] = folder / "out", json.loads((folder / "out" / "report.json").read_text())
        return made[key]

    return run


@pytest.fixture(scope="session")
def digits():
    """`digits(n)`: the first n of scikit-learn's handwritten digits, and their classes."""
    data = load_digits()
    return lambda n: (data.images[:n], data.target[:n])
