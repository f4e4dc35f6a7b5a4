"""Which share each sample has in the label, where that is not its share in the input."""

from kmix_tf.label_shares.base import LabelShareStrategy, as_label_shares
from kmix_tf.label_shares.remix import RemixShares

__all__ = ["LabelShareStrategy", "RemixShares", "as_label_shares"]
