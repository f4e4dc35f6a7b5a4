"""Sweeps over outputs, against all labellings of small problems."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf.blend.comixup import course, joint_energy, masks_of, solved, swept
from kmix_tf.blend.comixup.energy import own_cost
from kmix_tf.blend.comixup.solve import parting_costs, shown_by
from tests.blend.comixup.problems import every_labelling, neighbours, random_energy, random_pairs


def energy_of(pairs, energy):
    return joint_energy(masks_of(pairs, len(energy.unary)), energy)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    inputs=st.integers(2, 5),
    sizes=st.sampled_from([(4,), (2, 2), (3, 2)]),
    threshold=st.sampled_from([0.0, 0.3, 0.83, 2.0]),
    halves=st.booleans(),
)
def test_no_sweep_raises_the_energy(seed, inputs, sizes, threshold, halves):
    rng = np.random.default_rng(seed)
    energy = random_energy(rng, inputs, sizes, threshold)
    start = rng.integers(0, inputs, (inputs, *sizes))
    before = np.stack([start, start], axis=-1)
    for after, judged_by in course(energy, start, sweeps=5):
        assert energy_of(after, judged_by) <= energy_of(before, judged_by) + 1e-12
        before = after
    if threshold == 0:  # then what an output pays is all that changes, so every sweep lowers it
        pairs = random_pairs(rng, inputs, sizes, inputs, halves)
        assert energy_of(swept(pairs, energy, halves), energy) <= energy_of(pairs, energy) + 1e-12


def test_with_a_threshold_a_sweep_by_itself_may_raise_it():
    # Of some such problems it happens, which is why the best outputs are kept.
    raised = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        energy = random_energy(rng, 4, (2, 2), 0.83)
        pairs = swept(random_pairs(rng, 4, (2, 2), 4, halves=False), energy, halves=False)
        raised += energy_of(swept(pairs, energy, True), energy) > energy_of(pairs, energy) + 1e-9
    assert 0 < raised < 60


def test_what_is_solved_is_how_things_stand_after_the_last_sweep():
    rng = np.random.default_rng(8)
    energy, start = random_energy(rng, 5, (3, 3)), rng.integers(0, 5, (5, 3, 3))
    for sweeps in (1, 2, 4):
        stands = list(course(energy, start, sweeps))
        assert len(stands) == sweeps
        np.testing.assert_array_equal(solved(energy, start, sweeps), stands[-1].pairs)


@pytest.mark.parametrize("inputs", [2, 3])
@pytest.mark.parametrize("threshold", [0.0, 0.83])
def test_of_several_starts_the_least_energy_there_is_is_reached(inputs, threshold):
    rng = np.random.default_rng(4)
    labellings = every_labelling(inputs, (2, 2, 2))
    for _ in range(3):
        energy = random_energy(rng, inputs, (2, 2), threshold)
        least = min(joint_energy(np.eye(inputs)[each], energy) for each in labellings)
        found = []
        for _ in range(16):
            pairs = random_pairs(rng, 2, (2, 2), inputs, halves=False)
            for _ in range(4):
                pairs = swept(pairs, energy, halves=False)
            found.append(energy_of(pairs, energy))
        assert min(found) == pytest.approx(least, abs=1e-5)
        assert min(found) >= least - 1e-12


def test_each_output_is_the_best_there_is_for_what_the_others_show():
    # Two inputs: a swap is of all labels there are, so an output is compared with all of its labellings.
    rng = np.random.default_rng(5)
    labellings = every_labelling(2, (2, 3))
    for _ in range(10):
        energy = random_energy(rng, 2, (2, 3))
        before = random_pairs(rng, 2, (2, 3), 2, halves=False)
        after = swept(before, energy, halves=False)

        def own(labels, cost, energy=energy):
            unary = sum(cost[(labels[block], *block)] for block in np.ndindex(2, 3))
            return unary + energy.smooth * sum(labels[p] != labels[q] for p, q in neighbours((2, 3)))

        for output, others in ((0, before[1]), (1, after[0])):
            cost = own_cost(shown_by(others[np.newaxis], 2)[0], energy, output)
            assert own(after[output, ..., 0], cost) == pytest.approx(min(own(x, cost) for x in labellings), abs=1e-5)


def test_halves_are_of_inputs_that_an_output_shows_and_at_most_three():
    rng = np.random.default_rng(6)
    for _ in range(20):
        energy = random_energy(rng, 6, (3, 3), beta=1.0)
        before = random_pairs(rng, 6, (3, 3), 6, halves=False)
        first, second = swept(before, energy, halves=False), swept(before, energy, halves=True)
        assert (first[..., 0] == first[..., 1]).all()
        for was, now in zip(shown_by(before, 6), second, strict=True):
            mixed = now[now[..., 0] != now[..., 1]]
            most = np.sort(was)[-3]
            assert all(was[one] >= most and was[one] > 0 for one in mixed.ravel())


def test_a_border_between_two_inputs_becomes_half_and_half_where_smoothness_asks_for_it():
    energy = random_energy(np.random.default_rng(0), 2, (3,), eta=0.0, gamma=0.0)._replace(
        unary=np.array([[-0.8, -0.4, 0.0], [0.0, -0.4, -0.8]]), smooth=0.5
    )
    pairs = solved(energy, np.array([[0, 0, 1]]), sweeps=2)
    np.testing.assert_array_equal(masks_of(pairs, 2), [[[1, 0], [0.5, 0.5], [0, 1]]])


def test_outputs_of_the_same_inputs_are_parted():
    shown = np.array([[2, 2, 0], [4, 0, 0], [1, 3, 0], [4, 0, 0], [0, 1, 3]], float)
    expected = np.zeros((5, 3))
    expected[0, 0] = expected[2, 1] = 0.7  # of the two with inputs 0 and 1; those of one input have no other
    np.testing.assert_array_equal(parting_costs(shown, 0.7), expected)
    assert parting_costs(shown[1:], 0.7) is None


def test_the_last_sweep_parts_identical_outputs():
    # Each half is salient in an input of its own: without more, both outputs show both.
    saliency = np.array([[[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]]])
    energy = random_energy(np.random.default_rng(0), 2, (2, 2), threshold=9.0, beta=0.0)._replace(
        unary=-0.1 * saliency
    )
    start = np.zeros((2, 2, 2), int)
    start[:, 1] = 1
    alike = solved(energy._replace(many=0.0), start, sweeps=3)
    assert (alike[0] == alike[1]).all()
    parted = solved(energy, start, sweeps=3)
    assert (shown_by(parted, 2)[0] != shown_by(parted, 2)[1]).any()
