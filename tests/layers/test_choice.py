"""One of several mixes: chosen as often as said, the chosen one's own mixture, in every place where mixes go."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chi2, kstest

from kmix_tf import (
    ChoiceLayer,
    CutMixLayer,
    FMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MixSchedule,
    MultiMixLayer,
    OtherClassPairing,
    ThresholdWeight,
    mix,
)
from kmix_tf.layers.choosing import choice_seeds
from kmix_tf.seeding import as_seed

RNG = np.random.default_rng(3)
X = RNG.normal(size=(8, 4, 6, 2)).astype(np.float32)
Y = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, 8)]
PER = ["batch", "sample"]


@keras.saving.register_keras_serializable(package="kmix_tf_tests", name="choice_halves")
def halves(group, seed):
    return tf.fill(tf.shape(group), 0.5)


def thirds(group, seed):
    return tf.fill(tf.shape(group), 1 / 3)


def fixed():
    """Two mixes that are told apart by their ratios, 1/2 and 1/3 of the sample itself."""
    return [MixLayer(ratio=halves), MixLayer(ratio=thirds)]


def own_shares(layer, seeds, size=6, **options):
    """For each seed, the share of each sample in its own mixture."""
    eye = tf.eye(size)
    run = tf.function(lambda seed: layer(eye, eye, seed=seed, **options)[1])
    return np.stack([np.diag(run(tf.constant([0, seed]))) for seed in range(seeds)])


def uneven(counts, shares):
    """Chi square of counts against shares, in units of what a false alarm in 10^6 would be."""
    counts, expected = np.asarray(counts, float), np.sum(counts) * np.asarray(shares)
    return ((counts - expected) ** 2 / expected).sum() / chi2.isf(1e-6, len(counts) - 1)


class TestWhatIsChosen:
    @pytest.mark.parametrize("probabilities", [None, [0.2, 0.8], np.array([0.9, 0.1], np.float32)])
    def test_batches_are_mixed_by_each_layer_as_often_as_said(self, probabilities):
        shares = own_shares(ChoiceLayer(fixed(), probabilities), 600)
        assert (shares.min(axis=1) == shares.max(axis=1)).all(), "a batch has one layer"
        counts = [np.isclose(shares[:, 0], ratio).sum() for ratio in (1 / 2, 1 / 3)]
        assert sum(counts) == 600
        assert uneven(counts, [0.5, 0.5] if probabilities is None else probabilities) < 1

    def test_samples_are_mixed_by_each_layer_as_often_as_said_independently(self):
        shares = own_shares(ChoiceLayer([*fixed(), None], [0.5, 0.3, 0.2], per="sample"), 200)
        chosen = np.stack([np.isclose(shares, ratio) for ratio in (1 / 2, 1 / 3, 1)])
        assert (chosen.sum(axis=0) == 1).all()
        assert uneven(chosen.sum(axis=(1, 2)), [0.5, 0.3, 0.2]) < 1
        # As many of the first in a batch as Binomial(6, 1/2) says; 5 and more together, so that 20 are expected.
        counts = np.bincount(np.minimum(chosen[0].sum(axis=1), 5), minlength=6)
        assert uneven(counts, np.array([1, 6, 15, 20, 15, 7]) / 64) < 1

    @pytest.mark.parametrize("per", PER)
    def test_none_and_probability_leave_batches_or_samples_as_they_are(self, per):
        layer = ChoiceLayer(
            [MixLayer(ratio=halves), None, MixLayer(ratio=thirds)], [0.5, 0.25, 0.25], probability=0.8, per=per
        )
        shares = own_shares(layer, 500)[:, : None if per == "sample" else 1]
        counts = [np.isclose(shares, ratio).sum() for ratio in (1 / 2, 1 / 3, 1)]
        assert sum(counts) == shares.size
        assert uneven(counts, [0.4, 0.2, 0.4]) < 1

    def test_a_layers_own_probability_holds_as_well(self):
        shares = own_shares(ChoiceLayer([MixLayer(ratio=halves, probability=0.5)], probability=0.5), 500)[:, 0]
        assert uneven([np.isclose(shares, 0.5).sum(), np.isclose(shares, 1).sum()], [0.25, 0.75]) < 1

    def test_what_has_no_chance_is_never_chosen(self):
        assert np.allclose(own_shares(ChoiceLayer(fixed(), [1, 0]), 100), 0.5)
        assert (own_shares(ChoiceLayer(fixed(), probability=0.0), 20) == 1).all()

    def test_ratios_know_nothing_of_what_was_chosen(self):
        # Two equal layers: which of them mixed can be seen, for the derived seed says what each would give.
        layer, parts = ChoiceLayer([MixLayer(), MixLayer()]), MixLayer()
        eye = tf.eye(3)
        run = tf.function(lambda seed: (layer(eye, eye, seed=seed)[1], [
            parts(eye, eye, seed=each)[1] for each in choice_seeds(as_seed(seed), 2).layers
        ]))  # fmt: skip
        ratios = [[], []]
        for seed in range(600):
            mixed, each = run(tf.constant([0, seed]))
            which = [np.array_equal(mixed, other) for other in each]
            assert sum(which) == 1
            ratios[which.index(True)].append(float(mixed[0, 0]))
        # Beta(1, 1): uniform, whichever was chosen; each a false alarm once in 10^6.
        assert all(kstest(drawn, "uniform").pvalue > 1e-6 for drawn in ratios)

    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_a_batch_is_that_of_the_chosen_layer_with_its_seed(self, jit_compile):
        parts = [KMixupLayer(2, solver="graph"), CutMixLayer(), FMixLayer(scope="sample")]
        layer = ChoiceLayer(parts)
        run = tf.function(lambda seed: layer(X, Y, seed=seed), jit_compile=jit_compile)
        seen = set()
        for seed in range(20):
            x, y = run(tf.constant([0, seed]))
            seeds = choice_seeds(as_seed(seed), 3).layers
            each = [part(X, Y, seed=own) for part, own in zip(parts, seeds, strict=True)]
            fits = [np.allclose(x, a, atol=1e-5) and np.allclose(y, b, atol=1e-5) for a, b in each]
            assert sum(fits) == 1
            seen.add(fits.index(True))
        assert seen == {0, 1, 2}

    def test_each_sample_is_that_of_its_layer(self):
        parts = [MultiMixLayer(2), CutMixLayer(interpolations=2)]
        x, y = ChoiceLayer(parts, per="sample")(X, Y, seed=5)
        seeds = choice_seeds(as_seed(5), 2).layers
        each = [[np.asarray(part) for part in layer(X, Y, seed=own)] for layer, own in zip(parts, seeds, strict=True)]
        fits = np.stack(
            [(x.numpy() == ours).all(axis=(1, 2, 3)) & np.isclose(y, targets).all(axis=1) for ours, targets in each]
        )
        assert fits.any(axis=0).all()
        # Both mixtures of a sample come from one layer; of eight samples both layers have some.
        fits = fits.reshape(2, 2, 8).all(axis=1)
        assert fits.any(axis=0).all()
        assert fits.sum(axis=1).min() >= 1


class TestWhereItGoes:
    @pytest.mark.parametrize("per", PER)
    def test_a_stream_repeats_in_parallel_and_after_a_checkpoint(self, per, tmp_path):
        layer = ChoiceLayer([KMixupLayer(2), LocalMixupLayer(), None], per=per, probability=0.9)

        def dataset(calls=tf.data.AUTOTUNE):
            data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(3).repeat(4)
            return data.apply(mix(layer, seed=3, num_parallel_calls=calls))

        def stream(data):
            return [[part.tobytes() for part in element] for element in data]

        expected = stream(dataset(None).as_numpy_iterator())
        assert stream(dataset(4).as_numpy_iterator()) == expected
        iterator = iter(dataset())
        begun = [[part.numpy().tobytes() for part in next(iterator)] for _ in range(5)]
        path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
        next(iterator)
        resumed = iter(dataset())
        tf.train.Checkpoint(iterator=resumed).restore(path)
        assert begun + stream([part.numpy() for part in element] for element in resumed) == expected

    @pytest.mark.parametrize("per", PER)
    def test_static_shapes_are_kept(self, per):
        layer = ChoiceLayer([KMixupLayer(2), CutMixLayer(), None], per=per)
        data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4, drop_remainder=True)
        for mixed in (data.map(layer), data.apply(mix(layer))):
            assert [tuple(spec.shape) for spec in mixed.element_spec] == [(4, 4, 6, 2), (4, 4)]
        data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
        assert [tuple(spec.shape) for spec in data.map(layer).element_spec] == [(None, 4, 6, 2), (None, 4)]

    @pytest.mark.parametrize("per", PER)
    def test_two_loaders(self, per):
        layer = ChoiceLayer([*fixed(), None], per=per)
        first, second = (tf.eye(6), tf.eye(6)), (tf.zeros([6, 6]), tf.zeros([6, 6]))
        data = tf.data.Dataset.from_tensors((first, second)).repeat(60).apply(mix(layer, seed=1, between=True))
        shares = np.stack([np.diag(y) for _, y in data.as_numpy_iterator()])
        assert {round(float(each), 4) for each in shares.ravel()} == {0.5, 0.3333, 1.0}
        if per == "batch":
            assert (shares.min(axis=1) == shares.max(axis=1)).all()

    def test_a_choice_in_a_choice(self):
        inner = ChoiceLayer([MixLayer(ratio=halves), MixLayer(ratio=thirds)])
        quarters = MixLayer(ratio=lambda group, seed: tf.fill(tf.shape(group), 0.25))
        shares = own_shares(ChoiceLayer([inner, quarters], probability=0.8), 600)[:, 0]
        counts = [np.isclose(shares, ratio).sum() for ratio in (1 / 2, 1 / 3, 1 / 4, 1)]
        assert uneven(counts, [0.2, 0.2, 0.4, 0.2]) < 1

    def test_steps_are_handed_on(self):
        off, on = MixSchedule(1, off_after=0), MixSchedule(1)
        layers = [MixLayer(ratio=halves, schedule=off), MixLayer(ratio=thirds, schedule=on)]
        assert {round(float(s), 3) for s in own_shares(ChoiceLayer(layers), 40, step=3).ravel()} == {1.0, 0.333}
        layer = ChoiceLayer(fixed(), schedule=MixSchedule(1, off_after=5))
        assert (own_shares(layer, 10, step=6) == 1).all()
        assert (own_shares(layer, 10, step=4) < 1).all()
        for each in (layer, ChoiceLayer(layers)):
            with pytest.raises(ValueError, match=r"ChoiceLayer: a schedule needs the step"):
                tf.data.Dataset.from_tensors((X, Y)).map(each)
            with pytest.raises(ValueError, match=r"mix: a schedule counts steps"):
                tf.data.Dataset.from_tensors((X, Y)).apply(mix(each))

    def test_evaluation_converts_and_mixes_nothing(self):
        layer = ChoiceLayer([CutMixLayer(num_classes=4), KMixupLayer(num_classes=4)], per="sample")
        data = tf.data.Dataset.from_tensor_slices((X, Y.argmax(1))).batch(8)
        for x, y in (next(iter(data.map(layer.for_evaluation()))), layer(X, Y.argmax(1), training=False)):
            assert (x.numpy() == X).all()
            assert (y.numpy() == Y).all()

    @pytest.mark.parametrize("per", PER)
    def test_a_copy_from_a_file_in_another_process_mixes_alike(self, per, tmp_path, elsewhere):
        embedding = keras.Sequential([keras.layers.Input((4, 6, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
        layer = ChoiceLayer(
            [
                KMixupLayer(2, embedding=embedding, probability=0.9, features_only=True),
                ChoiceLayer([CutMixLayer(features_only=True), FMixLayer(features_only=True)]),
                None,
            ],
            [0.5, 0.3, 0.2],
            per=per,
            probability=0.75,
            schedule=MixSchedule(3, warmup=1),
            seed=4,
        )
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        back = keras.saving.deserialize_keras_object(config)
        assert json.dumps(back.get_config()) == json.dumps(layer.get_config())
        assert (back.per, back.probability, back.seed) == (per, 0.75, 4)
        np.testing.assert_allclose(back.probabilities, [0.5, 0.3, 0.2])
        assert [type(each).__name__ for each in back.layers] == ["KMixupLayer", "ChoiceLayer", "NoneType"]
        inputs = keras.Input((4, 6, 2))
        layer_there = ChoiceLayer.from_config({**layer.get_config()})
        keras.Model(inputs, layer_there(inputs, training=False)).save(tmp_path / "model.keras")
        np.savez(tmp_path / "data.npz", x=X, y=Y)
        program = """
