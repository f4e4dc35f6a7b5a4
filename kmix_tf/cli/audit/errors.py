"""What goes wrong with a dataset or an option, told to the person who gave it."""


class AuditError(ValueError):
    """Data or an option that the audit cannot use; the message says what would do."""
