"""JSON that every reader takes: no NaN, no bare Infinity."""

import json
import math
from typing import Any

import numpy as np


def strict(value: Any) -> Any:
    """The same value in plain types; infinities become the strings "infinity" and "-infinity".

    What could not be measured is None in a report, with its reason beside it; a NaN is a mistake.

    Raises:
        ValueError: for NaN.
    """
    if isinstance(value, dict):
        return {str(key): strict(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [strict(part) for part in value]
    if isinstance(value, np.generic):
        return strict(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            raise ValueError("audit: a measure is NaN.")
        return "infinity" if value > 0 else "-infinity"
    return value


def dumps(value: Any, ascii_only: bool = False) -> str:
    """Strict JSON of a report; if asked, with escapes for what is not ASCII."""
    return json.dumps(strict(value), indent=2, allow_nan=False, ensure_ascii=ascii_only)
