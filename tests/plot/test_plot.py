import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from kmix_tf import plot


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_reliability_draws_accuracy_against_confidence():
    probabilities = np.tile([0.8, 0.2], (100, 1))
    y = (np.arange(100) % 4 == 0).astype(int)
    axes = plot.plot_reliability(y, {"model": probabilities})
    assert axes.lines[1].get_xydata().tolist() == [[pytest.approx(0.8), 0.75]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["model"]


def test_decision_regions_show_the_classifier_over_the_plane():
    x = np.array([[0.0, 0.0], [1.0, 2.0]])
    axes = plot.plot_decision_regions(lambda points: points[:, 0] / 1.2 + 0.1, x, [0, 1], resolution=11)
    shown = axes.images[0].get_array()
    np.testing.assert_allclose(shown[0], np.linspace(-0.1, 1.1, 11) / 1.2 + 0.1, atol=1e-6)
    assert axes.images[0].get_extent() == pytest.approx((-0.1, 1.1, -0.2, 2.2))


def test_a_coupling_draws_a_line_from_each_sample_to_its_partner():
    x = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    axes = plot.plot_coupling(x, [1, 2, 0], x)
    assert [line.get_xydata().tolist() for line in axes.lines] == [
        [x[i].tolist(), x[j].tolist()] for i, j in ((0, 1), (1, 2), (2, 0))
    ]


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 1), (4, 5, 6, 3)])
def test_image_pairs_stand_in_three_rows(shape):
    images = np.random.default_rng(0).random(shape)
    axes = plot.plot_image_pairs(images, [1, 0], images[2:])
    sheet = np.asarray(axes.images[0].get_array())
    assert sheet.shape[:2] == (3 * 7, 2 * 8)
    scaled = (images - images.min()) / (images.max() - images.min())
    partner_of_first = scaled[1].squeeze()
    np.testing.assert_allclose(sheet[8:13, 1:7], partner_of_first)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.plot_decision_regions(len, np.zeros((2, 3)), [0, 1]), r"x must be \(n, 2\)"),
        (lambda: plot.plot_coupling(np.zeros((2, 3)), [0, 1], np.zeros((2, 3))), r"x must be \(n, 2\)"),
        (lambda: plot.plot_image_pairs(np.zeros((2, 4, 4, 2)), [0], np.zeros((1, 4, 4, 2))), "1 or 3 channels"),
    ],
)
def test_other_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'kmix_tf\[plot\]'"):
        plot.plot_coupling(np.zeros((2, 2)), [0, 1], np.zeros((2, 2)))
