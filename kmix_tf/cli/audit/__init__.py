"""`kmix-tf audit`: will mixing hurt on my data, where to start, and what a mixture does to my labels."""

from kmix_tf.cli.audit.command import add_parser
from kmix_tf.cli.audit.errors import AuditError

__all__ = ["AuditError", "add_parser"]
