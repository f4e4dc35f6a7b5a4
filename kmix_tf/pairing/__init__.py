"""Who is mixed with whom."""

from kmix_tf.pairing.assignment import solve_assignment
from kmix_tf.pairing.base import Pairing, PairingStrategy, as_pairing
from kmix_tf.pairing.classes import OtherClassPairing, SameClassPairing
from kmix_tf.pairing.label_distance import LabelDistancePairing
from kmix_tf.pairing.repeated import RepeatedPairing
from kmix_tf.pairing.transport import NearestNeighborPairing, OptimalTransportPairing, RandomPairing

__all__ = [
    "LabelDistancePairing",
    "NearestNeighborPairing",
    "OptimalTransportPairing",
    "OtherClassPairing",
    "Pairing",
    "PairingStrategy",
    "RandomPairing",
    "RepeatedPairing",
    "SameClassPairing",
    "as_pairing",
    "solve_assignment",
]
