"""The command `kmix-tf`."""

import argparse
import sys
from collections.abc import Sequence

from kmix_tf._version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `kmix-tf`. Returns the exit status: 0, or 2 for what the person who called it can mend."""
    from kmix_tf.cli import audit, demo, gallery

    parser = argparse.ArgumentParser(prog="kmix-tf", description="Mixup for Keras and TensorFlow.")
    parser.add_argument("--version", action="version", version=f"kmix-tf {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    audit.add_parser(commands)
    demo.add_parser(commands)
    gallery.add_parser(commands)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except (audit.AuditError, demo.DataError, demo.ServingError, gallery.GalleryError, ImportError, OSError) as error:
        print(f"kmix-tf: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
