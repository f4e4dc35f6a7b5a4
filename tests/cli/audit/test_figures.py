"""What the figures draw, read from Matplotlib's own objects, and how they get into a page."""

import re
import sys
import xml.etree.ElementTree

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from kmix_tf.cli import main
from kmix_tf.cli.audit.report import figures


@pytest.fixture(scope="module")
def measures():
    """Measures as an audit gives them, of numbers that no figure can guess."""
    rows = [
        {"k": k, "cross_share": share, "standard_error": 0.01, "distance": 5 - k / 2}
        | {"alphas": [{"alpha": 0.2, "alpha_k": 0.2 * k}, {"alpha": 1.0, "alpha_k": k**2.0 if k < 4 else None}]}
        for k, share in ((1, 0.7), (2, 0.5), (4, 0.4))
    ]
    return {
        "contradictions": {"by_alpha": [{"alpha": a, "share": s} for a, s in ((0.2, None), (1.0, 0.1), (32.0, 0.3))]},
        "conflicts": {
            "by_alpha": [
                {"alpha": a, "share": s, "baseline": b}
                for a, s, b in ((0.2, 0.05, 0.15), (1.0, 0.2, 0.16), (32.0, 0.4, 0.14))
            ]
        },
        "closeness": {"nearest_is_other": 0.15},
        "matching": {"by_k": rows},
        "balance": {
            "classes": [
                {"class": name, "samples": n, "measured": n, "share": n / 60}
                for name, n in (("a<b", 10), ("$x$ & a name that is too long", 30), ("猫", 20))
            ]
        },
        "locality": {"edges": [0.0, 1.0, 2.0], "same": [3, 1], "other": [0, 8], "epsilon": 1.25}
        | {"rate": 0.55, "quantile": "quantile:0.5"},
    }


@pytest.fixture
def axes_of(monkeypatch):
    """`axes_of(figure, ...)`: the Axes that a figure draws on, without the way to SVG."""

    def draw_on(name, label, draw, height=None):
        axes = Figure().subplots()
        draw(axes)
        return axes

    monkeypatch.setattr(figures, "svg", draw_on)
    return lambda figure, *arguments: figure(*arguments)


def texts(svg):
    return [node.text for node in xml.etree.ElementTree.fromstring(svg.replace("xlink:", "")).iter() if node.text]


def test_the_bars_of_harm_are_the_shares_and_the_dashed_lines_the_samples_own(measures, axes_of):
    axes = axes_of(figures.harm, measures)
    contradicted, conflict = axes.containers
    assert [bar.get_height() for bar in contradicted] == [0.1, 0.3]
    assert [round(bar.get_x() + bar.get_width() / 2, 6) for bar in contradicted] == [0.84, 1.84]
    # What was not measured is no 0.
    assert [(text.get_text().strip(), text.get_position()[0]) for text in axes.texts] == [
        ("contradicted: not measured", -0.16)
    ]
    assert [bar.get_height() for bar in conflict] == [0.05, 0.2, 0.4]
    (dashes,) = [lines for lines in axes.collections if len(lines.get_segments()) == 3]
    assert [set(line[:, 1]) for line in dashes.get_segments()] == [{0.15}, {0.16}, {0.14}]
    # Each above its bar.
    assert [line[:, 0].mean().round(6) for line in dashes.get_segments()] == [0.16, 1.16, 2.16]
    assert axes.get_ylim()[1] > 0.4
    assert [label.get_text() for label in axes.get_xticklabels()] == ["alpha = 0.2", "alpha = 1", "alpha = 32"]


def test_where_no_label_could_be_asked_the_figure_says_so(measures, axes_of):
    rows = [{"alpha": row["alpha"], "share": None} for row in measures["contradictions"]["by_alpha"]]
    axes = axes_of(figures.harm, {**measures, "contradictions": {"by_alpha": rows}})
    assert [text.get_text().strip() for text in axes.texts] == ["contradicted: not measured"] * 3
    assert [len(bars) for bars in axes.containers] == [3]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["unmixed", "in conflict"]


def test_matches_across_are_drawn_against_k_above_what_is_least(measures, axes_of):
    axes = axes_of(figures.crossing, measures)
    least, share = [line for line in axes.lines if len(line.get_xdata()) == 3][:2]
    assert share.get_xdata().tolist() == [1, 2, 4] and share.get_ydata().tolist() == [0.7, 0.5, 0.4]
    # Of random pairs of 10, 30 and 20 samples, so many join two classes.
    pairs = 10 * 30 + 10 * 20 + 30 * 20
    assert least.get_ydata()[0] == pytest.approx(pairs / (60 * 59 / 2))


