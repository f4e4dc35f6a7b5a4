"""Training on what mixup amounts to: shrunk data and a penalty on the model's derivatives, without any mixtures."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import IS_KERAS_3, register
from kmix_tf._graph import at_least_float32
from kmix_tf._paths import leaf_name, leaf_paths
from kmix_tf.batch.categories import Once, warn_of_integers
from kmix_tf.batch.geometry import require_no_geometry
from kmix_tf.batch.leaf import FEATURES, MIXED, Leaf
from kmix_tf.layers.options import KerasOptions
from kmix_tf.maths.derivatives import DERIVATIVES, directional_derivatives, require_differentiable
from kmix_tf.maths.losses import LOSSES, targets_of
from kmix_tf.maths.moments import StreamingMoments
from kmix_tf.maths.theta import theta_moments
from kmix_tf.models.approximate.loss import (
    TERMS,
    ApproximateMixupLoss,
    derivative_order,
    loss_terms,
    plain_targets,
)
from kmix_tf.models.approximate.perturbation import draw, perturbation, step_seed
from kmix_tf.models.approximate.weights import by_weight, partners_mean, weighed
from kmix_tf.models.backends import IN_THE_DATA_STAGE, require_tensorflow
from kmix_tf.models.exporting import SAVED_MODEL, checked_path, export
from kmix_tf.models.lookups import input_specs, require_no_lookups, specs_of
from kmix_tf.models.wrapper import like_its_model

_MIXTURES = f"{IN_THE_DATA_STAGE}, layer being KMixupLayer(1, alpha=...): its mean loss is what is approximated"
_HIDDEN_INSTEAD = "mix what an embedding makes of them, by ManifoldMixModel(model, ['embedding'], KMixupLayer(1))."


class _Perturbed(NamedTuple):
    """A batch of features on its way through Keras' own steps: what else belongs to it travels with it."""

    x: Any  # as the wrapped model takes them
    directions: Any  # leaves (batch, samples, ...), or () where no derivatives are wanted
    targets: Any  # as the user gave them, for the metrics, as are
    sample_weight: Any = None


