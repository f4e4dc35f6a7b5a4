"""From files of many kinds to one sample of features and classes, with all samples looked at on the way."""

from kmix_tf.cli.audit.reading.opening import FORMATS, Options, open_data
from kmix_tf.cli.audit.reading.sample import Sample, collect

__all__ = ["FORMATS", "Options", "Sample", "collect", "open_data"]