def test_the_distance_of_pairs_and_the_alphas_that_match_are_drawn_where_there_are_any(measures, axes_of):
    (line,) = axes_of(figures.cost, measures).lines
    assert line.get_ydata().tolist() == [4.5, 4.0, 3.0]
    weak, usual = axes_of(figures.alphas, measures).lines
    np.testing.assert_allclose(weak.get_xydata(), [[1, 0.2], [2, 0.4], [4, 0.8]])
    np.testing.assert_allclose(usual.get_xydata(), [[1, 1], [2, 4]])


def test_histograms_of_distances_have_the_same_area_and_epsilon_its_line(measures, axes_of):
    axes = axes_of(figures.distances, measures)
    same, other = (patch.get_data().values.tolist() for patch in axes.patches)
    assert same == [0.75, 0.25] and other == [0, 1]
    assert set(axes.lines[0].get_xdata()) == {1.25}


def test_classes_are_ordered_by_size_and_only_the_ends_of_many_are_shown(measures, axes_of):
    axes = axes_of(figures.balance, measures)
    assert [bar.get_width() for bar in axes.patches] == [30, 20, 10]
    assert [text.get_text() for text in axes.texts] == ["30 (50.0 %)", "20 (33.3 %)", "10 (16.7 %)"]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[1:] == ["猫", "a<b"] and len(names[0]) == 20 and names[0].endswith("…")
    # The largest is on top.
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    many = [{"class": str(i), "samples": i, "measured": i, "share": 0.01} for i in range(1, 101)]
    axes = axes_of(figures.balance, {"balance": {"classes": many}})
    assert [bar.get_width() for bar in axes.patches] == [*range(100, 88, -1), *range(12, 0, -1)]


def test_each_sample_is_a_dot_in_the_colour_of_its_class(axes_of):
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3
    axes = axes_of(figures.scatter, x, y, ["a", "b", "c"], ["width", "height"], 0)
    for label, dots in enumerate(axes.collections):
        np.testing.assert_array_equal(dots.get_offsets(), x[y == label])
    assert len({tuple(dots.get_facecolor()[0]) for dots in axes.collections}) == 3
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
    axes = axes_of(figures.scatter, x, y, ["_a", "b", "c"], ["width", "height"], 0)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["_a", "b", "c"]
    many = axes_of(figures.scatter, np.zeros((5000, 2)), np.zeros(5000, int), ["a"], ["u", "v"], 0)
    assert sum(len(dots.get_offsets()) for dots in many.collections) == 1500


def test_names_are_text_that_a_page_shows_as_it_is(measures):
    svg = figures.balance(measures)
    assert "a<b" in texts(svg) and "猫" in texts(svg)
    # A dollar begins no formula.
    assert any(text.startswith("$x$ & a name") for text in texts(svg))


def test_a_figure_says_what_it_shows_and_is_the_same_each_time(measures):
    first, second = figures.harm(measures), figures.harm(measures)
    assert first == second
    assert first.startswith('<svg role="img" aria-label="Contradicted labels and conflicts, by alpha"')
    assert re.search(r' viewBox="0 0 302\.\d+ 194\.\d+"', first) and "http" not in first and "<?xml" not in first


def test_a_label_cannot_leave_its_attribute():
    svg = figures.svg("one", 'a "b" <c> \\g<0>', lambda axes: None)
    root = xml.etree.ElementTree.fromstring(svg.replace("xlink:", ""))
    assert root.attrib["aria-label"] == 'a "b" <c> \\g<0>'


def test_the_callers_matplotlib_is_as_it_was(measures):
    plain = figures.cost(measures)
    mine = {"font.size": 31.0, "lines.linewidth": 9.0, "svg.fonttype": "path", "text.parse_math": True}
    with matplotlib.rc_context(mine):
        before, open_figures, backend = dict(matplotlib.rcParams), plt.get_fignums(), matplotlib.get_backend()
        assert figures.cost(measures) == plain
        assert dict(matplotlib.rcParams) == before
        assert plt.get_fignums() == open_figures and matplotlib.get_backend() == backend


def test_settings_come_back_after_a_figure_that_fails():
    before = dict(matplotlib.rcParams)
    with pytest.raises(ZeroDivisionError):
        figures.svg("bad", "bad", lambda axes: 1 / 0)
    assert dict(matplotlib.rcParams) == before


def test_letters_that_the_font_lacks_are_no_warning(measures, recwarn):
    figures.balance(measures)
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_without_matplotlib_the_extra_is_named_before_any_work(tmp_path, monkeypatch, capsys):
    np.savez(tmp_path / "d.npz", x=np.arange(6.0).reshape(6, 1), y=np.arange(6) % 2)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["audit", "--no-trial", str(tmp_path / "d.npz"), "--out", str(tmp_path / "out"), "--json"]) == 2
    printed = capsys.readouterr()
    assert "kmix-tf audit needs matplotlib" in printed.err and "pip install 'kmix_tf[cli]'" in printed.err
    assert printed.out == "" and not (tmp_path / "out" / "report.json").exists()
