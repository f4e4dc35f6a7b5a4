"""Looking at what a mix draws and makes. Where nobody looks, nothing is kept."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

# What the mixes of this context have drawn and made, if somebody looks: `draw` begins an entry, `apply` completes it.
WATCHED: ContextVar[list[dict[str, Any]] | None] = ContextVar("kmix_tf_watched", default=None)


@contextlib.contextmanager
def watching() -> Iterator[list[dict[str, Any]]]:
    """Within it, each mix adds a dictionary: of `draw`, sides and drawn; of `apply`, batch, blended and mixed."""
    seen: list[dict[str, Any]] = []
    token = WATCHED.set(seen)
    try:
        yield seen
    finally:
        WATCHED.reset(token)
