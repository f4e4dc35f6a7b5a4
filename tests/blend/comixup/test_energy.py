"""The energy of outputs, against its formula written out in loops."""

import numpy as np
import pytest

from kmix_tf.blend.comixup import joint_energy, masks_of
from kmix_tf.blend.comixup.energy import own_cost
from tests.blend.comixup.problems import neighbours, random_energy, random_pairs


def written_out(masks, energy):
    """The sum of all terms, one by one."""
    outputs, sizes, inputs = len(masks), masks.shape[1:-1], masks.shape[-1]
    shown = [[sum(masks[(j, *p, i)] for p in np.ndindex(*sizes)) for i in range(inputs)] for j in range(outputs)]
    total = 0.0
    for j in range(outputs):
        for p in np.ndindex(*sizes):
            total += sum(energy.unary[(i, *p)] * masks[(j, *p, i)] for i in range(inputs))
            total -= 5e-4 if sorted(masks[(j, *p)])[-2:] == [0.5, 0.5] else 0
        for p, q in neighbours(sizes):
            total += energy.smooth * sum((masks[(j, *p, i)] - masks[(j, *q, i)]) ** 2 for i in range(inputs)) / 2
        for i in range(inputs):
            elsewhere = sum(
                energy.likeness[i, other] * shown[k][other]
                for k in range(outputs)
                if k != j
                for other in range(inputs)
            )
            total += energy.many * shown[j][i] * (elsewhere if elsewhere > energy.most else 0)
            total += 0 if energy.extra is None else energy.extra[j, i] * shown[j][i]
    return total


@pytest.mark.parametrize("sizes", [(5,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("threshold", [0.0, 0.5])
@pytest.mark.parametrize("with_extra", [False, True])
def test_the_energy_is_the_sum_of_its_terms(sizes, threshold, with_extra):
    rng = np.random.default_rng(1)
    extra = rng.random((4, 3)) if with_extra else None
    energy = random_energy(rng, 3, sizes, threshold, extra=extra)
    for _ in range(5):
        masks = masks_of(random_pairs(rng, 4, sizes, 3), 3)
        assert joint_energy(masks, energy) == pytest.approx(written_out(masks, energy), rel=1e-12)


def test_an_input_counts_elsewhere_only_above_the_threshold():
    rng = np.random.default_rng(2)
    energy = random_energy(rng, 2, (2, 2), threshold=0.5, omega=0.0, beta=0.0)._replace(unary=np.zeros((2, 2, 2)))
    masks = np.zeros((2, 2, 2, 2))
    masks[0, ..., 0] = masks[1, ..., 1] = 1
    assert joint_energy(masks, energy) == 0
    masks[1, 0] = [1, 0]  # half of the other output: not above a half
    assert joint_energy(masks, energy) == pytest.approx(energy.many * 2 * 4)  # of the first in the second's eyes
    masks[1, 1, 0] = [1, 0]
    assert joint_energy(masks, energy) == pytest.approx(energy.many * (4 * 3 + 3 * 4))


@pytest.mark.parametrize("with_extra", [False, True])
def test_without_a_threshold_an_outputs_own_cost_is_what_the_energy_changes_by(with_extra):
    rng = np.random.default_rng(3)
    extra = rng.random((3, 4)) if with_extra else None
    energy = random_energy(rng, 4, (2, 2), threshold=0.0, beta=0.0, extra=extra)
    pairs = random_pairs(rng, 3, (2, 2), 4, halves=False)
    masks = masks_of(pairs, 4)
    shown = masks.sum(axis=(1, 2))
    cost = np.moveaxis(own_cost(shown.sum(axis=0) - shown[1], energy, 1), 0, -1)
    other = masks.copy()
    other[1] = masks_of(random_pairs(rng, 1, (2, 2), 4, halves=False), 4)[0]
    changed = joint_energy(other, energy) - joint_energy(masks, energy)
    assert changed == pytest.approx(np.sum(cost * (other[1] - masks[1])), abs=1e-12)


def test_masks_are_one_input_or_two_by_halves():
    masks = masks_of(np.array([[[0, 0], [0, 2]]]), 3)
    np.testing.assert_array_equal(masks, [[[1, 0, 0], [0.5, 0, 0.5]]])