@register
class ApproximateMixupModel(keras.Model):
    """Wraps a model, so that `fit` minimises the second-order approximation of mixup's risk instead of mixing data.

    Inputs and targets are shrunk towards their means, x_bar + theta_bar (x_i - x_bar), and the loss at them gets the
    terms that mixup's perturbations (delta, epsilon) add to second order. Their expectations are not computed from
    Jacobians but estimated from sampled perturbations, by derivatives of the model along them: for each sample
    r1_r3 = 1/2 (J delta)^T H (J delta) - epsilon^T J delta, with J the model's Jacobian and H the loss' Hessian.

    Args:
        model: a Keras model with one output `(batch, outputs)`; logits for the cross-entropies. It is trained in
            place and stays usable by itself.
        alpha: of the mixup that is approximated, finite and >= 0. 0 is plain training.
        loss: "categorical_crossentropy" (default), "binary_crossentropy", or "squared_error", 1/2 |y - u|^2. The last
            two are summed over outputs. So `compile` takes no loss.
        terms: a sequence of what to add to the loss on shrunk data:
            "r1_r3" (the default, alone): the pull of the Jacobian towards that of a linear fit. Together, because
            apart they hold inverses that do not exist.
            "r2": the model's own curvature. The paper leaves it out for being unstable. 0 for piecewise linear
            models.
            "r4": for the squared error a constant, otherwise 0. It makes the loss the whole of the approximation.
            (): none, which is the paper's "ERM on modified data".
        samples: perturbations drawn for each sample, an integer >= 1. The model runs on so many times the batch.
        derivatives: "exact" (default), by automatic differentiation; or "differences", central ones of three forward
            passes, for layers without right second derivatives (batch, layer and group normalisation, which "exact"
            refuses) or without any (recurrent ones under XLA). "differences" refuses dropout and other noise, and is
            too coarse for float16.
        seed: an integer >= 0, or None for one of Python's generator. Draws are a function of it, of a counter of
            steps that is saved with the weights, and of the replica.

    Call:
        `model(x)` is the wrapped model's answer; so are `predict` and `export`, and `evaluate` has its plain loss.
        `adapt` must come before `fit`. Logs have, besides the loss, its parts: "base" and each of `terms`; metrics
        are those of the model's answers to the shrunk inputs, against targets as given.

    Partners are drawn from the batch: the sample itself with probability 1 / n, n the number of samples adapted to,
    otherwise any other row. So the loss of a random batch is an unbiased estimate of Theorem 2 over the whole of the
    data, for batches of at least two. Batches must be shuffled. Sample weights and class weights count as they do in
    mixtures, by share x weight x loss, with their mean over the batch. Batch normalisation makes outputs depend on
    the whole batch, which the derivation does not know of.

    Raises:
        TypeError, ValueError: for other arguments; from `fit` before `adapt`.

    Source: On Mixup Regularization, Theorem 2 in the form of eq. (33), Lemma 1, eq. (5) and (20).

    Example:
        >>> x, y = tf.random.normal([64, 3]), tf.range(64) % 2
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        >>> approximate = ApproximateMixupModel(model, alpha=1.0, seed=0)
        >>> approximate.adapt(x, y)
        >>> approximate.compile("sgd", metrics=["accuracy"])
        >>> sorted(approximate.fit(x, y, verbose=0).history)
        ['accuracy', 'base', 'loss', 'r1_r3']
    """

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        alpha: float,
        loss: str = "categorical_crossentropy",
        terms: Sequence[str] = ("r1_r3",),
        samples: int = 1,
        derivatives: str = "exact",
        seed: int | None = None,
        **kwargs: Unpack[KerasOptions],
    ):
        require_tensorflow("its loss, which is made of derivatives", _MIXTURES)
        # Keras would cast inputs to the compute dtype before they are shrunk; the wrapped model casts what it should.
        super().__init__(autocast=False, **like_its_model(model, kwargs))
        if not isinstance(model, keras.Model):
            _checks.refuse("model", "a Keras model", model, TypeError)
        self.model = model
        self.alpha = _checks.number("alpha", alpha)
        self.loss_kind = _checks.choice("loss", loss, tuple(LOSSES))
        self.terms = _checked_terms(terms)
        self.samples = _checks.integer("samples", samples, minimum=1)
        self.derivatives = _checks.choice("derivatives", derivatives, DERIVATIVES)
        self.seed = None if seed is None else _checks.integer("seed", seed, minimum=0)
        self.moments = theta_moments(self.alpha)
        if self._is_perturbed and derivative_order(self.terms):
            require_differentiable(model, self.derivatives)
        # Not tf.random's or Keras' generator, whose states differ between replicas and graphs.
        self._base_seed = (random.getrandbits(62) if self.seed is None else self.seed) % 2**63
        names = ("base", *self.terms) if self._is_perturbed else ()
        self._parts = [keras.metrics.Mean(name=name) for name in names]
        self._shapes: list[tuple[int, ...]] | None = None
        self._first_integers = Once()
        self.built = True
        if input_specs(model) is not None:
            self._require_no_lookups(input_specs(model))
        self._step = self._weight("step", (), "int64")
        self._count = self._weight("count", (), "int64")

    @property
    def _is_perturbed(self) -> bool:
        return bool(self.alpha and self.terms)

    @_checks.speaks
    def adapt(self, data: Any, y: Any = None, batch_size: int = 256) -> None:
        """Learns the means of features and targets of the training data, and their number, in one pass.

        Args:
            data: a dataset of batches `(x, y)` or `(x, y, sample_weight)`, finite; or x, with y beside it. Weights
                do not weigh these means, for every sample is equally likely to be a partner. Integer y are classes
                where the model has several outputs; otherwise y is as the model's output.
            y: targets, when data is an array of features.
            batch_size: for arrays.

        Raises:
            ValueError: if there are no samples or targets, values are NaN or infinite, labels are outside the model's
                classes, or targets do not fit the model's output or the loss.
        """
        if y is not None:
            data = tf.data.Dataset.from_tensor_slices((data, y)).batch(batch_size)
        spec = getattr(data, "element_spec", None)
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise _checks.problem(
                f"adapt needs a dataset of batches (x, y) or (x, y, sample_weight), or x and y. "
                f"Received: {type(data).__name__} with elements {spec}."
            )
        self._require_averages(spec[0])
        moments = [StreamingMoments() for _ in range(len(tf.nest.flatten(spec[0])) + 1)]
        outputs = None
        for x, targets, *_ in data.as_numpy_iterator():
            if outputs is None:
                outputs = _output_size(self(tf.nest.map_structure(tf.convert_to_tensor, x), training=False))
            leaves = [*tf.nest.flatten(x), targets_of(targets, outputs, self.loss_kind)]
            for moment, leaf in zip(moments, leaves, strict=True):
                moment.update(leaf)
        self._learn(moments)

    def call(self, x: Any, training: bool | None = None) -> tf.Tensor:
        if not isinstance(x, _Perturbed):
            return self.model(x, training=training)
        if not x.directions:
            return at_least_float32(self.model(x.x, training=training))
        return self._derivatives(x, training)

    @_checks.speaks
    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **kwargs: Any) -> None:
        """As of any model, but without a loss, which is the wrapper's own argument."""
        if loss is not None:
            _checks.refuse("loss", "left out of compile, for it is given to the model itself", loss)
        super().compile(optimizer=optimizer, loss=ApproximateMixupLoss(self.loss_kind, self.terms), **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        with _checks.speaking_as(self):
            self._require_adapted()
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            batch, targets, weight = self._perturbed(x, y, sample_weight)
        return super().train_step((batch, targets, weight))

    def test_step(self, data: Any) -> dict[str, Any]:
        parts = {part.name for part in self._parts}  # which only training has
        return {name: value for name, value in super().test_step(data).items() if name not in parts}

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        if not isinstance(x, _Perturbed):
            return super().compute_metrics(x, y, y_pred, sample_weight)
        if x.directions:
            parts = loss_terms(self.loss_kind, self.terms, y, y_pred)
            for metric, values in zip(self._parts, parts.values(), strict=True):
                metric.update_state(values)
            y_pred = y_pred[:, 0, 0]
        return super().compute_metrics(x.x, x.targets, y_pred, x.sample_weight)

    @_checks.speaks
    def export(
        self,
        filepath: Any = None,
        format: str = SAVED_MODEL,
        verbose: bool | None = None,
        input_signature: Any = None,
        path: Any = None,
        **options: Any,
    ) -> None:
        """Writes the wrapped model, by default as a SavedModel, which runs with TensorFlow alone.

        It is written beside `filepath` and renamed, so that an export which fails leaves what was there as it was.

        Args:
            filepath, format, verbose, input_signature, options: as `keras.Model.export` of the installed Keras has
                them; Keras 2 writes SavedModels only. path: another name of filepath.

        Raises:
            TypeError, ValueError, ImportError: for what Keras cannot export. OSError: naming the path, if it cannot
                be written.
        """
        export(self.model.export, checked_path(filepath, path), format, verbose, input_signature, options)

    def _perturbed(self, x: Any, y: Any, sample_weight: Any) -> tuple[_Perturbed, tf.Tensor, tf.Tensor | None]:
        """A batch shrunk, with the directions to differentiate along; and targets and weights as the loss takes them.

        Where samples have weights, these are shrunk and perturbed as targets are, and the targets times them, for a
        mixture's loss is the sum of share x weight x loss.
        """
        target = self._targets(y)
        leaves = [at_least_float32(tf.convert_to_tensor(leaf)) for leaf in tf.nest.flatten(x)]
        means = [tf.cast(mean, leaf.dtype) for mean, leaf in zip(self._means, [*leaves, target], strict=True)]
        if sample_weight is not None:
            target = weighed(target, sample_weight)
            means[-1] = partners_mean(target, tf.convert_to_tensor(self._count))
        centred = [leaf - mean for mean, leaf in zip(means, [*leaves, target], strict=True)]
        *shrunk, target = [mean + self.moments.mean * leaf for mean, leaf in zip(means, centred, strict=True)]
        shrunk = tf.nest.pack_sequence_as(x, shrunk)
        if not self._is_perturbed:
            targets, weight = (target, None) if sample_weight is None else by_weight(target)
            return _Perturbed(shrunk, (), y, sample_weight), targets, weight
        seed = step_seed(self._base_seed, tf.convert_to_tensor(self._step))
        self._step.assign_add(1)
        draws = draw(seed, tf.shape(target)[0], self.samples, tf.convert_to_tensor(self._count))
        *directions, epsilon = [perturbation(leaf, draws, self.moments) for leaf in centred]
        target = tf.broadcast_to(target[:, tf.newaxis], tf.shape(epsilon))
        # The weights are in the targets now.
        return _Perturbed(shrunk, tuple(directions), y, sample_weight), tf.stack([target, epsilon], axis=2), None

    def _derivatives(self, batch: _Perturbed, training: bool | None) -> tf.Tensor:
        """Outputs and their derivatives, `(batch, samples, order + 1, outputs)`; all samples in one pass."""
        x = [tf.repeat(leaf, self.samples, axis=0) for leaf in tf.nest.flatten(batch.x)]
        directions = [
            tf.reshape(leaf, tf.shape(repeated)) for leaf, repeated in zip(batch.directions, x, strict=True)
        ]

        def outputs(leaves: list[tf.Tensor]) -> tf.Tensor:
            return at_least_float32(self.model(tf.nest.pack_sequence_as(batch.x, leaves), training=training))

        order = derivative_order(self.terms)
        values = tf.stack(directional_derivatives(outputs, x, directions, order, self.derivatives), axis=1)
        return tf.reshape(values, [-1, self.samples, order + 1, values.shape[-1]])

    def _targets(self, y: Any) -> tf.Tensor:
        """Targets as the outputs: float `(batch, outputs)`; integer classes one-hot."""
        outputs, y = self._require_adapted()[-1][0], tf.convert_to_tensor(y)
        if y.dtype.is_bool:
            y = tf.cast(y, tf.int32)
        if y.dtype.is_floating and y.shape.rank == 1 and outputs > 1:
            raise _checks.problem(
                f"targets must be (batch, {outputs}) as the model's output, or integer classes. "
                f"Received: targets of dtype {y.dtype.name} and shape {y.shape}."
            )
        return plain_targets(y, outputs)

    def _require_averages(self, specs: Any) -> None:
        """Refuses features of which averages mean nothing, and warns of integers, which may be such."""
        leaves = [Leaf(FEATURES, path, MIXED, leaf_name(FEATURES, path), leaf) for path, leaf in leaf_paths(specs)]
        for each in leaves:
            require_no_geometry(each.path, each.tensor)
        if self.alpha:
            warn_of_integers(self._first_integers, leaves, None, _HIDDEN_INSTEAD)
            if input_specs(self.model) is None:
                self._require_no_lookups(specs_of(specs, [True] * len(leaves)))

    def _require_no_lookups(self, specs: Any) -> None:
        averaged = [self.alpha > 0] * len(tf.nest.flatten(specs))
        require_no_lookups(self.model, specs, averaged, "shrunk towards their mean", _HIDDEN_INSTEAD)

    def _learn(self, moments: list[StreamingMoments]) -> None:
        if not moments[-1].total:
            raise _checks.problem("adapt needs at least one sample. Received: an empty dataset.")
        if not all(np.isfinite(moment.mean).all() for moment in moments):
            raise _checks.problem("adapt needs finite features. Received: NaN or infinity.")
        if self._shapes is None:
            self._make_means([list(moment.mean.shape) for moment in moments])
        for weight, moment in zip(self._means, moments, strict=True):
            weight.assign(moment.mean)
        self._count.assign(int(moments[-1].total))

    def _make_means(self, shapes: list[Any]) -> None:
        self._means = [self._weight(f"mean_{i}", tuple(shape), "float32") for i, shape in enumerate(shapes)]
        self._shapes = [tuple(shape) for shape in shapes]

    def _weight(self, name: str, shape: tuple[int, ...], dtype: str) -> Any:
        first = "only_first_replica" if IS_KERAS_3 else tf.VariableAggregation.ONLY_FIRST_REPLICA
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False, aggregation=first
        )

    def _require_adapted(self) -> list[tuple[int, ...]]:
        """The shapes of the means, the targets' last."""
        if self._shapes is None:
            raise _checks.problem(
                "adapt(dataset) must come before fit, to learn the means of the training data. "
                "Received: a model without means."
            )
        return self._shapes

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        values = {"alpha": self.alpha, "loss": self.loss_kind, "terms": list(self.terms), "samples": self.samples}
        values |= {"derivatives": self.derivatives, "seed": self._base_seed, "name": self.name}
        return {**values, "model": model, "shapes": self._shapes and [list(shape) for shape in self._shapes]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "ApproximateMixupModel":
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        rest = {name: value for name, value in config.items() if name not in ("model", "shapes")}
        wrapper = cls(model=model, **rest)
        if config["shapes"] is not None:
            wrapper._make_means(config["shapes"])
        return wrapper

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras takes a `compile` that is overridden for one that it cannot call.
        arguments = dict(keras.saving.deserialize_keras_object(config))
        arguments.pop("loss", None)
        self.compile(**arguments)
        self.optimizer.build(self.trainable_variables)


def _checked_terms(terms: Any) -> tuple[str, ...]:
    rule = "a sequence of different ones of " + ", ".join(map(repr, TERMS))
    if isinstance(terms, str) or not isinstance(terms, Sequence):
        _checks.refuse("terms", rule, terms, TypeError)
    if not set(terms) <= set(TERMS) or len(set(terms)) < len(terms):
        _checks.refuse("terms", rule, terms)
    return tuple(term for term in TERMS if term in terms)


def _output_size(answer: Any) -> int:
    shape = getattr(answer, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] is None:
        raise _checks.problem(
            f"the model must have one output (batch, outputs). "
            f"Received: an output of {type(answer).__name__} and shape {shape}."
        )
    return int(shape[1])
