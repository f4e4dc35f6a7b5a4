"""What tensorflow-datasets prepares, an optional package."""

from experiments.data.common import not_found
from kmix_tf._extras import require


def catalogued(name, builder, splits, data_dir, tried, advice):
    """An iterable of `(features, label)`, as NumPy's, for each split.

    Raises:
        ImportError: naming the extra, without tensorflow-datasets. DataNotFound: if it can't be loaded.
    """
    tfds = require("tensorflow_datasets", "experiments", f"the data set {name}")
    try:
        loaded = tfds.load(builder, split=list(splits), as_supervised=True, data_dir=data_dir)
    except Exception as error:  # Of many kinds: no network, no such folder, a broken download.
        place = f"tensorflow-datasets: {builder} in {data_dir or 'its usual folder'}: {error}"
        raise not_found(name, [*tried, place], advice) from error
    return [tfds.as_numpy(split) for split in loaded]
