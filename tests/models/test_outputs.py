import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kmix_tf.models.rescaled.outputs import Heads, stretch, targets_like_outputs

thetas = st.floats(0.5, 1)


class TestTargets:
    def test_integer_classes_become_one_hot_also_as_columns_and_in_maps(self):
        labels = np.array([2, 0, 1])
        np.testing.assert_array_equal(targets_like_outputs(labels, (3,), "logits"), np.eye(3)[labels])
        np.testing.assert_array_equal(targets_like_outputs(labels[:, None], (3,), "logits"), np.eye(3)[labels])
        maps = np.arange(12).reshape(2, 3, 2) % 4
        for shaped in (maps, maps[..., None]):
            found = targets_like_outputs(shaped, (3, 2, 4), "probabilities")
            np.testing.assert_array_equal(found.argmax(-1), maps)
            assert found.sum() == 12

    @pytest.mark.parametrize("kind", ("logits", "probabilities", "multilabel_logits", "multilabel_probabilities"))
    def test_integer_one_hot_and_multi_hot_targets_are_taken_as_they_are(self, kind):
        targets = np.eye(3, dtype=np.int64)
        assert targets_like_outputs(targets, (3,), kind) is targets

    def test_binary_targets_get_the_axis_of_the_single_unit(self):
        assert targets_like_outputs(np.array([0, 1, 1]), (1,), "logits").shape == (3, 1)
        assert targets_like_outputs(np.zeros((3, 5, 5)), (5, 5, 1), "probabilities").shape == (3, 5, 5, 1)

    def test_labels_of_as_many_classes_as_steps_are_not_confused(self):
        one_hot = np.eye(4, dtype=int)[[[0, 1, 2, 3]]]
        assert targets_like_outputs(one_hot, (4, 4), "logits") is one_hot
        assert targets_like_outputs(np.array([[0, 1, 2, 3]]), (4, 4), "logits").shape == (1, 4, 4)

    @pytest.mark.parametrize(
        ("targets", "shape", "kind", "message"),
        [
            (
                np.array([0, 3]),
                (3,),
                "logits",
                r"kmix_tf: labels must be in \[0, 3\), .*Received: labels from 0 to 3",
            ),
            (np.array([-1, 1]), (1,), "logits", r"must be in \[0, 1\] where output='logits'; .*from -1 to 1"),
            (np.ones((2, 3)), (3,), "logits", r"set output='multilabel_logits'.*Received: sums from 3 to 3"),
            (np.zeros((2, 3)), (3,), "probabilities", r"set output='multilabel_probabilities'"),
            (np.full((2, 3), 2), (3,), "multilabel_logits", r"must be in \[0, 1\] where output='multilabel_logits'"),
            (
                np.array([0, 1]),
                (3,),
                "multilabel_logits",
                r"targets of shape \(2,\) for an output of shape \(None, 3\)",
            ),
            (np.zeros((2, 3)), (1,), "regression", r"targets of shape \(2, 3\) for an output of shape \(None, 1\)"),
        ],
    )
    def test_others_are_refused(self, targets, shape, kind, message):
        with pytest.raises(ValueError, match=message):
            targets_like_outputs(targets, shape, kind)

    def test_a_name_of_several_targets_is_said(self):
        with pytest.raises(ValueError, match=r"Received: targets\['a'\] from 0 to 9"):
            targets_like_outputs(np.array([0, 9]), (3,), "logits", "targets['a']")


class TestStretch:
    @given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-9, 9)), thetas)
    def test_logits_and_numbers_follow_equation_22(self, answer, theta):
        mean = np.array([0.1, 0.2, 0.3, 0.4])
        for kind in ("logits", "regression"):
            np.testing.assert_allclose(
                stretch(tf.constant(answer), mean, theta, kind), mean * (1 - 1 / theta) + answer / theta, atol=1e-12
            )

    @given(hnp.arrays(np.float64, (5, 1), elements=st.floats(-9, 9)), st.floats(0, 1), thetas)
    def test_labels_are_differences_of_two_logits(self, answer, mean, theta):
        # Any two logits with this difference, each by eq. (22), with the means of the two classes.
        first = stretch(tf.constant(np.full_like(answer, 1.7)), np.array([1 - mean]), theta, "regression")
        second = stretch(tf.constant(answer + 1.7), np.array([mean]), theta, "regression")
        for kind in ("multilabel_logits", "logits"):
            found = stretch(tf.constant(answer), np.array([mean]), theta, kind)
            np.testing.assert_allclose(found, second - first, atol=1e-12)

    def test_balanced_labels_keep_their_boundary(self):
        found = stretch(tf.constant([[-2.0, 0.0, 3.0]]), np.full(3, 0.5), 0.75, "multilabel_logits")
        np.testing.assert_allclose(found, [[-2 / 0.75, 0, 4]], rtol=1e-6)

    @given(hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 1)), thetas)
    def test_label_probabilities_are_clipped_one_by_one(self, answer, theta):
        mean = np.array([0.1, 0.5, 0.9])
        found = stretch(tf.constant(answer), mean, theta, "multilabel_probabilities")
        np.testing.assert_allclose(found, np.clip(mean * (1 - 1 / theta) + answer / theta, 0, 1), atol=1e-12)

    @given(hnp.arrays(np.float64, (4, 3), elements=st.floats(0.01, 1)), thetas)
    def test_probabilities_stay_on_the_simplex_and_keep_their_order(self, answer, theta):
        answer /= answer.sum(axis=1, keepdims=True)
        found = stretch(tf.constant(answer), np.full(3, 1 / 3), theta, "probabilities").numpy()
        assert found.min() >= 0
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)
        gaps = np.diff(np.take_along_axis(found, answer.argsort(axis=1), axis=1), axis=1)
        assert gaps.min() >= -1e-9

    @given(st.sampled_from(("logits", "regression", "multilabel_logits")), thetas)
    def test_shrunk_targets_are_stretched_back(self, kind, theta):
        # Mixup's targets are theta y + (1 - theta) y_mean: a model that learns them exactly is undone exactly.
        mean, y = np.array([0.2, 0.8]), np.array([[1.0, 0.0], [0.0, 1.0]])
        sign = (lambda p: 2 * p - 1) if kind == "multilabel_logits" else (lambda p: p)
        learnt = theta * sign(y) + (1 - theta) * sign(mean)
        np.testing.assert_allclose(stretch(tf.constant(learnt), mean, theta, kind), sign(y), atol=1e-12)


class TestHeads:
    def test_one_word_is_for_all_outputs(self):
        assert Heads("logits").of({"a": 1, "b": [2, 3]}) == ["logits"] * 3

    def test_a_structure_is_matched_by_names(self):
        heads = Heads({"b": "regression", "a": ("logits", "probabilities")})
        assert heads.of({"a": [1, 2], "b": 3}) == ["logits", "probabilities", "regression"]

    def test_others_are_refused(self):
        with pytest.raises(
            ValueError, match=r"kmix_tf: output\['a'\] must be one of 'logits'.*Received: output\['a'\]=3"
        ):
            Heads({"a": 3})
        with pytest.raises(ValueError, match=r"kmix_tf: output must be one of .* for outputs \[\"output\['a'\]\"\]"):
            Heads({"b": "logits"}).of({"a": 1})
