"""`kmix-tf gallery`: what each blend makes of real images, on one page."""

from kmix_tf.cli.gallery.command import add_parser
from kmix_tf.cli.gallery.images import GalleryError

__all__ = ["GalleryError", "add_parser"]
