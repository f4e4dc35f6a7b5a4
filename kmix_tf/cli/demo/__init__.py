"""`kmix-tf demo`: the same small network without mixup, with mixup and with k-mixup, side by side."""

from kmix_tf.cli.demo.command import add_parser
from kmix_tf.cli.demo.data import DataError
from kmix_tf.cli.demo.serving import ServingError

__all__ = ["DataError", "ServingError", "add_parser"]
