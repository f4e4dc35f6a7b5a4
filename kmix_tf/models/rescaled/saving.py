"""A rescaled model's configuration: what of it is in `.keras` files beside the weights."""

from typing import Any

import keras

from kmix_tf._paths import is_selected, leaf_paths
from kmix_tf.maths.theta import ThetaMoments
from kmix_tf.models.calibrating.seen import Seen
from kmix_tf.models.rescaled.calibrating import Fitted
from kmix_tf.models.rescaled.measured import as_measured
from kmix_tf.models.rescaled.signature import FeatureSignature


class Saves:
    """The part of `RescaledModel` that is saved and made anew."""

    name: str
    model: Any
    alpha: float | None
    output_kind: Any
    passthrough: tuple[str, ...]
    masks: tuple[str, ...]
    _theta: ThetaMoments
    _theta_config: Any
    _signature: FeatureSignature | None
    _outputs: FeatureSignature
    _seen: Seen | None
    _calibration: Fitted | None
    _set_calibration: Any
    _make_means: Any
    _require_adapted: Any

    def get_build_config(self) -> dict[str, Any]:
        config = {"signature": self._require_adapted().get_config(), "outputs": self._outputs.get_config()}
        for name, part in (("seen", self._seen), ("calibration", self._calibration)):
            if part is not None:
                config[name] = part.get_config()
        return config

    def build_from_config(self, config: dict[str, Any]) -> None:
        if self._signature is None:
            self._make_means(FeatureSignature(config["signature"]), FeatureSignature(_outputs_in(config)))
            self._seen = Seen.from_config(config["seen"]) if "seen" in config else None
            if "calibration" in config:
                self._set_calibration(Fitted.from_config(config["calibration"]))

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
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        alpha, theta = config["alpha"], config.get("theta")
        if isinstance(alpha, dict):
            is_layer = "class_name" in alpha
            alpha = keras.saving.deserialize_keras_object(alpha) if is_layer else ThetaMoments(**alpha)
        return cls(**{**config, "model": model, "alpha": alpha, "theta": as_measured(theta)})


def _outputs_in(config: dict[str, Any]) -> Any:
    """What the outputs look like. Files of 0.1.0 have the shape of one output instead."""
    if "outputs" in config:
        return config["outputs"]
    return f"float32:{','.join(map(str, config['target_shape']))}"
