"""Rescaled prediction: what a model trained with mixup should be asked, and how its answer should be read."""

import functools
import warnings
from typing import Any, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._ops import Tensor, dims, may_be, ops
from kmix_tf._paths import as_selectors, is_selected, leaf_name, leaf_paths, require_used, same_structure
from kmix_tf.batch.categories import Once, warn_of_integers
from kmix_tf.batch.leaf import FEATURES, KEPT, MIXED, Leaf
from kmix_tf.layers.options import KerasOptions
from kmix_tf.maths.theta import ThetaMoments
from kmix_tf.models.lookups import input_specs, not_selected, require_no_lookups, specs_of
from kmix_tf.models.rescaled.comparing import Compares
from kmix_tf.models.rescaled.endings import doubt, endings, require_fitting
from kmix_tf.models.rescaled.floating import Asked, in_floats
from kmix_tf.models.rescaled.inputs import (
    absent_kept,
    hand_on_masks,
    masked_values,
    present_in,
)
from kmix_tf.models.rescaled.means import TrainingMeans, measured
from kmix_tf.models.rescaled.measured import Measures, as_measured, as_tensor_of
from kmix_tf.models.rescaled.measuring import Measuring
from kmix_tf.models.rescaled.outputs import Heads, output_names, stretch
from kmix_tf.models.rescaled.serving import Exports
from kmix_tf.models.rescaled.signature import FeatureSignature
from kmix_tf.models.rescaled.theta import theta_told
from kmix_tf.models.rescaled.training import unwrapped
from kmix_tf.models.wrapper import like_its_model

_NOT_MIXED = "If they were not mixed in training, name them in passthrough=; if they were, train without mixing them."


