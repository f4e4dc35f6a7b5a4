"""The page of metrics says what is measured, and what models warn of are the metrics that it finds wrong."""

import importlib.util
import pathlib
import re

import pytest

from kmix_tf.metrics.stock import WRONG_ON_SOFT_LABELS

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "metrics_table.py"
SPEC = importlib.util.spec_from_file_location("metrics_table", TOOL)
table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(table)


def rows(text):
    """Of each section, by the metric's name: mixed, clean, ours, holds."""
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        for cells in re.findall(r"^\| (\w+)\*? \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", section, re.MULTILINE):
            found[section.splitlines()[0], cells[0]] = cells[1:]
    return found


@pytest.fixture(scope="module")
def measured():
    return rows(table.page())


def test_the_page_is_as_measured(measured):
    written = rows(table.PAGE.read_text())
    assert len(written) > 40
    assert set(measured) <= set(written)
    for key, (stock, clean, ours, holds) in measured.items():
        assert written[key][3] == holds
        for value, was in zip((stock, clean, ours), written[key], strict=False):
            assert value == was or float(value) == pytest.approx(float(was), abs=1.5e-3)


def test_a_mix_metric_holds_wherever_a_stock_one_does_not(measured):
    for key, (_, clean, ours, _) in measured.items():
        assert float(ours) == pytest.approx(float(clean), abs=1.5e-3), key


def test_models_warn_of_what_is_measured_to_be_wrong_of_labels(measured):
    wrong = {name.lower() for (section, name), cells in measured.items() if cells[3] != "yes" and "0/1" in section}
    # Where hinge losses are used, labels may be -1 and 1, which they take as they are mixed.
    assert wrong - {"hinge", "meansquarederror"} == WRONG_ON_SOFT_LABELS - {"accuracy"}