import sys, keras, numpy as np, kmix_tf
folder = sys.argv[1]
data = np.load(folder + "/data.npz")
model = keras.saving.load_model(folder + "/model.keras")
(layer,) = [each for each in model.layers if isinstance(each, kmix_tf.ChoiceLayer)]
parts = [np.asarray(part) for seed in range(6) for part in layer(data["x"], data["y"], seed=seed, step=9)]
np.savez(folder + "/back.npz", *parts)
"""
        elsewhere(program, tmp_path)
        ours = [part for seed in range(6) for part in layer_there(X, Y, seed=seed, step=9)]
        with np.load(tmp_path / "back.npz") as saved:
            for part, there in zip(ours, (saved[name] for name in saved.files), strict=True):
                np.testing.assert_array_equal(part, there)

    def test_layers_adapt_each(self):
        table = RNG.normal(size=(96, 3)).astype(np.float32) * [1, 100, 1e4]
        layer = ChoiceLayer([KMixupLayer(8, 0.5), MixLayer(ratio=halves), KMixupLayer(1)])
        layer.adapt(table, batch_size=32, match_alpha=True, precision=0.2)
        assert all(each.adapted["scales"] for each in layer.layers)
        assert layer.layers[0].matched_alpha > 0.5
        assert layer.layers[1].matched_alpha is None
        back = ChoiceLayer.from_config(layer.get_config())
        assert back.layers[0].matched_alpha == layer.layers[0].matched_alpha
        with pytest.raises(ValueError, match=r"ChoiceLayer: match_alpha must be False where no layer draws"):
            ChoiceLayer(fixed()).adapt(table, match_alpha=True)

    @pytest.mark.parametrize("per", PER)
    def test_packed_targets(self, per):
        layer = ChoiceLayer([LocalMixupLayer(targets="packed"), CutMixLayer(targets="packed"), None], per=per)
        data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(3).apply(mix(layer, seed=0))
        assert [tuple(y.shape) for _, y in data] == [(3, 10), (3, 10), (2, 10)]


class TestWeights:
    @pytest.mark.parametrize("per", PER)
    def test_layers_that_weigh_and_others_go_together(self, per):
        # Weights of 1, where a layer gives none; and where nothing is mixed.
        weigher = MixLayer(ratio=halves, weight=lambda first, second, partner: tf.cast(partner, tf.float32) + 1)
        layer = ChoiceLayer([weigher, MixLayer(ratio=thirds), None], per=per)
        data = tf.data.Dataset.from_tensors((tf.eye(4), tf.eye(4))).repeat(60).apply(mix(layer, seed=0))
        seen = set()
        for _, y, weight in data.as_numpy_iterator():
            partner = np.argmax(y * (1 - np.eye(4)), axis=1)
            for own, other, each in zip(np.diag(y), partner, weight, strict=True):
                seen.add(round(float(own), 3))
                expected = (other + 1) / 2.5 if own == 0.5 else 1.0
                assert each == pytest.approx(expected, rel=1e-5)
        assert seen == {0.5, 0.333, 1.0}

    @pytest.mark.parametrize("per", PER)
    def test_weights_that_came_count_whoever_mixes(self, per):
        weight = np.arange(1, 7, dtype=np.float32)
        layer = ChoiceLayer([MixLayer(ratio=halves), LocalMixupLayer(weight=ThresholdWeight(1e9)), None], per=per)
        for seed in range(8):
            _, y, counts = layer(np.eye(6, dtype=np.float32), np.eye(6, dtype=np.float32), weight, seed=seed)
            # sum over mixtures of r w_a y_a + (1 - r) w_b y_b: for a permutation all of what there is.
            if per == "batch":
                np.testing.assert_allclose(np.sum(counts), weight.sum(), rtol=1e-5)
            share = y.numpy() * counts.numpy()[:, None] / weight
            np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-5)

    @pytest.mark.parametrize("in_map", [False, True])
    @pytest.mark.parametrize("per", PER)
    def test_maps_that_are_pasted_or_averaged(self, per, in_map):
        # Weights of a pasted map are of its places, of an averaged one of samples: of places in both then.
        maps = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, (8, 4, 6))]
        weight = np.arange(1, 9, dtype=np.float32)
        layer = ChoiceLayer([CutMixLayer(), KMixupLayer(1), None], per=per)
        for seed in range(2):
            if in_map:
                data = tf.data.Dataset.from_tensors((X, maps, weight)).apply(mix(layer, seed=seed))
                assert [tuple(spec.shape) for spec in data.element_spec] == [(8, 4, 6, 2), (8, 4, 6, 3), (8, 4, 6)]
                _, y, counts = next(iter(data))
            else:
                _, y, counts = layer(X, maps, weight, seed=seed)
            assert counts.shape == (8, 4, 6)
            np.testing.assert_allclose(tf.reduce_sum(y, -1), 1, rtol=1e-5)
            assert ((counts >= 1) & (counts <= 8)).numpy().all()

    @pytest.mark.parametrize("per", PER)
    def test_several_outputs_with_one_weight_for_all(self, per):
        x = {"image": X, "id": np.arange(8).astype(str)}
        y = {"map": np.eye(3, dtype=np.float32)[RNG.integers(0, 3, (8, 4, 6))], "class": Y}
        weight = np.arange(1, 9, dtype=np.float32)
        layer = ChoiceLayer([KMixupLayer(1, passthrough="id"), CutMixLayer(passthrough="id"), None], per=per)
        data = tf.data.Dataset.from_tensors((x, y, weight)).repeat(9).apply(mix(layer, seed=1))
        for features, targets, counts in data:
            assert (features["id"].numpy().astype(str) == x["id"]).all()
            assert set(targets) == set(counts) == {"map", "class"}
            assert (counts["map"].shape, counts["class"].shape) == ((8, 4, 6), (8,))

    def test_class_weights(self):
        layers = [
            KMixupLayer(1, num_classes=4, class_weight={0: 5.0}),
            CutMixLayer(num_classes=4, class_weight={0: 5.0}, scope="pair"),  # What one loses the other gets.
        ]
        for seed in range(4):
            _, y, weight = ChoiceLayer([*layers, None])(X, Y.argmax(1), seed=seed)
            assert np.sum(y[:, 0] * weight) == pytest.approx(5 * np.sum(Y[:, 0]), rel=1e-5)


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"num_classes": 4}, r"num_classes, .* Received: num_classes of \[None, 4\]"),
            ({"targets": "packed"}, "targets"),
            ({"passthrough": "id"}, "passthrough"),
            ({"masks": "there"}, "masks"),
            ({"features_only": True}, "features_only"),
            ({"num_classes": None, "interpolations": 3}, r"interpolations, .* Received: interpolations of \[1, 3\]"),
        ],
        ids=lambda value: "" if isinstance(value, str) else " ".join(value),
    )
    def test_layers_that_make_something_else_of_batches(self, options, said):
        with pytest.raises(ValueError, match=f"ChoiceLayer: layers must agree in {said}"):
            ChoiceLayer([CutMixLayer(), None, KMixupLayer(**options)])

    @pytest.mark.parametrize(
        "probabilities",
        [[0.5], [0.5, 0.6], [1.5, -0.5], [0.5, float("nan")], "half", [0.25, 0.25], [[0.5, 0.5]]],
        ids=str,
    )
    def test_probabilities_that_are_none(self, probabilities):
        with pytest.raises(
            ValueError, match=r"ChoiceLayer: probabilities must be None, or numbers >= 0 that sum to 1"
        ):
            ChoiceLayer(fixed(), probabilities)

    @pytest.mark.parametrize(
        "layers", [KMixupLayer, [KMixupLayer], "cutmix", {"a": 1}, [keras.layers.Rescaling(1.0)], 3]
    )
    def test_what_is_no_list_of_mixes(self, layers):
        with pytest.raises(TypeError, match=r"ChoiceLayer: layers must be a list of mix layers"):
            ChoiceLayer(layers)

    def test_others(self):
        with pytest.raises(ValueError, match=r"layers must be .*at least one must mix. Received: layers=\[None\]"):
            ChoiceLayer([None])
        with pytest.raises(ValueError, match=r"layers must be .*at least one must mix. Received: layers=\[\]"):
            ChoiceLayer([])
        with pytest.raises(
            ValueError, match=r"ChoiceLayer: per must be one of 'batch', 'sample'. Received: per='pixel'"
        ):
            ChoiceLayer(fixed(), per="pixel")
        with pytest.raises(TypeError, match=r"ChoiceLayer: there is no such option. Received: probabilites="):
            ChoiceLayer(fixed(), probabilites=[0.5, 0.5])
        with pytest.raises(ValueError, match=r"ChoiceLayer: probability must be in \[0, 1\]"):
            ChoiceLayer(fixed(), probability=2)
        with pytest.raises(
            ValueError, match=r"ChoiceLayer: saliency must be None for a choice of layers that ask for none"
        ):
            ChoiceLayer(fixed())(X, Y, saliency=X[..., 0])
        with pytest.raises(ValueError, match=r"OtherClassPairing: two loaders cannot be paired by class"):
            ChoiceLayer([MixLayer(OtherClassPairing())]).between((X, Y), (X, Y))

    def test_results_of_other_kinds(self):
        def widening(first, second, partner, ratio, seed):
            return [tf.cast(leaf, tf.float64) for leaf in first], ratio

        layer = ChoiceLayer([KMixupLayer(1), MixLayer(blend=widening)])
        said = r"ChoiceLayer: layers must give results of one structure, .* Received: KMixupLayer gives .*float32"
        with pytest.raises(ValueError, match=said):
            tf.data.Dataset.from_tensors((X, Y)).map(layer)