@register
class RescaledModel(Compares, Measures, Exports, keras.Model):
    """Wraps a model trained with mixup, so that it predicts for data as they are rather than as mixup made them.

    Mixup trains on inputs shrunk towards their mean, and towards targets shrunk to theirs. The wrapper shrinks each
    input alike and stretches the answer back: y_mean (1 - 1/theta) + f(theta x + (1 - theta) x_mean) / theta, where
    theta is the mean of theta_moments(alpha). With balanced classes this sharpens the confidences of a model that
    mixup has made too modest. The paper finds that it helps on data like the training data, more so as alpha grows;
    it can hurt on corrupted data, and it hurts a model trained without mixup: `evaluate_both` tells. Under k-mixup,
    inputs shrink to local means, of which the overall mean is an approximation: less than theta says, and targets not
    as much as inputs. What they shrink by can be measured: `theta="measured"`.

    Each place of an input has its own mean. Axes that the model leaves open, as `Input((None, None, 3))` does, have
    one mean for all places, each element counting as much as its sample: a mean per channel. So a model that has
    learnt its means on images of size 16 takes size 20, too. The means of outputs per place, `(None, None, classes)`,
    are alike. A model that says nothing of its inputs, as subclassed ones, has open axes where the batches given to
    `adapt` differ.

    Args:
        model: a Keras model, trained with mixup. It stays usable by itself and shares its weights. Of a `MixModel`,
            or another model that trains one, the model within is wrapped.
        alpha: the alpha it was trained with, finite and >= 0; 0 changes nothing. Or what tells it: the mix layer,
            whose learnt alpha counts if it has one, and whose probability counts too; a `BetaRatio`; a
            `DistributionRatio`, of which a million draws are averaged (theta's standard error is then below 0.0003);
            or `kmix_tf.analysis.theta_moments_of(...)`. Several interpolations and scopes do not change theta.
            May be left out where the model holds its mix layer, as a `MixModel`, whose `clean_weight` counts too.
        output: what the model returns; one of the following for all of its outputs, or a structure of them like its
            outputs.
            "logits" (default): for a softmax over the last axis; for a single unit, the logit of class 1, which is
            treated as the difference of two classes' logits.
            "probabilities": after a softmax, or the sigmoid of a single unit. The stretched vector may leave the
            simplex and is projected back to the nearest probabilities.
            "multilabel_logits", "multilabel_probabilities": of labels that do not exclude each other, before or after
            a sigmoid. Each is treated as a single unit; probabilities are clipped to [0, 1].
            "regression": anything else.
        passthrough: names of features that were not mixed, and are left as they are; default those of the layer. A
            name is a key, or keys and positions joined by "/".
        masks: names of boolean features `(batch, *places)` that say which elements of the feature, and of the
            outputs, with these places are there, as in padded sequences; default those of the layer. What a
            `keras.layers.Masking` that reads an input takes for padding is absent, too. Absent elements count for no
            mean and are left as they are. Other padding counts as data: adapt to unpadded batches then, of one sample
            or of equal lengths.
        theta: None (default), the exact one of `alpha`; or "measured", for mixes that eq. (22) was not derived for,
            with a mix layer as `alpha` or in the model. `adapt` then sends the data through it, too, and regresses
            mixtures on their nearer ends, those with the larger share in the input: the slope of features, over all
            places of one together, is theta of that input, the slope of targets is theta of that output. `theta`
            becomes `MeasuredTheta`, with standard errors of at most 0.003 (above 0.01 it warns); `theta_x` and
            `theta_y` are structured as features and outputs, whether measured or not. Mixtures count as in the loss,
            batches that stay unmixed as well; a schedule counts as at the last step of a `MixModel`, where weights
            follow what was seen last. Of a layer with weights of mixtures or classes, means are those of the mixtures
            as they count. Saliency is that of the blend's own source. Targets that are not shrunk, as those of
            same-class pairings, are not stretched, and `adapt` says so. Or a `MeasuredTheta` of before.

    Call:
        `model(x)`, x as the wrapped model takes it; returns float32 (or float64) of the wrapped model's output shapes
        and structure, of the same kind as `output` says. Integer features become float32. `predict`, `evaluate` and
        saving as `.keras` work as for any model.

    Raises:
        TypeError, ValueError: for other arguments; for an `output` that contradicts the model's last activation; for
            integer inputs that the model looks up, or of layers that take no floats; for theta="measured" without a
            mix layer, or of a model whose hidden layers were mixed; on a call, `export` or save before `adapt`.

    Warns:
        UserWarning: if alpha is not that of the mix layer that the model holds; where the layer or the model shows
            that eq. (22) does not hold: mixing of hidden layers, pairings other than random (by class, k-mixup with
            k > 1, nearest neighbours), weights of mixtures, blends that are not linear, label shares, schedules; of
            these, with theta="measured", only for schedules of which no step is known; for integer features, once,
            which may be token ids; for masks that have the places of nothing.

    Source: On Mixup Regularization, eq. (22) and Algorithm 1.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        >>> rescaled = RescaledModel(model, alpha=1.0)
        >>> rescaled.adapt(tf.data.Dataset.from_tensor_slices((tf.random.uniform([8, 3]), [0, 1] * 4)).batch(4))
        >>> rescaled(tf.ones([5, 3])).shape
        TensorShape([5, 2])
    """

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        alpha: Any = None,
        output: Any = "logits",
        passthrough: Any = None,
        masks: Any = None,
        theta: Any = None,
        **kwargs: Unpack[KerasOptions],
    ):
        # Features keep their dtype; Keras would cast them to that of the global policy, which is not the model's.
        super().__init__(autocast=False, **like_its_model(model, kwargs))
        if not isinstance(model, keras.layers.Layer) or isinstance(model, RescaledModel):
            _checks.refuse("model", "a Keras model", model, TypeError)
        mixed, self._theta_of = theta_told(alpha, model, theta)
        self.model = unwrapped(model)
        self._asked = Asked(self.model)
        self.alpha = mixed.alpha
        self.theta_bar = mixed.theta.mean
        self._theta = mixed.theta
        self.passthrough = mixed.untouched if passthrough is None else as_selectors("passthrough", passthrough)
        self.masks = mixed.masks if masks is None else as_selectors("masks", masks)
        self._names_given = {"passthrough": passthrough is not None, "masks": masks is not None}
        self._heads = Heads(output)
        ends = endings(self.model)
        if ends and not tf.nest.is_nested(output):
            require_fitting(ends, [output] * len(ends), ["output"] * len(ends))
        self._signature: FeatureSignature | None = None
        self._first_integers = Once()
        if input_specs(self.model) is not None:
            self._require_no_lookups(input_specs(self.model))

    @property
    def output_kind(self) -> Any:
        """`output`, as it was given."""
        return self._heads.kinds

    @property
    def _untouched(self) -> tuple[str, ...]:
        """Names of features that are left as they are."""
        return (*self.passthrough, *self.masks)

    def _names_left(self) -> tuple[str, ...]:
        return self._untouched

    @property
    def target_mean(self) -> Any:
        """The means of the targets, of the structure of the outputs."""
        self._require_adapted()
        return tf.nest.pack_sequence_as(self._outputs.structure, list(self.target_means))

    def adapt(self, data: Any, y: Any = None, batch_size: int = 256, sample_weight: Any = None) -> None:
        """Learns the means of features and targets of the training data, unmixed, in one pass; and theta, in as many
        more as it needs, if it is to be measured.

        Args:
            data: a dataset of batches `(x, y)` or `(x, y, sample_weight)`, finite; or x, with y beside it; or
                `TrainingMeans`. Sample weights `(batch,)` weigh the means, or those of an output's places, `(batch,
                *places)`, the places. Integer y are classes, except where `output="regression"`.
            y: targets, when data is an array of features. batch_size, sample_weight: for arrays. To measure theta,
                the batch size should be that of training, and batches of a dataset should come shuffled as there;
                arrays are shuffled.

        Raises:
            ValueError: if there are no samples or targets, values are NaN or infinite, labels are outside the model's
                classes, targets do not fit the model's outputs, or these are not what `output` says.
        """
        if not isinstance(data, TrainingMeans):
            data = self.measure(data, y, batch_size, sample_weight)
        self._require_theta(data)
        if self._signature is None:
            self._make_means(data.inputs, data.outputs)
        data = data.fitted(self._require_adapted(), self._outputs)
        shapes = [signature.shapes() for signature in (data.inputs, data.outputs)]
        before = [signature.shapes() for signature in (self._require_adapted(), self._outputs)]
        if shapes != before:
            raise ValueError(
                "RescaledModel: adapt needs data of the shapes it had before. Received: features and targets of "
                f"{shapes}, after {before}. Wrap the model anew."
            )
        self._signature = data.inputs
        self._learn_theta(data)
        for weight, mean in zip([*self.feature_means, *self.target_means], data.learnt(), strict=True):
            weight.assign(mean)

    @_checks.speaks
    def measure(self, data: Any, y: Any = None, batch_size: int = 256, sample_weight: Any = None) -> TrainingMeans:
        """The means (and slopes) that `adapt` would learn, without learning them: for shards, which can be joined.

        Args, raises: as `adapt`, which takes the result.

        Example:
            >>> rescaled = RescaledModel(keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(2)]), 1.0)
            >>> shards = [(np.ones([4, 1]), [0, 1, 1, 1]), (np.zeros([4, 1]), [0, 0, 0, 0])]
            >>> means = [rescaled.measure(*shard) for shard in shards]
            >>> rescaled.adapt(means[0].merge(*means[1:]))
            >>> rescaled.target_mean.numpy().tolist()
            [0.625, 0.375]
        """
        parts = None if y is None else self._parts(data, y, sample_weight)
        data = self._dataset(data, y, batch_size, sample_weight)
        begin = functools.partial(Measuring, self.model, self._untouched, self.masks, self._look, self._ask)
        means, seen = measured("adapt", data, self._untouched, begin)
        return self._with_slopes(means, seen, data, parts, batch_size)

    def call(self, x: Any, training: bool | None = None) -> Any:
        self._require_like_adapted(x)
        means = zip(self.feature_means, self._thetas("x", len(self.feature_means)), strict=True)
        shrunk = [
            leaf if is_selected(self._untouched, path) else self._shrunk(leaf, *next(means))
            for path, leaf in leaf_paths(x)
        ]
        shrunk = absent_kept(x, shrunk, self._present(x))
        answer = self._asked(tf.nest.pack_sequence_as(x, shrunk), training=training)
        stretched = [
            stretch(ops.at_least_float32(leaf), mean, theta, kind)
            for leaf, mean, theta, kind in zip(
                tf.nest.flatten(answer),
                self.target_means,
                self._thetas("y", len(self.target_means)),
                self._heads.of(answer),
                strict=True,
            )
        ]
        return hand_on_masks(answer, tf.nest.pack_sequence_as(answer, stretched))

    def _dataset(self, data: Any, y: Any, batch_size: int, sample_weight: Any) -> Any:
        if y is None:
            return data
        return tf.data.Dataset.from_tensor_slices(self._parts(data, y, sample_weight)).batch(batch_size)

    def _parts(self, data: Any, y: Any, sample_weight: Any) -> tuple[Any, ...]:
        parts = _several(data, self.model, "inputs"), _several(y, self.model, "outputs")
        return parts if sample_weight is None else (*parts, sample_weight)

    def _look(self, x: Any) -> tuple[Any, list[str]]:
        """What the model answers to a first batch, and of what kinds; refused where it is not what `output` says."""
        for argument in [name for name, is_given in self._names_given.items() if is_given]:
            require_used(argument, getattr(self, argument), x)
        if self._may_shrink:
            self._look_for_categories(x)
        answer = self._ask(x)
        kinds, names = self._heads.of(answer), list(output_names(answer))
        ends = endings(self.model)
        if len(ends) == len(kinds):
            require_fitting(ends, kinds, names)
        for leaf, kind, name in zip(tf.nest.flatten(answer), kinds, names, strict=True):
            if len(leaf.shape) < 2:
                raise _checks.problem(f"outputs must be (batch, ...). Received: {name} of shape {dims(leaf)}.")
            found = doubt(ops.to_numpy(ops.at_least_float32(leaf)), kind)
            message = f"{name} must say what the model returns. Received: {name}={kind!r}, but {found}."
            if found is not None and "logits" in kind:
                warnings.warn(f"{_checks.speaker()}: {message} Is it 'probabilities'?", UserWarning, stacklevel=5)
            elif found is not None:
                raise _checks.problem(
                    f"{message} Set 'logits', 'regression', or for sigmoids 'multilabel_probabilities'."
                )
        return answer, kinds

    def _look_for_categories(self, x: Any) -> None:
        """Refuses features of a subclassed model that it looks up, and warns of other integers."""
        if input_specs(self.model) is None:
            self._require_no_lookups(specs_of(x, not_selected(self._untouched, x)))
        leaves = [
            Leaf(
                FEATURES, path, KEPT if is_selected(self._untouched, path) else MIXED, leaf_name(FEATURES, path), leaf
            )
            for path, leaf in leaf_paths(x)
        ]
        warn_of_integers(self._first_integers, leaves, None, "name them in passthrough=, if they were not mixed.")

    def _require_no_lookups(self, specs: Any) -> None:
        averaged = [self._may_shrink and use for use in not_selected(self._untouched, specs)]
        require_no_lookups(self.model, specs, averaged, "shrunk towards their mean", _NOT_MIXED)
        if input_specs(self.model) is not None:
            self._asked = in_floats(self.model, specs, averaged)

    def _ask(self, x: Any) -> Any:
        """What the model answers to a batch as it is."""
        return self._asked(self._as_floats(x), training=False)

    def _present(self, x: Any) -> list[Any]:
        """For each feature, which of its elements are there, or None for all."""
        return present_in(x, self._require_adapted().shapes(), self.masks, masked_values(self.model, x))

    def _as_floats(self, x: Any) -> Any:
        leaves = [leaf if is_selected(self._untouched, path) else _as_float(leaf) for path, leaf in leaf_paths(x)]
        return tf.nest.pack_sequence_as(x, leaves)

    def _shrunk(self, leaf: Any, mean: Any, theta: Any) -> Tensor:
        leaf = _as_float(leaf)
        wide = ops.at_least_float32(leaf)
        theta = as_tensor_of(theta, wide.dtype)
        return ops.cast(theta * wide + (1 - theta) * ops.cast(mean, wide.dtype), leaf.dtype)

    def _make_means(self, inputs: FeatureSignature, outputs: FeatureSignature) -> None:
        self._signature, self._outputs = inputs, outputs
        leaves = zip(leaf_paths(inputs.structure), inputs.shapes(), inputs.dtypes(), strict=True)
        mixed = [(shape, dtype) for (path, _), shape, dtype in leaves if not is_selected(self._untouched, path)]
        self.feature_means = [self._mean(f"feature_mean_{i}", *each) for i, each in enumerate(mixed)]
        self.target_means = [
            self._mean(f"target_mean_{i}", *each)
            for i, each in enumerate(zip(outputs.shapes(), outputs.dtypes(), strict=True))
        ]
        self._make_thetas()
        self.built = True

    def _mean(self, name: str, shape: tuple, dtype: tf.DType) -> Any:
        dtype = "float64" if dtype == tf.float64 and ops.WIDE == "float64" else "float32"
        shape = tuple(1 if size is None else size for size in shape)
        return self.add_weight(name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False)

    def _require_adapted(self) -> FeatureSignature:
        """What features look like."""
        if self._signature is None:
            raise ValueError(
                "RescaledModel: adapt(dataset) must come first, to learn the means of the training data. "
                "Received: a model without means."
            )
        return self._signature

    def _require_like_adapted(self, x: Any) -> None:
        """Refuses features that would be broadcast against the means, or matched with others' means."""
        expected = self._require_adapted()
        is_alike = same_structure(x, expected.structure)
        if is_alike:
            shapes = zip(tf.nest.flatten(x), expected.shapes(), strict=True)
            is_alike = all(may_be(dims(leaf), (None, *shape)) for leaf, shape in shapes)
        if not is_alike:
            got = {leaf_name("x", path): tuple(leaf.shape) for path, leaf in leaf_paths(x)}
            raise ValueError(
                "RescaledModel: features must have the structure and shapes of those given to adapt, "
                f"{expected.structure}, with a batch axis before. Received: shapes {got}."
            )

    def build(self, input_shape: Any = None) -> None:
        self._require_adapted()

    def get_build_config(self) -> dict[str, Any]:
        return {"signature": self._require_adapted().get_config(), "outputs": self._outputs.get_config()}

    def build_from_config(self, config: dict[str, Any]) -> None:
        if self._signature is None:
            self._make_means(FeatureSignature(config["signature"]), FeatureSignature(config["outputs"]))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            **self._theta_config(self._theta._asdict() if self.alpha is None else self.alpha),
            "output": self.output_kind,
            "passthrough": self._names_in_use(self.passthrough),
            "masks": self._names_in_use(self.masks),
        }

    def _names_in_use(self, names: tuple[str, ...]) -> list[str]:
        """Those of the names that mean features; a layer's may name targets too."""
        if self._signature is None:
            return list(names)
        paths = [path for path, _ in leaf_paths(self._signature.structure)]
        return [name for name in names if any(is_selected([name], path) for path in paths)]

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RescaledModel":
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        alpha, theta = config["alpha"], config.get("theta")
        if isinstance(alpha, dict):
            is_layer = "class_name" in alpha
            alpha = keras.saving.deserialize_keras_object(alpha) if is_layer else ThetaMoments(**alpha)
        return cls(**{**config, "model": model, "alpha": alpha, "theta": as_measured(theta)})


def _several(arrays: Any, model: Any, ends: str) -> Any:
    """A list of arrays as a tuple, where the model has as many inputs or outputs; `tf.data` would stack a list."""
    count = len(tf.nest.flatten(getattr(model, ends, None) or []))
    return tuple(arrays) if isinstance(arrays, list) and len(arrays) == count > 1 else arrays


def _as_float(leaf: Any) -> Tensor:
    leaf = ops.convert_to_tensor(leaf)
    return leaf if ops.is_floating(leaf) else ops.cast(leaf, "float32")
