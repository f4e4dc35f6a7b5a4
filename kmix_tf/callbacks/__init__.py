"""Keras callbacks that show what a mix does while a model trains."""

from kmix_tf.callbacks.mixture_images import MixtureImages

__all__ = ["MixtureImages"]
