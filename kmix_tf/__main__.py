"""`python -m kmix_tf`, the same as `kmix-tf`."""

import sys

from kmix_tf.cli import main

sys.exit(main())
