"""Rescaled prediction: what a model trained with mixup should be asked, and how its answer should be read."""

import functools
import warnings
from typing import Any, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._ops import Tensor, ops
from kmix_tf._paths import as_selectors, is_selected, leaf_paths
from kmix_tf.batch.categories import Once
from kmix_tf.layers.options import KerasOptions
from kmix_tf.models.arrays import several
from kmix_tf.models.calibrating.seen import Seen
from kmix_tf.models.lookups import input_specs
from kmix_tf.models.rescaled.calibrating import Calibrates, Fitted
from kmix_tf.models.rescaled.comparing import Compares, Traced
from kmix_tf.models.rescaled.endings import endings, require_fitting
from kmix_tf.models.rescaled.floating import Asked
from kmix_tf.models.rescaled.inputs import (
    absent_kept,
    hand_on_masks,
    masked_values,
    present_in,
)
from kmix_tf.models.rescaled.looking import Looks
from kmix_tf.models.rescaled.means import TrainingMeans, measured
from kmix_tf.models.rescaled.measured import Measures, as_tensor_of
from kmix_tf.models.rescaled.measuring import Measuring
from kmix_tf.models.rescaled.outputs import Heads, stretch
from kmix_tf.models.rescaled.saving import Saves
from kmix_tf.models.rescaled.serving import Exports
from kmix_tf.models.rescaled.signature import FeatureSignature
from kmix_tf.models.rescaled.theta import theta_told
from kmix_tf.models.rescaled.training import unwrapped
from kmix_tf.models.wrapper import like_its_model


@register
class RescaledModel(Calibrates, Compares, Measures, Looks, Saves, Exports, keras.Model):
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

    Example:
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        >>> rescaled = RescaledModel(model, alpha=1.0)
        >>> rescaled.adapt(tf.data.Dataset.from_tensor_slices((tf.random.uniform([8, 3]), [0, 1] * 4)).batch(4))
        >>> rescaled(tf.ones([5, 3])).shape
        TensorShape([5, 2])

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
        self._seen: Seen | None = None
        self._both_answers = Traced()
        self._calibration: Fitted | None = None
        self._shrinks = True
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
        self._signature, self._seen, self._both_answers = data.inputs, data.seen, Traced()
        if self._calibration is not None:
            warnings.warn(
                f"{_checks.speaker()}: adapt removes what calibrate has fitted, to other means. Calibrate again.",
                UserWarning,
                stacklevel=3,
            )
            self._set_calibration(None)
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
        answer = self._read(x, training, self._shrinks)
        return hand_on_masks(answer, tf.nest.pack_sequence_as(answer, self._mapped(answer)))

    def _read(self, x: Any, training: bool | None, shrinks: bool) -> Any:
        """What the model answers, at least float32, before it is calibrated: by eq. (22), or to x as it is."""
        if not shrinks:
            answer = self._asked(self._as_floats(x), training=training)
            return hand_on_masks(answer, tf.nest.map_structure(ops.at_least_float32, answer))
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
        parts = several(data, self.model, "inputs"), several(y, self.model, "outputs")
        return parts if sample_weight is None else (*parts, sample_weight)

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

    def build(self, input_shape: Any = None) -> None:
        self._require_adapted()


def _as_float(leaf: Any) -> Tensor:
    leaf = ops.convert_to_tensor(leaf)
    return leaf if ops.is_floating(leaf) else ops.cast(leaf, "float32")
