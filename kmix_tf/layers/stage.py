"""What every layer of the data stage is to Keras and to `tf.data`, whatever it does to a batch."""

from typing import Any, ClassVar, Self, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks, _deprecated
from kmix_tf._compat import ON_TENSORFLOW, call_context
from kmix_tf.backends import of_any_back_end
from kmix_tf.batch.batch import no_targets
from kmix_tf.batch.door import is_symbolic, require_arrays
from kmix_tf.batch.one_dictionary import is_one_dictionary
from kmix_tf.decision import arguments_of, restored, saved
from kmix_tf.layers.evaluation import Evaluation
from kmix_tf.layers.options import KerasOptions, checked_keras_options


class Stage(keras.layers.Layer):
    """A layer that takes batches `(x, y, sample_weight)` on their way to training, and gives such.

    A subclass says what it does in `mixed` and `between`; its options are the arguments of its `__init__`, and each
    is an attribute of the same name.

    Attributes, which a subclass has:
        carries: whether each batch is mixed with what was made of the one before it. Then it is called by the
            pipeline's stage alone, which begins with `nothing_carried` and goes on by `carry`. Default False.
        features_only: whether features may come without targets. schedule: a callable of the step, or None.
        seed: an integer, or None. runs_on_host: whether a part of it calls back to the host.
        mixtures: how many mixtures of each sample it makes; None for
            one. num_classes, class_weight, targets, passthrough, masks: as in `MixLayer`.
    """

    # Autograph takes what has this for converted already. There is nothing to convert, and the layer's errors would
    # come after pages of frames.
    autograph_info__: ClassVar[dict[str, Any]] = {}

    carries: bool = False
    features_only: bool
    schedule: Any
    seed: int | None
    num_classes: Any
    class_weight: Any
    targets: str
    passthrough: Any
    masks: Any

    def __init__(self, **kwargs: Unpack[KerasOptions]):
        # Keras would cast labels along with features to the compute dtype; the layer casts what it should.
        super().__init__(autocast=False, **checked_keras_options(type(self), kwargs))
        if not ON_TENSORFLOW:
            # Keras would make arrays of its back end of the tensors of a map.
            self._convert_input_args, self._allow_non_tensor_positional_args = False, True

    def takes_apart(self, x: Any) -> bool:
        """Whether x is one dictionary of images and their targets, as Keras' own layers take it."""
        return isinstance(x, dict) and not self.features_only and is_one_dictionary(x, self.passthrough)

    @property
    def runs_on_host(self) -> bool:
        """Whether a part of it calls back to the host, where XLA cannot follow: `solver="host"`."""
        raise NotImplementedError

    def members(self) -> list[Any]:
        """The mixes that a batch may go through, each a `MixLayer`.

        No property: Keras saves what is in those, and the layer itself is among these.
        """
        raise NotImplementedError

    @property
    def mixtures(self) -> int | None:
        """How many mixtures of each sample are made; None for one."""
        raise NotImplementedError

    @property
    def is_scheduled(self) -> bool:
        """Whether it has to be told the step."""
        return self.schedule is not None

    def mixed(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        training: bool | None = None,
        seed: Any = None,
        step: Any = None,
        saliency: Any = None,
        allowed: Any = None,
        mask: Any = None,
    ) -> Any:
        """What a call gives, without Keras around it.

        Args:
            allowed: a bool scalar tensor, False for a batch that is not to be mixed, whatever else says it is.
            mask: boolean `(batch, *elements)`, which elements of x are there; then `(x, mask)` comes back for x, with
                the mask of the mixtures. Distances are not measured on it.
        """
        raise NotImplementedError

    def between(
        self,
        first: Any,
        second: Any,
        training: bool | None = None,
        seed: Any = None,
        step: Any = None,
        allowed: Any = None,
    ) -> Any:
        """Mixes each sample of `first` with one of `second`, a batch of the same shape from another loader."""
        raise NotImplementedError

    def nothing_carried(self, spec: tuple[Any, ...]) -> tuple[tf.Tensor, ...]:
        """Where it carries: what comes before the first batch of a dataset with these specs of x, y and weights."""
        raise NotImplementedError

    def carry(
        self, carried: tuple[tf.Tensor, ...], batch: tuple[Any, ...], seed: Any = None, step: Any = None
    ) -> tuple[tuple[tf.Tensor, ...], Any]:
        """Where it carries: what to carry on to the next batch, and this one, `(x, y, sample_weight)`, mixed."""
        raise NotImplementedError

    def converted(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[list[tf.Tensor], Any]:
        """A batch to train on that is not mixed, and those of its tensors that would be, to differentiate by."""
        raise NotImplementedError

    def for_evaluation(self) -> Evaluation:
        """What to map over data to validate or test on: it converts them as the layer does, and mixes nothing.

        `dataset.map(layer)` would mix them, too, for nothing in a map says that it is not training. Integer labels
        become soft ones, targets are packed, dtypes are the layer's; weights of samples stay as they are, and weights
        of classes do not count, as in Keras. The same as `layer(x, y, training=False)`. It can be saved by
        `keras.saving.serialize_keras_object`.

        Example:
            >>> layer = MixLayer(num_classes=3)
            >>> data = tf.data.Dataset.from_tensors((tf.eye(3), tf.constant([2, 0, 1])))
            >>> x, y = next(iter(data.map(layer.for_evaluation())))
            >>> bool(tf.reduce_all(x == tf.eye(3)))
            True
        """
        return Evaluation(self)

    def build(self, *shapes: Any, **named_shapes: Any) -> None:
        """Nothing to make: the layer has no weights of its own."""
        self.built = True

    @of_any_back_end
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _checks.speaking_as(self):
            require_arrays(*_parts_of(args, kwargs), symbolic=True)
        is_alone = len(args) < 2 and kwargs.get("y") is None and not self.features_only
        if is_alone and _is_symbolic(args[:1]) and not self.takes_apart(args[0]):
            with _checks.speaking_as(self):
                raise no_targets("features alone, in a model that is being made")
        # By hand and in a map, None means training; as part of a model that was told nothing, as in its export, not.
        if len(args) < 4 and kwargs.get("training") is None and _in_inference_of_a_model():
            kwargs["training"] = False
        return super().__call__(*args, **kwargs)

    @tf.autograph.experimental.do_not_convert
    def call(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        training: bool | None = None,
        seed: Any = None,
        step: Any = None,
        saliency: Any = None,
    ) -> Any:
        return self.mixed(x, y, sample_weight, training, seed, step, saliency)

    @_checks.speaks
    def get_config(self) -> dict[str, Any]:
        """Every option, as JSON can hold it; what a preset makes of its options is not among them."""
        options = {name: saved(getattr(self, name), name) for name in arguments_of(type(self))}
        return {**super().get_config(), **options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The layer that `get_config` describes, also that of an older version."""
        now = _deprecated.as_now(cls, config)
        return cls(**{name: restored(value) for name, value in now.items() if name != "autocast"})


def require_nothing_carried(argument: str, layer: Stage) -> None:
    """Refuses a layer that carries mixtures on to the next batch, where batches come alone.

    Raises:
        ValueError: saying where it goes.
    """
    if layer.carries:
        raise _checks.problem(
            f"{argument} must mix each batch by itself. Received: {type(layer).__name__}, which mixes it with what "
            "was made of the one before. Use that alone, in dataset.apply(kmix_tf.mix(layer))."
        )


def _parts_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Features, targets and sample weights among the arguments of a call."""
    names = ("x", "y", "sample_weight")
    return [args[at] if at < len(args) else kwargs.get(name) for at, name in enumerate(names)]


def _is_symbolic(structure: Any) -> bool:
    """Whether it holds a tensor of a functional model that is being made."""
    return any(map(is_symbolic, tf.nest.flatten(structure)))


def _in_inference_of_a_model() -> bool:
    """Whether a layer is being called by another one, that has not been told whether it trains.

    Keras tells layers nothing then, in a model called by hand and in `model.export`, and they infer.
    """
    context = call_context()
    return context is not None and getattr(context, "in_call", True) and context.training is None
