"""The loaders of coloured images, CIFAR and SVHN, on small files of the published formats."""

import io
import pickle
import tarfile

import numpy as np
import pytest
import scipy.io

from experiments import data
from tests.experiments.test_data import COLOURED, LABELS, assert_holds


def cifar_files(classes):
    rows = np.ascontiguousarray(COLOURED.transpose(0, 3, 1, 2)).reshape(12, 3072)
    key = b"labels" if classes == 10 else b"fine_labels"
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"] if classes == 10 else ["train", "test"]
    parts = np.split(np.arange(12), len(names))
    return {
        name: pickle.dumps({b"data": rows[part], key: LABELS[part].tolist()}, protocol=2)
        for name, part in zip(names, parts, strict=True)
    }


CIFAR = [(data.cifar10, 10, "cifar-10-batches-py", 10), (data.cifar100, 100, "cifar-100-python", 6)]


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize("load, classes, folder, train", CIFAR)
def test_files_of_cifar(tmp_path, load, classes, folder, train, is_archive):
    if is_archive:
        with tarfile.open(tmp_path / f"cifar-{classes}-python.tar.gz", "w:gz") as archive:
            for name, content in cifar_files(classes).items():
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    else:
        (tmp_path / folder).mkdir()
        for name, content in cifar_files(classes).items():
            (tmp_path / folder / name).write_bytes(content)
    assert_holds(load(tmp_path), COLOURED, LABELS, train)


BROKEN = {
    "cut off": cifar_files(100)["test"][:-40],
    "harmful": pickle.dumps(print, protocol=2),
    "another key": pickle.dumps({b"data": COLOURED[6:].reshape(6, -1), b"labels": [0] * 6}, protocol=2),
    "counts": pickle.dumps({b"data": COLOURED[6:].reshape(6, -1), b"fine_labels": [0] * 5}, protocol=2),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_batch_of_cifar_is_named(tmp_path, content):
    (tmp_path / "cifar-100-python").mkdir()
    (tmp_path / "cifar-100-python" / "train").write_bytes(cifar_files(100)["train"])
    (tmp_path / "cifar-100-python" / "test").write_bytes(content)
    with pytest.raises(ValueError, match=r"test: .*batch of CIFAR"):
        data.cifar100(tmp_path)


def test_a_broken_archive_and_none(tmp_path):
    with pytest.raises(data.DataNotFound, match=r"CIFAR-10: (.|\n)*cifar-10-batches-py(.|\n)*--data-dir"):
        data.cifar10(tmp_path)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz: is no whole archive"):
        data.cifar10(tmp_path)


def test_svhn_of_its_files(tmp_path):
    (tmp_path / "svhn").mkdir()
    for name, part in (("train", slice(8)), ("test", slice(8, None))):
        # In the file, the digit 0 is class 10.
        y = np.where(LABELS == 0, 10, LABELS)[part, None]
        scipy.io.savemat(tmp_path / "svhn" / f"{name}_32x32.mat", {"X": COLOURED[part].transpose(1, 2, 3, 0), "y": y})
    assert_holds(data.svhn(tmp_path), COLOURED, LABELS)
    (tmp_path / "svhn" / "test_32x32.mat").write_bytes(b"no matrices")
    with pytest.raises(ValueError, match=r"test_32x32.mat: is no file of SVHN"):
        data.svhn(tmp_path)
