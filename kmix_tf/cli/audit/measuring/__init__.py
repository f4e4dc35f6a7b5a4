"""What is measured on a sample: one module a question."""

from kmix_tf.cli.audit.measuring.course import ALPHAS, STEPS, measure

__all__ = ["ALPHAS", "STEPS", "measure"]
