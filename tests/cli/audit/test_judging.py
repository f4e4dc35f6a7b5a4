"""The verdict where a trial was made: from differences made by hand, and through the command."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from kmix_tf.cli import main
from kmix_tf.cli.audit import advice, geometry
from kmix_tf.cli.audit.judging import FAILS, HELPS, HURTS, NO_DIFFERENCE, UNKNOWN, verdict
from kmix_tf.paired import Difference
from kmix_tf.trial import Trial
from kmix_tf.trial.findings import Finding
from kmix_tf.trial.intervals import judged
from kmix_tf.trial.outlook import outlook


def trial_of(mean, reach, splits=15):
    """A trial that found this difference in error."""
    difference = Difference(mean, mean - reach, mean + reach, 0.5, splits)
    plain = Finding("no mixing", 10.0, 0.3, 2.0, 0.0, 100.0, {}, "", "")
    found = {"error": difference, "loss": difference}
    mixup = Finding("mixup", 10.0 + mean, 0.3, 2.0, 0.0, 100.0, found, judged(difference, 0.1), "mixup")
    return Trial("x", "x", (plain, mixup), task="classes", splits=splits)


def by(level, **told):
    """A verdict of geometry's."""
    return {**geometry.unknown("because of geometry", 1.0), "level": level, **told}


SAFE = by(geometry.SAFE)


# Of 15 splits, a probability of 0.8 is .868 standard errors from 0, and one of 0.975 is 2.145, the interval's end.
@pytest.mark.parametrize(
    ("mean", "reach", "level", "expected"),
    [
        (3.0, 2.9, geometry.SAFE, HURTS),
        (0.41, 1.0, geometry.CARE_DUE, HURTS),
        (0.41, 1.0, geometry.FAILING, FAILS),
        (0.40, 1.0, geometry.FAILING, UNKNOWN),
        (-3.0, 2.9, geometry.SAFE, HELPS),
        (-3.0, 2.9, geometry.FAILING, HELPS),
        (-3.0, 3.1, geometry.FAILING, UNKNOWN),
        (0.0, 0.79, geometry.FAILING, NO_DIFFERENCE),
        (0.0, 0.80, geometry.SAFE, UNKNOWN),
    ],
)
def test_the_probability_of_the_trial_decides(mean, reach, level, expected):
    found = verdict(by(level), trial_of(mean, reach), 1.0)
    assert found["level"] == expected and found["by"] == "trial"
    assert (found["rule"]["difference"], found["rule"]["low"], found["rule"]["high"]) == (
        mean,
        mean - reach,
        mean + reach,
    )
    assert (found["rule"]["number"] >= found["rule"]["threshold"]) == (expected != UNKNOWN)
    assert found["probability"] == (None if expected == UNKNOWN else found["rule"]["number"])
    assert set(found) == set(by(level)) and all(found[name] for name in ("why", "would_change", "to_do"))
    assert f"{10 + mean:.1f} % with mixup" in found["why"]


def test_what_may_hide_in_the_rows_tested_counts():
    hidden = dataclasses.replace(trial_of(0.0, 0.0), unseen=1.5)
    assert verdict(SAFE, trial_of(0.0, 0.0), 1.0)["level"] == NO_DIFFERENCE
    assert verdict(SAFE, hidden, 1.0)["level"] == UNKNOWN


@pytest.mark.parametrize(
    ("mean", "level", "told"),
    [
        (3.0, geometry.SAFE, "between samples"),
        (-3.0, geometry.FAILING, "gains elsewhere"),
        (-3.0, geometry.CARE_DUE, "gains elsewhere"),
        (3.0, geometry.FAILING, None),
        (-3.0, geometry.SAFE, None),
        # Of labels that contradict one another, and where nothing was asked, geometry says nothing of mixing.
        (3.0, geometry.UNKNOWN, None),
        (-3.0, geometry.CONTRADICTORY, None),
    ],
)
def test_where_geometry_expects_otherwise_it_is_said_why(mean, level, told):
    remarks = verdict(by(level), trial_of(mean, 1.0), 1.0)["remarks"]
    assert (told is None and remarks == []) or (repr(level) in remarks[0] and told in remarks[0])


def test_without_a_trial_geometry_speaks_and_of_numbers_nothing_is_said():
    assert verdict(SAFE, None, 1.0) == SAFE
    assert verdict(None, None, 1.0)["level"] == UNKNOWN


def test_a_trial_that_cannot_be_made_is_no_verdict_and_geometry_is_a_remark():
    found = verdict(by(geometry.FAILING), Trial("cannot say", "no network learnt anything."), 1.0)
    assert found["level"] == UNKNOWN and found["why"] == "no network learnt anything." and found["by"] == "trial"
    assert found["remarks"] == [f"Geometry says {geometry.FAILING!r}: because of geometry"]


