"""How a batch is cut into parts, and what their outputs are judged by."""

import numpy as np
import pytest

from kmix_tf.blend.comixup.energy import joint_energy
from kmix_tf.blend.comixup.parts import (
    CoMixupSettings,
    energy_of_part,
    gather_on_host,
    most_salient,
    settings_of,
)

SETTINGS = CoMixupSettings(4, 2, 2.0, 0.32, 1.0, 0.83, 0.05, 0.25, 3)


class Fixed:
    """Draws the same prior every time."""

    def __init__(self, prior):
        self.prior, self.alpha = np.asarray(prior, float), None

    def dirichlet(self, alpha):
        self.alpha = alpha
        return self.prior


def test_costs_are_those_of_the_published_code():
    rng = np.random.default_rng(0)
    cells = rng.dirichlet(np.ones(4), size=3).reshape(3, 2, 2)
    places = np.array([[0, 0], [2, 1], [5, 5]])
    prior = Fixed([0.5, 0.3, 0.2])
    energy = energy_of_part(cells, places, SETTINGS, prior)
    assert prior.alpha.tolist() == [2, 2, 2]
    np.testing.assert_allclose(energy.unary, -cells - 0.05 / 4 * np.log([[[0.5]], [[0.3]], [[0.2]]]), rtol=1e-6)
    apart = np.array([[0, 3, 10], [3, 0, 7], [10, 7, 0]]) / 40 * 3
    np.testing.assert_allclose(energy.likeness, 0.75 * np.eye(3) + 0.25 * apart)
    assert (energy.smooth, energy.many, energy.most) == pytest.approx((0.08, 0.25, 3.32))


def test_images_that_are_salient_at_one_place_are_not_apart():
    energy = energy_of_part(np.full((3, 2, 2), 0.25), np.zeros((3, 2), int), SETTINGS, np.random.default_rng(0))
    np.testing.assert_array_equal(energy.likeness, 0.75 * np.eye(3))


@pytest.mark.parametrize("sizes", [(9,), (8, 12), (3, 8), (4, 4, 5)])
def test_the_most_salient_window_is_the_one_of_the_largest_sum(sizes):
    saliency = np.random.default_rng(1).exponential(size=(6, *sizes)).astype(np.float32)
    windows = [max(1, size // 4) for size in sizes]
    found = most_salient(saliency)
    for image, place in zip(saliency.astype(float), found, strict=True):

        def mean(at, image=image):
            return image[tuple(slice(start, start + size) for start, size in zip(at, windows, strict=True))].mean()

        every = np.ndindex(*(size - window + 1 for size, window in zip(sizes, windows, strict=True)))
        assert tuple(place) == max(every, key=mean)


@pytest.mark.parametrize(("batch", "parts"), [(2, [2]), (4, [4]), (5, [3, 2]), (9, [3, 3, 3]), (13, [4, 3, 3, 3])])
def test_parts_are_of_equal_size_and_mix_among_themselves(batch, parts):
    rng = np.random.default_rng(2)
    cells = rng.dirichlet(np.ones(4), size=batch).reshape(batch, 2, 2).astype(np.float32)
    pairs = gather_on_host(cells, cells, np.array([3, 4]), np.array(SETTINGS, float))
    assert pairs.dtype == np.int32 and pairs.shape == (batch, 2, 2, 2)
    # Samples that meet in any mixture, joined until nothing changes.
    group = np.arange(batch)
    for _ in range(batch):
        for mixture, rows in enumerate(pairs.reshape(batch, -1)):
            joined = np.unique(group[[mixture, *rows]])
            group[np.isin(group, joined)] = joined[0]
    sizes = np.sort(np.bincount(group)[np.unique(group)])[::-1]
    assert sum(sizes) == batch
    # A part falls apart only if its mixtures keep to themselves; it never meets another.
    assert max(sizes) <= max(parts) and len(sizes) >= len(parts)
    assert max(sizes) >= 2


def test_the_same_seed_gives_the_same_mixtures_and_another_gives_others():
    rng = np.random.default_rng(3)
    cells = rng.dirichlet(np.ones(4), size=8).reshape(8, 2, 2).astype(np.float32)
    numbers = np.array(SETTINGS, float)
    first, again, other = (
        gather_on_host(cells, cells, np.array(seed), numbers) for seed in ([1, -2], [1, -2], [1, 2])
    )
    assert (first == again).all() and (first != other).any()


def test_mixtures_have_less_energy_than_those_that_take_blocks_at_random():
    rng = np.random.default_rng(4)
    cells = rng.dirichlet(np.ones(16), size=12).reshape(12, 4, 4).astype(np.float32)
    settings = CoMixupSettings(12, 4, 2.0, 0.32, 1.0, 0.83, 0.0, 0.0, 3)
    pairs = gather_on_host(cells, cells, np.array([0, 1]), np.array(settings, float))
    energy = energy_of_part(cells, np.zeros((12, 2), int), settings, rng)
    found = joint_energy(np.eye(12)[pairs].mean(axis=-2), energy)
    random = [joint_energy(np.eye(12)[rng.integers(0, 12, (12, 4, 4))], energy) for _ in range(50)]
    assert found < min(random) - 10


@pytest.mark.parametrize("batch", [0, 1])
def test_there_is_nothing_to_mix_in_batches_of_one_or_none(batch):
    cells = np.full((batch, 2, 2), 0.25, np.float32)
    pairs = gather_on_host(cells, cells, np.array([0, 1]), np.array(SETTINGS, float))
    np.testing.assert_array_equal(pairs, np.zeros((batch, 2, 2, 2)))


def test_settings_go_through_a_graph_as_numbers():
    assert settings_of(np.array(SETTINGS, np.float64)) == SETTINGS
