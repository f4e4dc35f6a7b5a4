"""Who is mixed with whom."""

from kmix_tf.pairing.assignment import solve_assignment
from kmix_tf.pairing.strategies import OptimalTransportPairing, Pairing, RandomPairing

__all__ = ["OptimalTransportPairing", "Pairing", "RandomPairing", "solve_assignment"]
