"""Images whose blocks best stay where they are: most of them, for ways are dear. Proving it is cheaper than solving.

A rearrangement is a set of cycles. With r_jp = way_jp - (share_j - share_p) saliency_p for block p at place j, each
one costs the sum of its r more than staying, as the other terms cancel along a cycle; and r_jj = 0. So staying is
best if no cycle's sum is negative. Few r are: those of salient blocks that would be seen more at a place nearby.
Bellman and Ford's relaxation, of all images at once, follows paths from these alone. Where it comes to rest there is
no such cycle; where it does not soon, the assignment is solved.
"""

from collections.abc import Iterator

import numpy as np

# Paths of photographs come to rest within 4 hops, if they do.
HOPS = 8
# Costs of so many ways at once stay in a processor's cache.
WAYS = 2**15
# An image where more than a half of all places may begin a path, or where more than an eighth are reached anew, is
# likely to move something, and to follow its paths takes as long as to solve it.
FEW_ENDS, FEW_CHANGES = 2, 8


def stays_best(saliency: np.ndarray, share: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Whether it is proven that the plan of least cost leaves all blocks where they are: bool `(problems,)`.

    Args:
        saliency, share: float64 `(problems, n)`; way: float64 `(n, n)`. See `transport_plan`.
    """
    cost = np.where(np.eye(len(way), dtype=bool), np.inf, way)
    distance = np.zeros(share.shape)
    most = share.max(axis=1, initial=0, keepdims=True)
    # Where a path may begin: its first way costs less than nothing.
    may_begin = (most - share) * saliency > cost.min(axis=0, initial=np.inf)
    is_open = _few(may_begin, FEW_ENDS)
    to_ends = np.ascontiguousarray(cost.T)
    for row, block in _parts(may_begin & is_open):
        seen_more = share[row] - share[row, block][:, np.newaxis]
        distance[row, block] = (to_ends[block] - seen_more * saliency[row, block][:, np.newaxis]).min(axis=1)
    np.minimum(distance, 0, out=distance)
    changed = distance < 0
    for _ in range(HOPS):
        is_open &= _few(changed, FEW_CHANGES)
        changed &= is_open
        if not changed.any():
            break
        changed = _relaxed(distance, changed, saliency, share, cost)
    return (is_open & ~changed.any(axis=1, keepdims=True))[:, 0]


def _relaxed(
    distance: np.ndarray, changed: np.ndarray, saliency: np.ndarray, share: np.ndarray, cost: np.ndarray
) -> np.ndarray:
    """Goes one way further from all places whose distance has changed; returns where one has now."""
    before = distance.copy()
    for row, place in _parts(changed):
        seen_more = share[row, place][:, np.newaxis] - share[row]
        reached = before[row, place][:, np.newaxis] + cost[place] - seen_more * saliency[row]
        nearer, block = np.nonzero(reached < before[row])
        np.minimum.at(distance, (row[nearer], block), reached[nearer, block])
    return distance < before


def _few(places: np.ndarray, part: int) -> np.ndarray:
    """Whether at most this part of an image's places are marked, and four: bool `(problems, 1)`."""
    return (places.sum(axis=1, keepdims=True) - 4) * part <= places.shape[1]


def _parts(places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and numbers of the places marked, so many at a time."""
    rows, numbers = np.nonzero(places)
    several = max(1, WAYS // max(1, places.shape[1]))
    for start in range(0, len(rows), several):
        yield rows[start : start + several], numbers[start : start + several]
