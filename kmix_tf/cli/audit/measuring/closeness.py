"""The nearest sample of another class: of each sample, and the closest pairs."""

from typing import Any

import numpy as np

from kmix_tf.cli.audit.measuring.neighbors import nearest

_EXAMPLES = 5


def closeness(x: np.ndarray, y: np.ndarray, unit: float) -> dict[str, Any]:
    """How near classes come to one another.

    Args:
        x: float32 `(n, d)`, centred, in units of `unit`. y: int `(n,)`.

    Returns:
        samples; least and median distance to the nearest sample of another class; nearest_is_other: the share of
        samples to which that is nearer than any of their own; examples: the closest pairs, rows of x.
    """
    found = nearest(x, y)
    pairs, rows = np.unique(np.sort(np.stack([np.arange(len(x)), found.other]), axis=0), axis=1, return_index=True)
    closest = np.argsort(found.other_distance[rows], kind="stable")[:_EXAMPLES]
    return {
        "samples": len(x),
        "least": unit * float(found.other_distance.min()),
        "median": unit * float(np.median(found.other_distance)),
        "nearest_is_other": float((found.other_distance < found.same_distance).mean()),
        "examples": [
            {
                "first": int(pairs[0, i]),
                "second": int(pairs[1, i]),
                "distance": unit * float(found.other_distance[rows[i]]),
            }
            for i in closest
        ],
    }
