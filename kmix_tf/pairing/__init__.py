"""Who is mixed with whom."""

from kmix_tf.pairing.assignment import solve_assignment
from kmix_tf.pairing.classes import OtherClassPairing, SameClassPairing
from kmix_tf.pairing.nearest_neighbor import NearestNeighborPairing
from kmix_tf.pairing.optimal_transport import OptimalTransportPairing
from kmix_tf.pairing.pairing import Pairing
from kmix_tf.pairing.random import RandomPairing
from kmix_tf.pairing.repeated import RepeatedPairing

__all__ = [
    "NearestNeighborPairing",
    "OptimalTransportPairing",
    "OtherClassPairing",
    "Pairing",
    "RandomPairing",
    "RepeatedPairing",
    "SameClassPairing",
    "solve_assignment",
]
