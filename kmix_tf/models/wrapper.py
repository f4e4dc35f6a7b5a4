"""What models that mix in their training step have in common: all but the step is the wrapped model's."""

import contextlib
import inspect
import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._images import those
from kmix_tf.batch.door import require_arrays_to_fit
from kmix_tf.layers import Stage
from kmix_tf.layers.options import KerasOptions
from kmix_tf.layers.stage import require_nothing_carried
from kmix_tf.models.counting import StepCounter
from kmix_tf.models.exporting import SAVED_MODEL, checked_path, export
from kmix_tf.models.fitting import require_fitting, require_outputs, warn_of_metrics
from kmix_tf.models.lookups import input_specs, not_selected
from kmix_tf.models.showing import offer_data
from kmix_tf.models.telling import TellingModel, Told


class MixingWrapper(TellingModel):
    """Wraps a built model and a mix. A subclass says in `train_step` how it mixes.

    Args:
        model: a built Keras model. mixers: every mix layer that it uses; the subclass keeps them.
        argument: the name of the argument that they came in. seed: an integer >= 0, or None for the first mix's own,
            or else a random one.
    """

    # Whether it hands mixtures on to the next step, for a layer that carries them.
    hands_on: ClassVar[bool] = False

    @_checks.speaks
    def __init__(
        self,
        model: keras.Model,
        mixers: Sequence[Stage],
        argument: str,
        seed: int | None,
        **kwargs: Unpack[KerasOptions],
    ):
        # The wrapped model casts its inputs as its own layers want them.
        super().__init__(autocast=False, **like_its_model(model, kwargs))
        self.model = require_built(model)
        for mixer in mixers:
            if not isinstance(mixer, Stage):
                _checks.refuse(argument, "a MixLayer such as KMixupLayer(16)", mixer, TypeError)
            if not self.hands_on:
                require_nothing_carried(argument, mixer)
        self._silenced = threading.local()
        self._counter = StepCounter(self, mixers[0].seed if seed is None else seed)
        self._told = Told(mixers)
        self.built = True

    @property
    def mixers(self) -> list[Stage]:
        """The layers that mix."""
        raise NotImplementedError

    @property
    def losses(self) -> list[tf.Tensor]:
        """Those of the wrapped model; an embedding that the mix measures distances with adds none."""
        return [] if getattr(self._silenced, "penalties", False) else self.model.losses

    @contextlib.contextmanager
    def without_penalties(self) -> Iterator[None]:
        """Within it, the loss is that of the data alone; in this thread, for each replica is traced in its own."""
        self._silenced.penalties = True
        try:
            yield
        finally:
            self._silenced.penalties = False

    @property
    def trainable_weights(self) -> list[Any]:
        """The wrapped model's; an embedding that the mix measures distances with is not trained."""
        return self.model.trainable_weights if self.trainable else []

    @property
    def trainable_variables(self) -> list[Any]:
        return self.trainable_weights

    @_checks.speaks
    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As `keras.Model.compile`.

        Raises:
            ValueError: for `jit_compile=True` and a mix with `solver="host"`; for sparse losses and metrics, which
                take no mixed labels; for stock losses and metrics where targets are packed.

        Warns of stock metrics that take mixed labels for something else, such as AUC.
        """
        arguments = inspect.signature(super().compile).bind_partial(*args, **kwargs).arguments
        for mixer in self.mixers:
            if arguments.get("jit_compile") is True:
                require_compilable(mixer)
            require_fitting(arguments, mixer, self.model)
        warn_of_metrics(arguments, self.mixers[0], self.model)
        super().compile(*args, **kwargs)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`; says after each epoch what its steps have counted.

        Raises:
            ValueError: for `class_weight` where the mix has one, too: classes would count by both; TypeError besides,
                for arrays that hold no numbers, lists of Python's numbers, and keys of two kinds, as in a layer.
        """
        if kwargs.get("class_weight") is not None and any(mixer.class_weight is not None for mixer in self.mixers):
            with _checks.speaking_as(self):
                _checks.refuse(
                    "class_weight", "given once, to fit or to the mix, which has one", kwargs["class_weight"]
                )
        arguments = inspect.signature(keras.Model.fit).bind_partial(self, *args, **kwargs).arguments
        with _checks.speaking_as(self):
            require_arrays_to_fit(arguments)
        offer_data(arguments)
        return super().fit(*args, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if y is not None and y_pred is not None:
            with _checks.speaking_as(self):
                require_outputs(y, y_pred, self.mixers[0], self.model, self.loss)
        return super().compute_loss(x, y, y_pred, sample_weight, *args, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras does not compile what it loads when `compile` is overridden, unless this is, too.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if hasattr(self.optimizer, "build"):  # The legacy optimizers of Keras 2 have none.
            self.optimizer.build(self.trainable_variables)

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
        """As `keras.Model.export`, of the plain model: nothing of the mix, or of this package, is in it.

        It is written beside `filepath` and renamed, so that an export which fails leaves what was there as it was.

        Args:
            filepath, format, verbose, input_signature, options: as `keras.Model.export` of the installed Keras has
                them; Keras 2 writes SavedModels only. `pip install 'kmix_tf[serving]'` brings the packages of "onnx"
                and "openvino". path: another name of filepath.

        Raises:
            TypeError, ValueError, ImportError: for what Keras cannot export, naming the formats that there are, or
                the packages that are missing; for a model of which the file would be one that nothing can load.
                OSError: naming the path, if it cannot be written.

        Warns:
            UserWarning: if a LiteRT file needs operations of TensorFlow, as those of float16 and masks do.
        """
        export(self.model.export, checked_path(filepath, path), format, verbose, input_signature, options)

    def _maybe_symbolic_build(self, **batches: Any) -> None:
        try:
            super()._maybe_symbolic_build(**batches)
        except ValueError as error:
            # What Keras 3 says of the batches of several processes, with or without a mix.
            if "PerReplica" not in str(error):
                raise
            with _checks.speaking_as(self):
                raise _checks.problem(
                    "fit and evaluate of this Keras do not run on several workers. Received: "
                    f"{type(self.distribute_strategy).__name__}. Write the loop, as examples/distributed/"
                    "two_workers.py does; or take TensorFlow 2.15 with Keras 2, whose fit does."
                ) from error

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Under a distribution strategy, Keras 3 tries loss and metrics on a batch that no step has seen: on the mean
        # of what the replicas got, in which integers have become float64.
        if data_batch is not None:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data_batch)
            data_batch = self._as_tried((x, self._as_labels(y), sample_weight))
        super()._symbolic_build(iterator=iterator, data_batch=data_batch)

    def _as_labels(self, y: Any) -> Any:
        """Targets with integers where a mean has made float64 of classes."""
        mixer = self.mixers[0]
        if y is None or (mixer.num_classes is None and mixer.targets != "packed"):
            return y
        return tf.nest.map_structure(lambda leaf: tf.cast(leaf, tf.int64) if leaf.dtype == tf.float64 else leaf, y)

    def _as_tried(self, data: Any) -> Any:
        """A batch `(x, y, sample_weight)` as `compute_loss` takes it outside steps."""
        return data

    def build(self, input_shape: Any = None) -> None:
        """Nothing to make: the wrapped model is built."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MixingWrapper":
        return cls(**{name: _made(value, custom_objects) for name, value in config.items()})


def _made(value: Any, custom_objects: Any) -> Any:
    """The object that a configuration describes, or a dictionary of them."""
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {key: _made(each, custom_objects) for key, each in value.items()}
    return keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)


def like_its_model(model: Any, options: KerasOptions) -> KerasOptions:
    """Options of a wrapper, with the model's dtype policy if they name none: by it, `compile` tells whether to scale
    the loss, without which gradients of float16 vanish."""
    if isinstance(model, keras.Model) and options.get("dtype") is None:
        return {**options, "dtype": model.dtype_policy}
    return options


def require_built(model: Any) -> keras.Model:
    """The model, if it is a built Keras model.

    Raises:
        TypeError: for anything but a model. ValueError: if it has no weights yet.
    """
    if not isinstance(model, keras.Model):
        _checks.refuse("model", "a Keras model", model, TypeError)
    if not model.built:
        raise _checks.problem(
            f"model must be built, so that its weights exist. Received: {model.name!r}, which is not. "
            "Begin it with keras.Input(shape), or call it once on a batch."
        )
    return model


def require_compilable(mixer: Stage) -> None:
    """Refuses a layer that calls back to the host, where XLA is to compile it.

    Raises:
        ValueError: naming the remedy.
    """
    if mixer.runs_on_host:
        raise _checks.problem(
            "jit_compile=True needs a mix that XLA can compile. Received: a layer with solver='host', "
            "which calls back to the host. Give it solver='graph'; where there is none, leave jit_compile out."
        )


def require_floating_inputs(model: keras.Model, mixer: Stage) -> None:
    """Refuses integer inputs: models cast what comes to their inputs' dtype, and so would cut mixtures off.

    Raises:
        ValueError: unless they ride along or are masks.
    """
    specs = input_specs(model)
    are_free = [] if specs is None else not_selected((*mixer.passthrough, *mixer.masks), specs)
    (mixed,) = those(are_free, tf.nest.flatten(specs)) if are_free else ([],)
    dtypes = [leaf.dtype for leaf in mixed]
    if not all(dtype.is_floating for dtype in dtypes):
        raise _checks.problem(
            f"the model's inputs are of dtypes {[dtype.name for dtype in dtypes]} and cannot be mixed: "
            "mixtures would be cut to integers. Use floating inputs (keras.Input(..., dtype='float32')) for "
            "quantities; name those that ride along in the mix's passthrough; or mix hidden features by "
            "ManifoldMixModel, what an embedding makes of token ids, say."
        )
