"""Pages from the templates: each one file, with all that it shows inside."""

import base64
from collections.abc import Callable
from typing import Any

import jinja2
import numpy as np
import tensorflow as tf
from markupsafe import Markup

from kmix_tf.cli.terminal import plain


def render(template: str, filters: dict[str, Callable[..., Any]] | None = None, **values: Any) -> str:
    """A page. What it is given is escaped, but for Markup, and control characters are spelt out, in Markup too.

    Args:
        template: its file in `templates`.
        filters: functions that it calls by name, besides Jinja's own.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kmix_tf.cli"),
        autoescape=True,
        finalize=_plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(values)


def _plain(value: Any) -> Any:
    if isinstance(value, Markup):
        return Markup(plain(value))
    return plain(value) if isinstance(value, str) else value


def png_uri(image: np.ndarray) -> str:
    """uint8 `(height, width, 1 or 3)` as a PNG in the page itself."""
    return "data:image/png;base64," + base64.b64encode(tf.io.encode_png(image).numpy()).decode()
