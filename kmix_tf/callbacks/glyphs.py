"""Numbers written into pictures, without a font."""

import numpy as np

# Three bits a row, five rows from above.
_ROWS = {
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 1, 2, 2),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
    ".": (0, 0, 0, 0, 2),
    ",": (0, 0, 0, 2, 4),
    "-": (0, 0, 7, 0, 0),
    "+": (0, 2, 7, 2, 0),
    "e": (0, 7, 7, 4, 7),
    ":": (0, 2, 0, 2, 0),
    "%": (5, 1, 2, 4, 5),
    " ": (0, 0, 0, 0, 0),
}
SCALE, HEIGHT = 2, 10


def written(text: str, width: int) -> np.ndarray:
    """A text of digits as a picture, uint8 `(10, width)`, black on white; what does not fit is left out."""
    line = np.zeros((5, max(4 * len(text), 1)), bool)
    for at, letter in enumerate(text):
        rows = _ROWS.get(letter, _ROWS[" "])
        line[:, 4 * at : 4 * at + 3] = [[bool(row >> bit & 1) for bit in (2, 1, 0)] for row in rows]
    line = line.repeat(SCALE, axis=0).repeat(SCALE, axis=1)[:, :width]
    return np.where(np.pad(line, [(0, 0), (0, width - line.shape[1])]), 0, 255).astype(np.uint8)
