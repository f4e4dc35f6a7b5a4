"""The stage that data to validate on go through: what a layer makes of targets, without mixing."""

from typing import Any, ClassVar

import keras

from kmix_tf._compat import register


@register
class Evaluation:
    """Converts batches as a layer does, and mixes nothing: what `layer.for_evaluation()` gives.

    Args:
        layer: any `MixLayer`.

    Call:
        `stage(x, y=None, sample_weight=None)`, by hand or by `dataset.map(stage)`; see `MixLayer.for_evaluation`.

    Example:
        >>> stage = MixLayer(num_classes=3).for_evaluation()
        >>> stage(tf.zeros([2, 4]), tf.constant([0, 2]))[1].numpy().tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """

    # As `MixLayer.autograph_info__`.
    autograph_info__: ClassVar[dict[str, Any]] = {}

    def __init__(self, layer: Any):
        self.layer = layer

    def __call__(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return self.layer(x, y, sample_weight, training=False)

    def __repr__(self) -> str:
        return f"{type(self.layer).__name__}.for_evaluation()"

    def get_config(self) -> dict[str, Any]:
        return {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Evaluation":
        return cls(keras.saving.deserialize_keras_object(config["layer"]))
