"""One mix, in plain functions: what distances are measured on, what is drawn, and what is made of it."""

from kmix_tf.mixing.apply import apply
from kmix_tf.mixing.draw import Decisions, Drawn, MixPlan, Sides, draw
from kmix_tf.mixing.measure import measure

__all__ = ["Decisions", "Drawn", "MixPlan", "Sides", "apply", "draw", "measure"]
