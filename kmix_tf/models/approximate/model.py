"""Training on what mixup amounts to: shrunk data and a penalty on the model's derivatives, without any mixtures."""

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import at_least_float32
from kmix_tf.layers.options import KerasOptions
from kmix_tf.maths.derivatives import DERIVATIVES, POINTS, directional_derivatives
from kmix_tf.maths.losses import LOSSES
from kmix_tf.maths.theta import theta_moments
from kmix_tf.models.approximate.batches import Perturbed, as_output, beside, unperturbed
from kmix_tf.models.approximate.compiling import CompiledModel
from kmix_tf.models.approximate.loss import checked_terms, derivative_order
from kmix_tf.models.approximate.noise import one_noise, require_one_noise
from kmix_tf.models.approximate.outputs import Outputs, apart, outputs_of, side_by_side
from kmix_tf.models.approximate.perturbation import draw, shrunk, step_seed
from kmix_tf.models.approximate.statistics import exactly, require_exact
from kmix_tf.models.approximate.weights import partners_mean, weighed
from kmix_tf.models.backends import IN_THE_DATA_STAGE, require_tensorflow
from kmix_tf.models.exporting import SAVED_MODEL, checked_path, export
from kmix_tf.models.lookups import input_specs
from kmix_tf.models.wrapper import like_its_model

_MIXTURES = f"{IN_THE_DATA_STAGE}, layer being KMixupLayer(1, alpha=...): its mean loss is what is approximated"


