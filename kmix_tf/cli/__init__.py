"""The command `kmix-tf`."""

import sys
from collections.abc import Sequence

from kmix_tf import _extras, _stopping


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `kmix-tf`. Returns the exit status: 0, or 2 for what the person who called it can mend."""
    try:
        for library in ("click", "rich", "jinja2"):
            _extras.require(library, "cli", "the command kmix-tf")
    except ImportError as error:
        print(error, file=sys.stderr)
        return 2
    from kmix_tf.cli.app import run

    status = run(argv)
    _stopping.finish()
    return status
