"""Mixing what hidden layers compute."""

from kmix_tf.models.manifold.model import ManifoldMixModel

__all__ = ["ManifoldMixModel"]