@register
class ApproximateMixupModel(CompiledModel):
    """Wraps a model, so that `fit` minimises the second-order approximation of mixup's risk instead of mixing data.

    Inputs and targets are shrunk towards their means, x_bar + theta_bar (x_i - x_bar), and the loss at them gets the
    terms that mixup's perturbations (delta, epsilon) add to second order. Their expectations are not computed from
    Jacobians but estimated from sampled perturbations, by derivatives of the model along them: for each sample
    r1_r3 = 1/2 (J delta)^T H (J delta) - epsilon^T J delta, with J the model's Jacobian and H the loss' Hessian.

    Example:
        >>> x, y = tf.random.normal([64, 3]), tf.range(64) % 2
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        >>> approximate = ApproximateMixupModel(model, alpha=1.0, seed=0)
        >>> approximate.adapt(x, y)
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> approximate.compile("sgd", loss, metrics=["accuracy"])
        >>> sorted(approximate.fit(x, y, verbose=0).history)
        ['accuracy', 'base', 'loss', 'r1_r3']

    Args:
        model: a Keras model with one output `(batch, outputs)`, or a dictionary or list of such; logits for the
            cross-entropies. It is trained in place and stays usable by itself.
        alpha: of the mixup that is approximated, finite and >= 0. 0 is plain training.
        loss: None (default): it is given to `compile`, as everywhere in Keras. Or the paper's, for all outputs:
            "categorical_crossentropy", "binary_crossentropy", or "squared_error", 1/2 |y - u|^2; the last two are
            summed over outputs, where Keras' are means.
        terms: a sequence of what to add to the loss on shrunk data:
            "r1_r3" (the default, alone): the pull of the Jacobian towards that of a linear fit. Together, because
            apart they hold inverses that do not exist.
            "r2": the model's own curvature. The paper leaves it out for being unstable. 0 for piecewise linear
            models.
            "r4": for the squared error a constant, otherwise 0. It makes the loss the whole of the approximation.
            (): none, which is the paper's "ERM on modified data".
        samples: perturbations drawn for each sample, an integer >= 1. The model runs on so many times the batch.
        derivatives: "exact" (default), by automatic differentiation; or "differences", central ones of three points
            in one forward pass, for layers without right second derivatives (layer and group normalisation, and
            batch normalisation in training, which "exact" refuses) or without any (recurrent ones under XLA). Frozen
            batch normalisation is affine, and exact. Dropout and the like draw once for all three points; other
            noise is refused with "differences", as far as layers say that they draw. It is too coarse for float16.
        seed: an integer >= 0, or None for one of Python's generator. Draws are a function of it, of a counter of
            steps that is saved with the weights, and of the replica.

    Call:
        `model(x)` is the wrapped model's answer; so are `predict` and `export`, and `evaluate` has its plain loss.
        `adapt` must come before `fit`. Logs have, besides the loss, its parts: "base" and each of `terms`; metrics
        are those of the model's answers to the shrunk inputs, against targets as given. Of several outputs the parts
        are summed, weighted as their losses are.

    Partners are drawn from the batch: the sample itself with probability 1 / n, n the number of samples adapted to,
    otherwise any other row. So the loss of a random batch is an unbiased estimate of Theorem 2 over the whole of the
    data, for batches of at least two. Batches must be shuffled. Sample weights and class weights count as they do in
    mixtures, by share x weight x loss, with their mean over the batch. Batch normalisation in training makes outputs
    depend on the whole batch, which the derivation does not know of: derivatives are those with the statistics of the
    batch held, and its moving averages move once a step, to those of the shrunk batch.

    Raises:
        TypeError, ValueError: for other arguments; for inputs that must not be averaged, integer inputs, and layers
            that the derivatives cannot be used with; from `fit` before `adapt`.

    Source: On Mixup Regularization, Theorem 2 in the form of eq. (33), Lemma 1, eq. (5) and (20).
    """

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        alpha: float,
        loss: str | None = None,
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
        self.loss_kind = None if loss is None else _checks.choice("loss", loss, tuple(LOSSES))
        self.terms = checked_terms(terms)
        self.samples = _checks.integer("samples", samples, minimum=1)
        self.derivatives = _checks.choice("derivatives", derivatives, DERIVATIVES)
        self.seed = None if seed is None else _checks.integer("seed", seed, minimum=0)
        self.moments = theta_moments(self.alpha)
        self._require_differentiable()
        # Not tf.random's or Keras' generator, whose states differ between replicas and graphs.
        self._base_seed = (random.getrandbits(62) if self.seed is None else self.seed) % 2**63
        names = ("base", *self.terms) if self._is_perturbed else ()
        self._parts = [keras.metrics.Mean(name=name) for name in names]
        self.built = True
        self._begin()
        outputs = outputs_of(model)
        if loss is not None and outputs is not None:
            self._require_fitting(outputs)

    @property
    def _is_perturbed(self) -> bool:
        return bool(self.alpha and self.terms)

    def _require_differentiable(self) -> None:
        if self._order and self.derivatives == "exact":
            require_exact(self.model, input_specs(self.model))
        elif self._order:
            require_one_noise(self.model)

    @property
    def _order(self) -> int:
        return derivative_order(self.terms) if self._is_perturbed else 0

    def call(self, x: Any, training: bool | None = None) -> Any:
        if not isinstance(x, Perturbed):
            return self.model(x, training=training)
        if not x.directions:
            return tf.nest.map_structure(at_least_float32, self.model(x.x, training=training))
        return self._derivatives(x, training)

    def train_step(self, data: Any) -> dict[str, Any]:
        with _checks.speaking_as(self):
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            batch, targets, weight = self._perturbed(x, y, sample_weight)
        return super().train_step((batch, targets, weight))

    def test_step(self, data: Any) -> dict[str, Any]:
        x, *rest = keras.utils.unpack_x_y_sample_weight(data)
        outputs = self._known_outputs()
        data = (x, *rest) if outputs is None else (x, *map(outputs.by_place, rest))
        parts = {part.name for part in self._parts}  # which only training has
        return {name: value for name, value in super().test_step(data).items() if name not in parts}

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        if not isinstance(x, Perturbed):
            return super().compute_metrics(x, y, y_pred, sample_weight)
        if x.directions:
            parts = self._parts_of(y, y_pred)
            for metric, values in zip(self._parts, parts.values(), strict=True):
                metric.update_state(values)
            y_pred = tf.nest.map_structure(lambda answer: answer[:, 0, 0], y_pred)
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

    def _perturbed(self, x: Any, y: Any, sample_weight: Any) -> tuple[Perturbed, Any, Any]:
        """A batch shrunk, with the directions to differentiate along; targets and weights as the losses take them.

        Where samples have weights, these are shrunk and perturbed as targets are, and the targets times them, for a
        mixture's loss is the sum of share x weight x loss.
        """
        outputs = self._require_adapted()
        y, sample_weight = outputs.by_place(y), outputs.by_place(sample_weight)
        weights = outputs.each("sample_weight", sample_weight, shared=True)
        targets = [weighed(*each) for each in zip(self._targets(outputs, y), weights, strict=True)]
        leaves = [at_least_float32(tf.convert_to_tensor(leaf)) for leaf in tf.nest.flatten(x)]
        means = [*self._means[: len(leaves)], *self._target_means(targets, weights)]
        draws = self._draw(tf.shape(targets[0])[0]) if self._is_perturbed else None
        values, perturbations = shrunk([*leaves, *targets], means, self.moments, draws)
        targets = values[len(leaves) :]
        directions = tuple(perturbations[: len(leaves)])
        batch = Perturbed(tf.nest.pack_sequence_as(x, values[: len(leaves)]), directions, y, sample_weight)
        if draws is None:
            return batch, *unperturbed(outputs, targets, weights)
        # The weights are in the targets now.
        pairs = zip(targets, perturbations[len(leaves) :], strict=True)
        return batch, outputs.pack([beside(target, epsilon) for target, epsilon in pairs]), None

    def _draw(self, rows: tf.Tensor) -> Any:
        """What is random in a step, which is counted."""
        seed = step_seed(self._base_seed, tf.convert_to_tensor(self._step))
        self._step.assign_add(1)
        return draw(seed, rows, self.samples, tf.convert_to_tensor(self._count))

    def _target_means(self, targets: list[tf.Tensor], weights: list[Any]) -> list[Any]:
        count, means = tf.convert_to_tensor(self._count), self._means[-len(targets) :]
        return [
            mean if weight is None else partners_mean(target, count)
            for mean, weight, target in zip(means, weights, targets, strict=True)
        ]

    def _derivatives(self, batch: Perturbed, training: bool | None) -> Any:
        """Outputs and their derivatives, each `(batch, samples, order + 1, outputs)`; all samples in one pass."""
        x = [tf.repeat(leaf, self.samples, axis=0) for leaf in tf.nest.flatten(batch.x)]
        directions = [
            tf.reshape(leaf, tf.shape(repeated)) for leaf, repeated in zip(batch.directions, x, strict=True)
        ]
        answers = []

        def outputs(leaves: list[tf.Tensor]) -> tf.Tensor:
            with _checks.speaking_as(self), self._differentiable(leaves[0]):
                answers.append(self.model(tf.nest.pack_sequence_as(batch.x, leaves), training=training))
            return side_by_side(answers[0])

        found = directional_derivatives(outputs, x, directions, self._order, self.derivatives)
        values = tf.stack(found, axis=1)
        return apart(tf.reshape(values, [-1, self.samples, self._order + 1, values.shape[-1]]), answers[0])

    def _differentiable(self, rows: tf.Tensor) -> AbstractContextManager[None]:
        """Within it, the model's answers to rows are those of one function; or it is refused."""
        if not self._order:
            return nullcontext()
        is_exact = self.derivatives == "exact"
        return exactly(self.model) if is_exact else one_noise(self.model, rows, POINTS)

    def _targets(self, outputs: Outputs, y: Any) -> list[tf.Tensor]:
        """Targets as the outputs: float `(batch, outputs)`; integer classes one-hot."""
        given = outputs.each("targets", y)
        sizes = [shape[0] for shape in (self._shapes or [])[-outputs.count :]]
        return [as_output(tf.convert_to_tensor(each), size) for each, size in zip(given, sizes, strict=True)]

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        values = {"alpha": self.alpha, "loss": self.loss_kind, "terms": list(self.terms), "samples": self.samples}
        values |= {"derivatives": self.derivatives, "seed": self._base_seed, "name": self.name}
        shapes = None if self._shapes is None else [list(shape) for shape in self._shapes]
        outputs = None if self._outputs is None else self._outputs.get_config()
        return {**values, "model": model, "shapes": shapes, "outputs": outputs}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "ApproximateMixupModel":
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        rest = {name: value for name, value in config.items() if name not in ("model", "shapes", "outputs")}
        wrapper = cls(model=model, **rest)
        if config["shapes"] is not None:
            wrapper._make_means(config["shapes"])
            # Files of models with one output only, before there were others, do not say so.
            wrapper._outputs = Outputs(config.get("outputs"), getattr(model, "output_names", None) or ())
        return wrapper
