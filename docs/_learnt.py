"""What an example must have printed. Tests ask it of the examples they run, the site's build of those it runs."""

import ast

# What an example prints last as a dictionary, and a bound that a model which had learnt nothing would not pass.
BOUNDS = {
    "calibration": ("accuracy", 0.9),
    "choice": ("accuracy", 0.7),
    "custom_loop": ("accuracy", 0.7),
    "dict_datasets": ("accuracy", 0.7),
    "feature_space": ("accuracy", 0.7),
    "fine_tuning": ("accuracy", 0.4),
    "layer_inside": ("sparse_categorical_accuracy", 0.7),
    "multi_label": ("mix_auc", 0.7),
    "py_dataset": ("accuracy", 0.8),
    "quickstart": ("accuracy", 0.8),
    "series_windows": ("explained", 0.8),
    "spectrograms": ("accuracy", 0.6),
    "torch_dataloader": ("accuracy", 0.8),
    "two_outputs": ("price", 0.8),
}
# Sentences that an example prints when it did what it is for.
SAID = {"custom_loop": "the same losses after resuming: True"}


def check(name: str, output: str) -> None:
    """Raises an AssertionError that says what is missing in the output of an example."""
    assert output.strip(), f"{name}: nothing was printed"
    assert "nan" not in output.lower(), f"{name}: not a number in\n{output}"
    assert SAID.get(name, "") in output, f"{name}: {SAID[name]!r} is not in\n{output}"
    if name in BOUNDS:
        score, least = BOUNDS[name]
        printed = [line for line in output.splitlines() if line.startswith("{")]
        assert printed, f"{name}: no dictionary in\n{output}"
        found = ast.literal_eval(printed[-1])[score]
        assert found > least, f"{name}: {score} must be above {least}, and is {found}"
    if name == "text":
        _check_texts(output)


def _check_texts(output: str) -> None:
    """The kind sentence comes first, then the bad one."""
    praise = [float(line.split()[-1]) for line in output.splitlines() if "praise with probability" in line]
    assert len(praise) == 2, f"text: two probabilities expected in\n{output}"
    assert praise[0] > 0.7 and praise[1] < 0.3, f"text: the sentences are not told apart: {praise}"
