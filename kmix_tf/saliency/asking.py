"""How blends ask for saliency: their own source, the default one, or what the caller has already."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._images import image_of
from kmix_tf.decision import name_of
from kmix_tf.saliency.source import SaliencySource, Source, checked
from kmix_tf.saliency.spectral import SpectralResidualSaliency


def ask(source: Source | None, features: Sequence[tf.Tensor], targets: Any, axes: int) -> tf.Tensor:
    """What a source says of a batch, checked; None asks `SpectralResidualSaliency`.

    Args:
        source: a saliency source, or None.
        features: feature tensors `(batch, ...)`.
        targets: prepared targets, or None.
        axes: how many spatial axes the image has.

    Returns:
        float32 `(batch, *axes)`; see `checked`.
    """
    image = image_of(features, axes)
    source = SpectralResidualSaliency(axes=axes) if source is None else source
    answer = _answer(source, features, targets)
    with _checks.speaking_as(name_of(source), anew=True):
        return checked(answer, image, axes)


def ask_pair(
    source: Source | None,
    first: Sequence[tf.Tensor],
    second: Sequence[tf.Tensor],
    given: Any,
    axes: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The saliency of two lists of features: `given`, a pair of tensors, checked; or, if that is None, asked for."""
    if given is None:
        of_first = ask(source, first, None, axes)
        return of_first, of_first if second is first else ask(source, second, None, axes)
    first_given, second_given = given_pair(given)
    of_first = checked(first_given, image_of(first, axes), axes)
    is_same = second is first and second_given is first_given
    return of_first, of_first if is_same else checked(second_given, image_of(second, axes), axes)


def given_pair(given: Any) -> tuple[Any, Any]:
    """What a blend's caller gave as saliency: of the first and of the second features.

    Raises:
        ValueError: for anything but a pair.
    """
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        _checks.refuse("saliency", "a pair of tensors, of the first and of the second features", given)
    return given[0], given[1]


def _answer(source: Source, features: Sequence[tf.Tensor], targets: Any) -> Any:
    """What a source gives; where a plain function fails, because it was not made for lists, say so."""
    if isinstance(source, SaliencySource):  # It knows its protocol, and speaks for itself.
        with _checks.speaking_as(source, anew=True):
            return source(features if source.takes_names else list(features), targets)
    asked = "saliency must be a callable (features, targets) -> (batch, *axes) of lists of tensors"
    try:
        # TensorFlow and Keras take lists apart, but not subclasses of list.
        answer = source(features if getattr(source, "takes_names", False) else list(features), targets)
    except (TypeError, AttributeError) as error:
        if hasattr(source, "get_config"):  # A source that is a class knows its protocol; the error is another.
            raise
        raise _checks.problem(f"{asked}, here {len(features)} features. Received: {error}", TypeError) from error
    if answer is None:
        raise _checks.problem(f"{asked}. Received: {name_of(source)}, which returns None.", TypeError)
    return answer