def test_what_is_expected_of_another_network_is_as_the_interval_has_it():
    """By drawing: the mean that a t statistic of so many splits leaves possible."""
    generator, unseen = np.random.default_rng(0), 0.6
    own = np.hypot(2.0 / stats.t.ppf(0.975, 11), unseen / 2)
    drawn = 1.0 + own * generator.standard_t(11, size=400_000)
    found = outlook(Difference(1.0, 1.0 - 2.0, 1.0 + 2.0, 0.5, 12), unseen)
    shares = [(drawn < 0).mean(), (drawn > 0).mean(), (np.abs(drawn) < 0.5).mean()]
    # Five standard errors of a share of 400,000 draws: one in a million is false.
    np.testing.assert_allclose(found, shares, atol=5 * 0.5 / np.sqrt(400_000))
    assert found.lower + found.higher == pytest.approx(1) and outlook(Difference(1.0, np.nan, np.nan, 1.0, 1)) is None


SUGGESTED = {"prepare": None, "code": "KMixupLayer(16, alpha=2, num_classes=3)", "why": "k", "alternatives": []}


@pytest.mark.parametrize(
    ("mean", "reach", "code"),
    [
        (-3.0, 1.0, "KMixupLayer(1, alpha=0.4, num_classes=3)"),
        (3.0, 1.0, "# train without mixing"),
        (3.0, 9.0, None),
    ],
)
def test_what_was_tried_comes_first_and_what_geometry_suggests_behind(mean, reach, code):
    found = advice.after_trial(SUGGESTED, verdict(SAFE, trial_of(mean, reach), 0.4), 3)
    if code is None:
        assert found == SUGGESTED
    else:
        assert found["code"] == code and [one["code"] for one in found["alternatives"]] == [SUGGESTED["code"]]


def test_what_was_tried_is_not_suggested_twice():
    same = {**SUGGESTED, "code": "KMixupLayer(1, alpha=1, num_classes=3)"}
    assert advice.after_trial(same, verdict(SAFE, trial_of(-3.0, 1.0), 1.0), 3)["alternatives"] == []


def test_the_command_tries_it_and_a_page_shows_the_trial(audit):
    """Mixing across the ring gives the inner class's label to places of the outer: a trial finds that it hurts."""
    generator = np.random.default_rng(0)
    angle, radius = generator.uniform(0, 2 * np.pi, 700), np.repeat([0.5, 2.0], 350)
    radius = radius + generator.normal(scale=0.25, size=700)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    folder, report = audit("ring", x, np.repeat([0, 1], 350), "--trial", "--minutes", "0.15")
    mixup = report["trial"]["findings"][1]
    assert mixup["name"] == "mixup"
    assert report["verdict"]["rule"]["difference"] == mixup["differences"]["error"]["mean"]
    assert report["verdict"]["by"] == "trial" and report["geometry"]["by"] == "geometry"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "What a trial found" in page and "By this alone the verdict would be" in page


@pytest.mark.parametrize("kind", ["regression", "multilabel"])
def test_numbers_and_several_labels_are_judged_by_a_trial(kind, tmp_path, capsys):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 4))
    y = x[:, 0] ** 2 if kind == "regression" else (x[:, :3] > 0).astype(int)
    y[:40] = 1 if kind == "multilabel" else y[:40]
    np.savez(tmp_path / "d.npz", x=x, y=y)
    command = ["audit", str(tmp_path / "d.npz"), "--out", str(tmp_path / "out"), "--minutes", "0.1"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["data"]["task"] == report["trial"]["task"] == kind and report["geometry"] is None
    assert "Verdict at alpha = 1: " in printed and printed.count("\n") <= 15
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "What a trial found" in page and ("What mixing does to the target" in page) == (kind == "regression")
    if kind == "regression":
        row = next(row for row in report["measures"]["by_alpha"] if row["alpha"] == 1)
        assert row["distance"] > 0 and row["excess"] == pytest.approx(row["distance"] - row["baseline"])


def test_numbers_without_a_trial_have_measures_and_no_verdict(tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez(tmp_path / "d.npz", x=x, y=x[:, 0])
    assert main(["audit", str(tmp_path / "d.npz"), "--out", str(tmp_path), "--no-trial", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"]["level"] == UNKNOWN and report["measures"]["by_alpha"] and report["suggestion"] is None


def test_words_that_are_asked_to_be_numbers_are_refused_in_a_line(tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).normal(size=(60, 2)), y=np.array(["a", "b"] * 30))
    assert main(["audit", str(tmp_path / "d.npz"), "--out", str(tmp_path), "--task", "regression"]) == 2
    assert "y must be numbers for task='regression'" in capsys.readouterr().err
