"""Optional packages, imported where they are used."""

import importlib
from types import ModuleType


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports an optional package.

    Raises:
        ImportError: naming the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"kmix_tf: {purpose} needs {package}, which is not installed. Run: pip install 'kmix_tf[{extra}]'"
        ) from error
