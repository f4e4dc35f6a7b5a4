"""What cannot be mixed is refused: by whom, which argument, and what was received."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    CutMixBlend,
    CutMixLayer,
    ExponentialWeight,
    FMixBlend,
    KMixupLayer,
    LinearBlend,
    LocalMixupLayer,
    MixLayer,
    MixSchedule,
    MultiMixLayer,
    RandomPairing,
    ThresholdWeight,
    mix,
)

X = tf.reshape(tf.range(12.0), [4, 3])
Y = tf.eye(4)
LABELS = tf.constant([0, 1, 2, 0])

presets = pytest.mark.parametrize("preset", [MixLayer, KMixupLayer, MultiMixLayer, LocalMixupLayer, CutMixLayer])
numbered = pytest.mark.parametrize("preset", [KMixupLayer, MultiMixLayer, LocalMixupLayer, CutMixLayer])


@numbered
@pytest.mark.parametrize("argument", ["k", "interpolations"])
@pytest.mark.parametrize("value", [0, -3, 2.0, 1.5, True, "16", None, float("nan")])
def test_numbers_of_things(preset, argument, value):
    message = rf"{preset.__name__}: {argument} must be an integer >= 1. Received: {argument}="
    with pytest.raises(ValueError, match=message):
        preset(**{argument: value})


@numbered
@pytest.mark.parametrize("alpha", [-1, -1e-9, float("nan"), float("inf"), "1", None, True])
def test_alpha(preset, alpha):
    with pytest.raises(ValueError, match=rf"{preset.__name__}: alpha must be >= 0 and finite. Received: alpha="):
        preset(alpha=alpha)


@presets
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "1", None, True])
def test_probability(preset, value):
    with pytest.raises(
        ValueError, match=rf"{preset.__name__}: probability must be in \[0, 1\]. Received: probability="
    ):
        preset(probability=value)


@presets
@pytest.mark.parametrize("value", ["soft", None, True, 1])
def test_kinds_of_targets(preset, value):
    with pytest.raises(ValueError, match=rf"{preset.__name__}: targets must be one of 'mixed', 'packed'. Received: "):
        preset(targets=value)


@presets
@pytest.mark.parametrize("argument", ["schedule", "embedding"])
@pytest.mark.parametrize("value", [1, "linear", [MixSchedule(1)]])
def test_optional_strategies_that_cannot_be_called(preset, argument, value):
    with pytest.raises(TypeError, match=rf"{preset.__name__}: {argument} must be callable. Received: {argument}="):
        preset(**{argument: value})


@pytest.mark.parametrize("value", ["largebatch", "", 1, True, "large_batch"])
def test_baselines(value):
    message = "MultiMixLayer: baseline must be one of 'batch_augmentation'. Received: baseline="
    with pytest.raises(ValueError, match=message):
        MultiMixLayer(baseline=value)


@pytest.mark.parametrize("axes", [0, 4, 2.0, None, True, "2"])
def test_axes(axes):
    with pytest.raises(ValueError, match=r"CutMixLayer: axes must be .*Received: axes="):
        CutMixLayer(axes=axes)
    with pytest.raises(ValueError, match=r"CutMixBlend: axes must be .*Received: axes="):
        CutMixBlend(axes)


@pytest.mark.parametrize("value", [1.5, -0.5, float("nan")])
@pytest.mark.parametrize("blend", [LinearBlend(), FMixBlend()], ids=["linear", "fmix"])
def test_a_ratio_of_ones_own_outside_the_range_is_refused_and_under_xla_ends(value, blend):
    x = np.zeros((4, 8, 8, 1), np.float32)
    layer = MixLayer(ratio=lambda group, seed: tf.fill(tf.shape(group), value), blend=blend)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"MixLayer: ratio must give ratios in \[0, 1\]"):
        layer(x, np.eye(4, dtype=np.float32), seed=1)
    # XLA drops assertions: what comes out then does not matter, but something must.
    compiled = tf.function(lambda x, y: layer(x, y, seed=1), jit_compile=True)
    assert compiled(x, np.eye(4, dtype=np.float32))[1].shape == (4, 4)


@pytest.mark.parametrize("shape", [[], [3], [4, 1], [2, 2, 4]], ids=str)
def test_a_ratio_of_ones_own_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"MixLayer: ratio must give ratios \(4,\) or \(interpolations, 4\)"):
        MixLayer(ratio=lambda group, seed: tf.fill(shape, 0.5))(np.zeros((4, 2), np.float32), np.zeros(4), seed=1)


def test_images_with_channels_first_are_warned_of():
    x = np.zeros((4, 3, 8, 8), np.float32)
    message = r"CutMixLayer: features of shape \(4, 3, 8, 8\) look like images with channels first"
    with pytest.warns(UserWarning, match=message):
        CutMixLayer()(x, np.zeros(4, np.float32), seed=1)


def test_features_of_an_unknown_number_of_axes_are_refused_where_axes_matter():
    def mixed(x):
        return CutMixLayer()(x, tf.zeros([4]), seed=1)

    with pytest.raises(ValueError, match=r"features must have a known number of axes: see tf.ensure_shape"):
        tf.function(mixed, input_signature=[tf.TensorSpec(None)])(tf.zeros([4, 8, 8, 1]))


def test_arrays_in_wrong_places_are_told_by_their_shape():
    with pytest.raises(ValueError, match=r"MixLayer: probability must be .*=<ndarray of shape \(9,\)>"):
        MixLayer(probability=np.zeros(9))


def test_features_without_axes_to_cut_from():
    message = r"CutMixLayer: features must have 2 axes after the batch's.*Received: features of shapes \['\(4, 3\)'\]"
    with pytest.raises(ValueError, match=message):
        CutMixLayer()(X, Y)
    CutMixLayer(axes=1)(X, Y)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "0.5", "quantile:2", "quantile:", None, True])
def test_epsilon_and_rate(value):
    for strategy, argument in ((ThresholdWeight, "epsilon"), (ExponentialWeight, "rate")):
        with pytest.raises(ValueError, match=rf"{strategy.__name__}: {argument} must be .*Received: {argument}="):
            strategy(value)


def test_weights_without_targets_to_weigh():
    with pytest.raises(ValueError, match=r"LocalMixupLayer: weights go with targets.*Received: features alone"):
        LocalMixupLayer(features_only=True)(X)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_weights_of_ones_own_that_are_no_weights(bad):
    class Wrong:
        def __call__(self, first, second, partner):
            return tf.constant([1.0, bad, 1.0, 1.0])

    with pytest.raises(tf.errors.InvalidArgumentError, match="Wrong: weights must be >= 0 and finite"):
        MixLayer(weight=Wrong())(X, Y)


def test_a_schedule_without_a_step():
    layer = KMixupLayer(2, schedule=MixSchedule(10, warmup=1))
    message = (
        r"KMixupLayer: a schedule needs the step. Received: step=None. Use dataset.apply\(kmix_tf.mix\(layer\)\)"
    )
    for call in (lambda: layer(X, Y), lambda: tf.data.Dataset.from_tensors((X, Y)).map(layer)):
        with pytest.raises(ValueError, match=message):
            call()
    layer(X, Y, training=False)  # nothing to decide


@pytest.mark.parametrize("chance", [-0.5, 1.5, np.nan])
def test_a_schedule_that_gives_no_probability(chance):
    layer = KMixupLayer(2, schedule=lambda step: tf.constant(chance))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"KMixupLayer: schedule must give probabilities in \[0, 1\]"
    ):
        layer(X, Y, step=3)


@pytest.mark.parametrize("dataset", ["finite", "unknown"])
def test_a_schedule_on_data_that_end(dataset):
    data = tf.data.Dataset.from_tensors((X, Y)).repeat(5)
    data = data if dataset == "finite" else data.filter(lambda x, y: True)
    stage = {"layer": KMixupLayer(2, schedule=MixSchedule(10)), "seed": 1}
    with pytest.raises(ValueError, match=r"mix: a schedule counts steps.*Call dataset.repeat\(\) before mixing"):
        data.apply(mix(**stage))
    assert len(list(data.apply(mix(**stage, initial_step=0)))) == 5
    assert data.repeat().apply(mix(**stage)).cardinality() == tf.data.INFINITE_CARDINALITY


@pytest.mark.parametrize("step", [-1, 1.0, "0", True])
def test_initial_steps(step):
    with pytest.raises(ValueError, match=r"mix: initial_step must be an integer >= 0. Received: initial_step="):
        mix(MixLayer(), initial_step=step)


@pytest.mark.parametrize("baseline", [None, "batch_augmentation"])
def test_more_interpolations_than_memory_holds(baseline):
    layer = MultiMixLayer(10**9, baseline=baseline)
    message = "MultiMixLayer: interpolations of a batch must fit into memory, .* GB. Received: interpolations=10{9}"
    with pytest.raises(ValueError, match=message):
        layer(X, Y)
    if baseline is None:
        mixed = tf.function(lambda x: layer(x, x[:, 0]), input_signature=[tf.TensorSpec([None, 3])])
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            mixed(X)


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("scope", "'batch', 'group', 'sample'"),
        ("cost", "'sqeuclidean', 'euclidean'"),
        ("solver", "'host', 'graph'"),
    ],
)
@pytest.mark.parametrize("value", ["other", "", None, 1])
def test_names(argument, options, value):
    with pytest.raises(ValueError, match=rf"KMixupLayer: {argument} must be one of {options}.*Received: {argument}="):
        KMixupLayer(**{argument: value})


def test_a_subclass_speaks_for_itself():
    class MyMixup(KMixupLayer):
        pass

    with pytest.raises(ValueError, match=r"^MyMixup: k must be"):
        MyMixup(0)
    with pytest.raises(ValueError, match="MyMixup: integer labels need num_classes"):
        MyMixup(2)(X, LABELS)


@presets
@pytest.mark.parametrize("num_classes", [0, 1, -2, 2.0, True, "3", {"a": 1}, [3, 2.5], (4, "x")])
def test_num_classes(preset, num_classes):
    with pytest.raises(
        ValueError, match=rf"{preset.__name__}: num_classes must be an integer >= 2. Received: num_cl"
    ):
        preset(num_classes=num_classes)


@presets
@pytest.mark.parametrize("seed", [-1, 1.0, True, "1", (1, 2)])
def test_seeds_of_layers(preset, seed):
    with pytest.raises(ValueError, match=rf"{preset.__name__}: seed must be an integer >= 0. Received: seed="):
        preset(seed=seed)


@pytest.mark.parametrize("seed", [1.5, "1", [1, 2, 3], True])
def test_seeds_of_calls(seed):
    # Keras 3 makes a string a tensor before the layer sees it, hence no type of the message's own.
    with pytest.raises(ValueError, match=r"seed must be an integer or a pair of integers.*Received: seed of dtype"):
        MixLayer()(X, Y, seed=seed)


@presets
@pytest.mark.parametrize("value", [1, 0, None, "yes"])
def test_features_only(preset, value):
    with pytest.raises(ValueError, match=rf"{preset.__name__}: features_only must be True or False. Received: "):
        preset(features_only=value)


@pytest.mark.parametrize("name", ["pairing", "ratio", "blend", "weight"])
@pytest.mark.parametrize("value", [1, "random", {"k": 2}, [RandomPairing()]])
def test_strategies_that_cannot_be_called(name, value):
    with pytest.raises(TypeError, match=rf"MixLayer: {name} must be callable. Received: {name}="):
        MixLayer(**{name: value})


@pytest.mark.parametrize("value", [0, "", False, []], ids=str)
def test_strategies_that_cannot_be_called_and_are_false(value):
    with pytest.raises(TypeError, match="MixLayer: pairing must be callable"):
        MixLayer(pairing=value)


@presets
@pytest.mark.parametrize("training", [True, False])
def test_integer_labels_without_num_classes(preset, training):
    message = f"{preset.__name__}: integer labels need num_classes.*Received: targets of dtype int32 and shape"
    with pytest.raises(ValueError, match=message):
        preset()(X, LABELS, training=training)


@pytest.mark.usefixtures("plain_functions")
@presets
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, -1, 0, 0], [[0], [1], [2], [3]]], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_labels_outside_their_classes(preset, labels, training):
    layer = preset(num_classes=3)
    message = rf"{preset.__name__}: targets must be labels in \[0, 3\). Received: a label outside"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        layer(X, tf.constant(labels), training=training)


def test_labels_outside_their_classes_in_a_pipeline():
    message = r"KMixupLayer: targets must be labels in \[0, 3\). Received: a label outside"
    dataset = tf.data.Dataset.from_tensor_slices((X, [0, 1, 2, 3])).batch(4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(dataset.map(KMixupLayer(num_classes=3)))


def test_labels_of_a_narrow_dtype_are_compared_as_numbers():
    # 300 does not fit into uint8: compared in that dtype, no label, or the wrong ones, would be in range.
    labels = tf.constant([0, 255, 3, 4], tf.uint8)
    assert MixLayer(num_classes=300)(X, labels, seed=1)[1].shape == (4, 300)


NOT_NUMERIC = [
    (tf.constant(["a"] * 4), "must be numeric to be mixed. Received: {} of dtype string"),
    (np.array(["a"] * 4), "must be numeric to be mixed. Received: {} of dtype string"),
    (tf.complex(X, X), "must be numeric to be mixed. Received: {} of dtype complex64"),
    (tf.ragged.constant([[1.0], [1.0, 2.0], [], [3.0]]), "must be a dense tensor. Received: a RaggedTensor"),
    (tf.sparse.from_dense(X), "must be a dense tensor. Received: a SparseTensor"),
]


@pytest.mark.parametrize(("leaf", "message"), NOT_NUMERIC, ids=["string", "numpy", "complex", "ragged", "sparse"])
@pytest.mark.parametrize("part", ["features", "targets", "sample_weight"])
def test_leaves_that_are_no_dense_numbers(leaf, message, part):
    parts = {"features": X, "targets": Y, "sample_weight": tf.ones([4]), part: leaf}
    with pytest.raises(TypeError, match=f"MixLayer: {part} " + message.format(part)):
        MixLayer()(*parts.values())


@pytest.mark.parametrize(("leaf", "message"), NOT_NUMERIC[3:], ids=["ragged", "sparse"])
def test_leaves_that_are_not_dense_in_a_pipeline(leaf, message):
    dataset = tf.data.Dataset.from_tensors(({"a": X, "b": leaf}, Y))
    with pytest.raises(TypeError, match=r"MixLayer: features\['b'\] " + message):
        dataset.map(MixLayer())


def with_one_entry(part, bad):
    parts = {"features": X.numpy(), "targets": Y.numpy(), "sample_weight": np.ones(4, np.float32)}
    parts[part] = parts[part].copy()
    parts[part][(2,) * parts[part].ndim] = bad
    return tuple(parts.values())


each_part = pytest.mark.parametrize("part", ["features", "targets", "sample_weight"])


@pytest.mark.usefixtures("plain_functions")
@presets
@each_part
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(preset, bad, part):
    message = f"{preset.__name__}: {part} must be finite. Received: {part} with NaN or infinite values"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        preset()(*with_one_entry(part, bad))


def test_values_that_are_not_finite_in_a_pipeline():
    dataset = tf.data.Dataset.from_tensor_slices(with_one_entry("features", np.nan)).batch(4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="MixLayer: features must be finite"):
        list(dataset.map(MixLayer()))


def test_in_a_graph_checks_come_before_the_work():
    # Otherwise the solver's complaint about NaN, or TensorFlow's about shapes, may overtake the layer's.
    layer = KMixupLayer(2)
    graph = (
        tf.function(lambda x, y: layer(x, y, seed=1))
        .get_concrete_function(tf.TensorSpec([None, 300]), tf.TensorSpec([None, 100]))
        .graph
    )
    work = [
        op
        for op in graph.get_operations()
        if op.type == "PyFuncStateless"
        or (op.type.endswith("Call") and b"interpolate" in op.get_attr("f").name.encode())
    ]
    assert len(work) == 3
    for op in work:
        before, found = [op], set()
        while before:
            op = before.pop()
            if op not in found:
                found.add(op)
                before += [*op.control_inputs, *(tensor.op for tensor in op.inputs)]
        # Of features and targets, that they are finite, and that they are equally long.
        assert sum("Assert" in op.type or op.type == "If" for op in found) >= 3


def test_parts_of_different_length_when_the_shapes_say_so():
    message = (
        r"MixLayer: all parts of a batch must be equally long.*"
        r"Received: features of shape \(4, 3\) and targets of shape \(3, 4\)"
    )
    with pytest.raises(ValueError, match=message):
        MixLayer()(X, Y[:3])
    with pytest.raises(ValueError, match=r"MixLayer: all parts.*sample_weight of shape"):
        MixLayer()(X, Y, tf.ones([5]))


@pytest.mark.parametrize("rows", [3, 5])
def test_parts_of_different_length_when_only_the_batch_says_so(rows):
    # Longer targets would be cut, shorter ones read past their end.
    signature = tf.TensorSpec([None, 3]), tf.TensorSpec([None, 2])
    dataset = tf.data.Dataset.from_generator(lambda: iter([(X, tf.ones([rows, 2]))]), output_signature=signature)
    with pytest.raises(tf.errors.InvalidArgumentError, match="MixLayer: all parts of a batch must be equally"):
        list(dataset.map(MixLayer()))


def test_a_single_image_without_batch_axis():
    layer = MixLayer(num_classes=3)
    message = "MixLayer: targets must have a batch axis.*a single sample.*batch.* before mixing"
    with pytest.raises(ValueError, match=message):
        layer(tf.zeros([8, 8, 3]), tf.constant(1))
    unbatched = tf.data.Dataset.from_tensor_slices((tf.zeros([5, 8, 8, 3]), tf.zeros([5], tf.int32)))
    with pytest.raises(ValueError, match=message):
        unbatched.map(layer)
    # With a one-hot target, only lengths tell.
    one_hot = tf.data.Dataset.from_tensor_slices((tf.zeros([5, 8, 8, 3]), tf.zeros([5, 3])))
    with pytest.raises(ValueError, match="MixLayer: all parts of a batch must be equally long, and batched"):
        one_hot.map(layer)
    with pytest.raises(ValueError, match="MixLayer: features must have a batch axis"):
        MixLayer(features_only=True)(tf.constant(1.0))


@presets
def test_features_without_targets(preset):
    message = f"{preset.__name__}: targets must come with the features.*Received: features alone.*features_only=True"
    with pytest.raises(ValueError, match=message):
        preset()(X)
    with pytest.raises(ValueError, match=message):
        tf.data.Dataset.from_tensor_slices(X).batch(2).map(preset())
    with pytest.raises(ValueError, match=message):
        preset().between(X, X)


@presets
def test_a_dictionary_without_targets(preset):
    message = rf"{preset.__name__}: targets must come.*Received: a dict with keys \['image', 'label'\]"
    with pytest.raises(ValueError, match=message):
        preset()({"label": LABELS, "image": X})
    with pytest.raises(ValueError, match=message):
        tf.data.Dataset.from_tensors({"label": LABELS, "image": X}).map(preset())


def test_float_labels_with_num_classes():
    message = "MixLayer: class labels must be integers where num_classes is given. Received: targets of dtype float32"
    with pytest.raises(ValueError, match=message):
        MixLayer(num_classes=3)(X, tf.cast(LABELS, tf.float32))


def test_boolean_labels_with_num_classes_are_encoded_or_refused():
    try:
        _, y = MixLayer(num_classes=2)(X, tf.constant([True, False, True, False]))
    except ValueError:
        return
    assert y.shape == (4, 2)


def test_integer_one_hot_targets_with_num_classes():
    message = "MixLayer: integer targets whose last axis has num_classes entries look one-hot already.*num_classes=3"
    with pytest.raises(ValueError, match=message):
        MixLayer(num_classes=3)(X, tf.one_hot(LABELS, 3, dtype=tf.int32))


@pytest.mark.parametrize("num_classes", [{"a": 3}, [3], (3, 3)], ids=str)
def test_class_numbers_of_another_structure_than_the_targets(num_classes):
    layer = MixLayer(num_classes=num_classes)
    for y in (LABELS, {"b": LABELS}):
        with pytest.raises(ValueError, match="MixLayer: num_classes must be an integer, None, or a structure like"):
            layer(X, y)


def test_between_batches_that_differ():
    layer = MixLayer()
    message = r"MixLayer: between\(first, second\) needs two batches with equal structure, dtypes and lengths"
    for other in ((X[:3], Y[:3]), (X[:, :2], Y), (tf.cast(X, tf.float64), Y), (X, Y, tf.ones([4]))):
        with pytest.raises(ValueError, match=message):
            layer.between((X, Y), other)


def test_between_batches_whose_lengths_only_show_in_the_pipeline():
    first = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    second = tf.data.Dataset.from_tensor_slices((X[:3], Y[:3])).batch(4)
    zipped = tf.data.Dataset.zip((first, second))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"MixLayer: all parts.*first batch of shape"):
        list(zipped.map(MixLayer().between))


def test_messages_of_parts_name_the_part():
    with pytest.raises(ValueError, match=r"^BetaRatio: alpha"):
        MixLayer(ratio=BetaRatio(-1))


def test_weights_without_targets():
    with pytest.raises(ValueError, match="MixLayer: sample_weight must come with targets"):
        MixLayer(features_only=True)(X, sample_weight=tf.ones([4]))


def test_soft_labels_of_another_number_of_classes():
    message = (
        "MixLayer: the last axis of soft labels must have num_classes entries. Received: targets of dtype float32"
    )
    with pytest.raises(ValueError, match=message):
        MixLayer(num_classes=3)(X, Y)


def test_labels_outside_their_classes_do_not_train_on_unnoticed_where_nothing_is_asserted():
    # XLA drops assertions; what is left must show.
    compiled = tf.function(lambda x, y: MixLayer(num_classes=3)(x, y, seed=1), jit_compile=True)
    assert np.isfinite(compiled(X, LABELS)[1]).all()
    for label in (3, -1):
        assert np.isnan(compiled(X, tf.constant([0, 1, 2, label]))[1]).any()


def test_a_name_that_means_nothing_is_told_those_that_do():
    with pytest.raises(
        ValueError, match=r"passthrough must name leaves.*Received: 'ids'; there are \['id', 'image'\]"
    ):
        MixLayer(passthrough="ids")({"id": LABELS, "image": X}, Y)


def test_targets_given_to_adapt_as_a_batch_size():
    with pytest.raises(ValueError, match=r"MixLayer: batch_size must be an integer >= 1. Received: batch_size="):
        MixLayer().adapt(X, LABELS)
