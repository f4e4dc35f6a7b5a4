"""What a stage holds: its peak memory above that of a copy of the batch, in batches.

    python benchmarks/stage_memory.py              # the table on the terminal
    python benchmarks/stage_memory.py --write      # also into benchmarks/stage_memory.md and .json

Each stage runs in a process of its own, on batches of about 150 MB in a sequential `dataset.map`. Its first batches,
in which TensorFlow compiles, are forgotten; then the peak of the resident memory is asked of the system.
"""

import gc
import json
import pathlib
import resource
import subprocess
import sys
from typing import Any

import harness
import mix_cost
import numpy as np
import peers
import tensorflow as tf
from tqdm import tqdm

import kmix_tf

TITLE = "What a stage holds"
SHAPE, QUICK = (256, 224, 224, 3), (64, 32, 32, 3)
STATUS, CLEAR = pathlib.Path("/proc/self/status"), pathlib.Path("/proc/self/clear_refs")


def stages(shape: tuple[int, ...]) -> dict[str, Any]:
    """Maps by name: the copy that the others are held against is the first."""
    found = {mix_cost.COPY: mix_cost.floors(shape)[mix_cost.COPY]} | mix_cost.chief(shape)
    found["MultiMixLayer(5)"] = found.pop(mix_cost.FIVE)
    found["KMixupLayer(32, solver='graph')"] = kmix_tf.KMixupLayer(32, solver="graph", **mix_cost.EXACT)
    found |= {f"{name}()": getattr(kmix_tf, name)() for name in ("FMixLayer", "ResizeMixLayer", "SaliencyMixLayer")}
    return found | {name: layer for name, layer in peers.of_keras().items() if name.startswith("keras.")}


def peak_of(name: str, size: int, quick: bool) -> dict[str, float]:
    """In a process of its own: peak resident MB while batches of so many are made, once two are; MB of a batch."""
    shape = (size, *(QUICK if quick else SHAPE)[1:])
    x, classes = mix_cost.batch(shape, "float32")
    data = tf.data.Dataset.from_tensors((x, np.eye(10, dtype="float32")[classes])).repeat()
    megabytes = x.nbytes / 1e6
    del x
    function = tf.autograph.experimental.do_not_convert(stages(shape)[name])
    run = harness.batches(iter(harness.sequential(data.map(function))), 2)
    run()
    gc.collect()
    forget_peak()
    for _ in range(2 if quick else 3):
        run()
    return {"batch": megabytes, "peak": peak()}


def forget_peak() -> None:
    """From here on the peak counts; where the system does not let us, it is that since the process began."""
    if CLEAR.exists():
        CLEAR.write_text("5")


def peak() -> float:
    """MB that were resident at most."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    found = [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")]
    unit = 1 if sys.platform == "darwin" else 1024
    return found[0] if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def asked(name: str, size: int, quick: bool) -> dict[str, float]:
    """`peak_of`, of a new process."""
    command = [sys.executable, __file__, "--one", name, str(size), *(["--quick"] if quick else [])]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{name}: {answer.stderr[-2000:]}")
    return json.loads(answer.stdout.strip().splitlines()[-1])


def measure(quick: bool, rounds: int | None) -> dict[str, Any]:
    """For each stage the peak in MB; how many batches it grows by for each batch; and how many more than the copy."""
    shape = QUICK if quick else SHAPE
    rows: dict[str, Any] = {}
    for name in tqdm(list(stages(shape))[: 1 if quick else None], desc="memory", disable=None):
        whole, half = (_least(name, size, quick, rounds or 1) for size in (shape[0], shape[0] // 2))
        held = (whole["peak"] - half["peak"]) / (whole["batch"] - half["batch"])
        above = held - rows[mix_cost.COPY]["held"] if rows else 0.0
        rows[name] = whole | {"held": held, "above": above}
    return rows


def _least(name: str, size: int, quick: bool, rounds: int) -> dict[str, float]:
    return min((asked(name, size, quick) for _ in range(rounds)), key=lambda told: told["peak"])


def markdown(results: dict[str, Any]) -> str:
    size = next(iter(results.values()))["batch"]
    rows = [[name, *(f"{row[key]:{how}}" for key, how in _COLUMNS.items())] for name, row in results.items()]
    header = ["stage", "peak: MB", "held: batches", "above the copy: batches"]
    return (
        f"Peak resident memory of a process that takes batches of {size:.0f} MB from a sequential map, after two; "
        "and by how much it is larger than with batches half as large, in batches: what is held, the data themselves "
        "among it, without what TensorFlow and compiled code take. Above the copy: what a stage holds more than one "
        "that only copies; of five interpolations, which give five batches, four are such.\n\n"
        + harness.table(header, rows)
    )


_COLUMNS = {"peak": ",.0f", "held": ".2f", "above": ".2f"}


if __name__ == "__main__" and sys.argv[1:2] == ["--one"]:
    print(json.dumps(peak_of(sys.argv[2], int(sys.argv[3]), "--quick" in sys.argv)))
else:
    harness.main(__name__, __doc__)
