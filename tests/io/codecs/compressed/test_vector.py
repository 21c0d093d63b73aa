"""Coded fields in files: what comes back, blocks that are read alone, and damage."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from sci.compression import MultiScaleVQ, encode_fields
from sci.errors import FileFormatError, InvalidValueError, ShapeError
from sci.io import load, read_coded_block, save


@pytest.fixture
def stored(tmp_path):
    r = np.random.default_rng(1)
    quantizer = MultiScaleVQ(r.normal(size=(2, 100, 16)).astype("f4"), [(2, 2), (8, 8)], (4, 4))
    coded = encode_fields(quantizer, r.normal(size=(3, 1, 64, 32)))
    save(tmp_path / "small.h5", coded)
    save(tmp_path / "book.h5", quantizer)
    return tmp_path / "small.h5", load(tmp_path / "book.h5"), coded


def test_fields_come_back_from_both_files(stored):
    path, quantizer, coded = stored
    np.testing.assert_array_equal(load(path).decode(quantizer), coded.decode(quantizer))
    assert repr(load(path)) == repr(coded)
    assert path.stat().st_size < coded.nbytes + 16384  # header and axes


def test_a_block_is_read_without_the_rest(stored, monkeypatch):
    path, quantizer, coded = stored
    whole, read = coded.decode(quantizer), []
    plain = h5py.Dataset.__getitem__

    def counting(dataset, key, *args, **options):
        found = plain(dataset, key, *args, **options)
        if "codes_" in dataset.name:
            read.append(np.asarray(found).nbytes)
        return found

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    box = [slice(20, 24), slice(9, 11)]
    np.testing.assert_array_equal(read_coded_block(path, quantizer, 1, box), whole[1, :, 20:24, 9:11])
    # the codes of one patch, and of at most four cells of the coarse scale along each axis, each in a byte or two
    assert sum(read) <= 2 + 4 * 4
    assert sum(read) < 0.05 * sum(p.nbytes for p in coded.packed)


def test_arguments_are_refused_as_arguments(stored):
    path, quantizer, _ = stored
    with pytest.raises(InvalidValueError, match="field 3 of 3"):
        read_coded_block(path, quantizer, 3, [slice(0, 1)] * 2)
    with pytest.raises(ShapeError, match="each of 2 axes"):
        read_coded_block(path, quantizer, 0, [slice(0, 1)])
    other = MultiScaleVQ(quantizer.codebook + np.float32(1), quantizer.scales, quantizer.patch)
    with pytest.raises(InvalidValueError, match="fingerprint"):
        read_coded_block(path, other, 0, [slice(0, 1)] * 2)
    with pytest.raises(FileFormatError, match="vector_quantizer"):
        read_coded_block(path.with_name("book.h5"), quantizer, 0, [slice(0, 1)] * 2)
    with pytest.raises(FileFormatError, match="no such file"):
        read_coded_block(path.with_name("none.h5"), quantizer, 0, [slice(0, 1)] * 2)


@pytest.mark.parametrize(
    "options",
    [
        {"vocabulary": 100, "scales": [[2, 2]], "patch": [4, 4]},
        {"vocabulary": 100, "scales": "two", "patch": [4, 4]},
        {"vocabulary": 100.5, "scales": [[4, 2], [16, 8]], "patch": [4, 4]},
        {"vocabulary": 100, "scales": [[2, 2], [8, None]], "patch": [4, 4]},
        {"vocabulary": 100, "scales": []},
    ],
)
def test_damaged_options_are_refused(stored, options):
    path, quantizer, _ = stored
    with h5py.File(path, "r+") as file:
        del file["coded_fields"].attrs["options"]
        file["coded_fields"].attrs["options"] = np.bytes_(json.dumps(options))
    for call in (lambda: load(path), lambda: read_coded_block(path, quantizer, 0, [slice(0, 1)] * 2)):
        with pytest.raises(FileFormatError):
            call()


def test_a_flipped_bit_is_seen_by_load(stored):
    path = stored[0]
    with h5py.File(path, "r+") as file:
        file["coded_fields/codes_1"][0, 0, 0] ^= 1
    with pytest.raises(FileFormatError, match="checksum"):
        load(path)
