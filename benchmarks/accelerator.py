"""What the compiled programs take on an accelerator: assignment, blend, mix, a whole step of training.

TensorFlow compiles them and gives their StableHLO, JAX runs it: on its processor, where results must be TensorFlow's,
and on an accelerator, where it sees one, for the time.

    python benchmarks/accelerator.py                    # both, where there are TensorFlow and JAX: kmix_tf[backends]
    python benchmarks/accelerator.py --write            # also into benchmarks/accelerator.md and .json
    python benchmarks/accelerator.py --export FOLDER    # programs, inputs and results; needs TensorFlow
    python benchmarks/accelerator.py --run FOLDER       # runs them; needs JAX and NumPy alone

Times are of so many calls in a row, from the first until the last result is there.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TITLE = "What compiled programs take on an accelerator"
NO_JAX = "none; JAX is not installed, so nothing ran: pip install 'kmix_tf[backends]'."
NO_ACCELERATOR = "none that JAX sees: results were compared on the processor, and nothing was timed."
CALLS = 20


def run(folder: pathlib.Path, rounds: int = 10) -> dict:
    """Runs what was exported: how far results are off on the processor, and times on an accelerator.

    Returns {"device": str or None, "programs": {name: {"error", "agrees", "ms", "accelerator_error"}}}; None for what
    was not measured.
    """
    import jax
    from jax.extend.backend import get_backend

    jax.config.update("jax_enable_x64", True)  # Else inputs of 64 bits would be cut to 32.
    clients = [get_backend("cpu")]
    if jax.default_backend() != "cpu":
        clients.append(get_backend())
    index = json.loads((folder / "programs.json").read_text())
    rows = {}
    for number, program in enumerate(index["programs"]):
        rows[program["name"]] = ran(folder / str(number), program["tolerance"], clients, rounds)
    device = clients[1].devices()[0].device_kind if clients[1:] else None
    return {"device": device, "quick": index["quick"], "programs": rows}


def ran(path, tolerance, clients, rounds):
    """What one program gives on each client: the processor's first."""
    inputs, expected = arrays(f"{path}-inputs.npz"), arrays(f"{path}-results.npz")
    text = pathlib.Path(f"{path}.mlir").read_text()
    row = {"ms": None, "accelerator_error": None}
    for client in clients:
        call = loaded(client, text, inputs)
        results = call()
        found = max(error(ours, theirs) for ours, theirs in zip(results, expected, strict=True))
        if client is clients[0]:
            row |= {"error": found, "agrees": found <= tolerance}
        else:
            row |= {"accelerator_error": found, "ms": milliseconds(call, rounds)}
    return row


def loaded(client, text, inputs):
    """A call of the program on the client's first device, where its inputs are."""
    import jax

    device = client.devices()[0]
    program = client.compile_and_load(text, (device,))
    placed = [jax.device_put(each, device) for each in inputs]
    return lambda: program.execute(placed)


def arrays(path):
    import numpy as np

    with np.load(path) as file:
        return [file[f"arr_{number}"] for number in range(len(file.files))]


def error(ours, theirs):
    """The largest difference, in units of the largest value, or of 1 where that is less; of whole numbers, the share
    that differs; 1 for another shape or dtype, and for NaN.

    Gradients of a bias before a normalisation are sums that cancel: TensorFlow's own differ by a hundredth from those
    it computes without XLA. Such small numbers are not measured by themselves.
    """
    import numpy as np

    ours = np.asarray(ours)
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return 1.0
    if np.issubdtype(theirs.dtype, np.integer):
        return float(np.mean(ours != theirs))
    largest = float(np.max(np.abs(theirs), initial=1))
    apart = float(np.max(np.abs(ours.astype(np.float64) - theirs), initial=0)) / largest
    return apart if np.isfinite(apart) else 1.0


def milliseconds(call, rounds):
    """Of a call: the median of rounds, each of so many calls until the last result is there."""
    import numpy as np

    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for _ in range(CALLS):
            results = call()
        for each in results:
            each.block_until_ready()
        times.append(1e3 * (time.perf_counter() - start) / CALLS)
    return float(np.median(times[1:]))


def measure(quick: bool, rounds: int | None) -> dict:
    if importlib.util.find_spec("jax") is None:
        print(NO_JAX, file=sys.stderr)
        return {"device": None, "quick": quick, "programs": {}}
    import accelerator_programs

    with tempfile.TemporaryDirectory() as folder:
        accelerator_programs.export(pathlib.Path(folder), quick)
        command = [sys.executable, __file__, "--run", folder, "--json", "--rounds", str(rounds or 10)]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    results = json.loads(result.stdout.splitlines()[-1])
    if results["device"] is None:
        print(NO_ACCELERATOR, file=sys.stderr)
    return results


def goals(results: dict) -> list[dict]:
    """What was asked for, and what came out; None where nothing was timed."""
    import harness

    times = {name: row["ms"] for name, row in results["programs"].items()}
    mix = blend = step = None
    if results["device"] is not None:
        mix, blend = times["mix"] - times["blend"], times["blend"] / times["copy"]
        step = times["mixed step"] / times["step"]
    because = "" if results["device"] is not None else NO_ACCELERATOR if times else NO_JAX
    return [
        harness.goal("k = 32 on an accelerator, 128 of 32x32x3, beyond the blend", mix, 0.5, "ms", None, because),
        harness.goal("blend on an accelerator", blend, 1.5, "copies", None, because),
        harness.goal("mixed step on an accelerator, batch 512, to a plain one", step, 1.02, "", None, because),
    ]


def markdown(results: dict) -> str:
    import harness

    rows = []
    for name, row in results["programs"].items():
        ms = "" if row["ms"] is None else f"{row['ms']:.3f}"
        there = "" if row["accelerator_error"] is None else f"{row['accelerator_error']:.1e}"
        rows.append([name, "yes" if row["agrees"] else "no", f"{row['error']:.1e}", ms, there])
    why = results["device"] or (NO_ACCELERATOR if rows else NO_JAX)
    parts = [
        f"Accelerator: {why}",
        "Error: the largest difference from what TensorFlow computed on the processor, in units of the largest value "
        "or of 1; of whole numbers, the share that differs. The same text on JAX's processor must agree; on an "
        "accelerator, other rounding may match other pairs. Blend, facing costs and mix: 128 images of 32x32x3, k = "
        "32; steps of a residual network of ten convolutions, batch 512.",
        harness.table(["", "agrees", "error", "ms on the accelerator", "error there"], rows),
    ]
    return "\n\n".join(parts)


def main() -> None:
    """`--export` and `--run`, or else the command of any benchmark."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--export", type=pathlib.Path)
    parser.add_argument("--run", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    arguments, _ = parser.parse_known_args()
    if arguments.run is not None:
        print(json.dumps(run(arguments.run, arguments.rounds)))
        return
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if arguments.export is None:
        import harness

        harness.main(__name__, __doc__)
        return
    import accelerator_programs

    accelerator_programs.export(arguments.export, arguments.quick)


if __name__ == "__main__":
    main()
