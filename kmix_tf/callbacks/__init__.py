"""Keras callbacks: one shows what a mix does while a model trains, one tells the mix where training stands."""

from kmix_tf.callbacks.mixture_images import MixtureImages
from kmix_tf.callbacks.trained_steps import TrainedSteps

__all__ = ["MixtureImages", "TrainedSteps"]
