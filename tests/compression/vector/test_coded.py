"""Fields at a fixed rate: errors as stated, blocks as the whole, and codes of their own codebook alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sci.compression import CodedFields, MultiScaleVQ, encode_fields, unit_rms
from sci.errors import DTypeError, InvalidValueError, ShapeError


def rng():
    return np.random.default_rng(8)


def quantizers():
    r = rng()
    smoothing = (0.1 * r.normal(size=(2, 6, 6, 3, 3)), 0.1 * r.normal(size=(2, 6)))
    return {
        "stages": MultiScaleVQ(r.normal(size=(3, 20, 4)).astype("f4"), [(6, 10)] * 3, (2, 2)),
        "scales": MultiScaleVQ(r.normal(size=(9, 6)), [(1, 1), (2, 3), (5, 7), (6, 10)], (3, 1)),
        "smoothing": MultiScaleVQ(r.normal(size=(9, 6)), [(1, 1), (3, 3), (6, 10)], (3, 1), smoothing),
        "line": MultiScaleVQ(r.normal(size=(33, 3)), [(4,), (9,)], (3,)),
        "volume": MultiScaleVQ(r.normal(size=(2, 2)), [(2, 1, 2), (3, 2, 4)], (1, 2, 1)),
    }


QUANTIZERS = quantizers()


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_block_is_that_of_the_whole_and_errors_are_what_they_say(name):
    quantizer, r = QUANTIZERS[name], rng()
    fields = 1e3 * r.normal(size=(4, quantizer.channels, *quantizer.grid))
    fields[2] = 0
    coded = encode_fields(quantizer, fields)
    whole = coded.decode(quantizer)
    assert whole.dtype == quantizer.codebook.dtype
    gap = (whole - fields).reshape(4, -1)
    norms = np.linalg.norm(fields.reshape(4, -1), axis=1)
    np.testing.assert_allclose(coded.maximum_errors, abs(gap).max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(coded.relative_errors, np.linalg.norm(gap, axis=1) / np.where(norms > 0, norms, 1))
    assert coded.relative_errors[2] == 0
    for _ in range(12):
        ends = [sorted(r.choice(n + 1, 2, replace=False)) for n in quantizer.grid]
        box = [slice(int(a), int(b)) for a, b in ends]
        field = int(r.integers(4))
        block = coded.block(quantizer, field, box)
        expected = whole[(field, slice(None), *box)]
        if quantizer.smoothing is None:
            np.testing.assert_array_equal(block, expected)
        else:
            np.testing.assert_allclose(block, expected, atol=1e-12 * abs(whole).max())
    np.testing.assert_array_equal(coded.block(quantizer, 0, [slice(None)] * len(quantizer.grid)).shape, whole.shape[1:])


def test_the_rate_is_fixed_and_the_codes_do_not_depend_on_the_units():
    quantizer = MultiScaleVQ(rng().normal(size=(2, 256, 16)), [(4, 4)] * 2, (4, 4))
    fields = rng().normal(size=(3, 1, 32, 64)).astype("f4")
    coded, other = encode_fields(quantizer, fields), encode_fields(quantizer, fields * np.float32(2.0**-9))
    assert fields.nbytes / sum(p.nbytes for p in coded.packed) == 32
    assert all(np.array_equal(a, b) for a, b in zip(coded.packed, other.packed))
    np.testing.assert_array_equal(coded.relative_errors, other.relative_errors)
    assert coded.grid == (32, 64)


def test_many_fields_are_encoded_in_parts(monkeypatch):
    quantizer, fields = QUANTIZERS["line"], rng().normal(size=(5, 1, 27))
    whole = encode_fields(quantizer, fields)
    monkeypatch.setattr("sci.compression.vector.coded._BATCH", 60)
    parts = encode_fields(quantizer, fields)
    assert all(np.array_equal(a, b) for a, b in zip(whole.packed, parts.packed))
    np.testing.assert_array_equal(parts.decode(quantizer), whole.decode(quantizer))


def test_unit_rms_takes_numbers_whose_squares_overflow():
    x = np.array([[[1e200, -1e200], [0.0, 0.0]], [[1e-200, 1e-200], [2.0, 0.0]]])
    scaled, rms = unit_rms(x)
    np.testing.assert_allclose(rms, [[1e200, 0], [1e-200, 2**0.5]])
    np.testing.assert_allclose((scaled**2).mean(axis=2), [[1, 0], [1, 1]])
    with pytest.raises(ShapeError, match=r"expected \(n, channels, \*grid\)"):
        unit_rms(np.ones((2, 2)))


def test_codes_refuse_another_codebook():
    quantizer = QUANTIZERS["stages"]
    coded = encode_fields(quantizer, rng().normal(size=(1, 1, 12, 20)))
    changed = quantizer.codebook.copy()
    changed[0, 0, 0] += 1
    other = MultiScaleVQ(changed, quantizer.scales, quantizer.patch)
    for call in (lambda: coded.decode(other), lambda: coded.block(other, 0, [slice(0, 1)] * 2)):
        with pytest.raises(InvalidValueError, match="fingerprint"):
            call()
    scaled = MultiScaleVQ(QUANTIZERS["scales"].codebook, [(1, 1), (3, 3), (6, 10)], (3, 1))
    made = encode_fields(QUANTIZERS["scales"], rng().normal(size=(1, 2, 18, 10)))
    with pytest.raises(InvalidValueError, match="the quantizer that they were made with"):
        made.decode(scaled)


def test_codes_beyond_the_codebook_are_refused():
    quantizer = QUANTIZERS["line"]  # 33 codes of 6 bits
    coded = encode_fields(quantizer, rng().normal(size=(1, 1, 27)))
    damaged = dataclasses.replace(coded, packed=[np.full_like(p, 255) for p in coded.packed])
    with pytest.raises(InvalidValueError, match=r"63; expected 0 to 32"):
        damaged.decode(quantizer)
    with pytest.raises(InvalidValueError, match="a code 63 of scale 0; expected at most 32"):
        damaged.block(quantizer, 0, [slice(0, 3)])


def test_fields_beyond_the_dtype_of_the_codebook_are_refused():
    quantizer = QUANTIZERS["stages"]
    with pytest.raises(InvalidValueError, match="beyond the float32 of the codebook"):
        encode_fields(quantizer, 1e200 * rng().normal(size=(2, quantizer.channels, *quantizer.grid)))


def test_misfits_are_refused_by_name():
    quantizer = QUANTIZERS["stages"]
    fields = rng().normal(size=(1, 1, 12, 20))
    coded = encode_fields(quantizer, fields)
    with pytest.raises(ShapeError, match="smaller than the patch"):
        encode_fields(quantizer, fields[..., :1])
    with pytest.raises(ShapeError, match="no multiple of the patch"):
        encode_fields(quantizer, fields[..., :9])
    with pytest.raises(ShapeError, match=r"expected \(n, 1, \*grid\)"):
        encode_fields(quantizer, fields[:, 0])
    fields[0, 0, 0, 0] = np.nan
    with pytest.raises(InvalidValueError, match="NaN"):
        encode_fields(quantizer, fields)
    with pytest.raises(InvalidValueError, match="field 1 of 1"):
        coded.block(quantizer, 1, [slice(0, 1)] * 2)
    with pytest.raises(InvalidValueError, match="inside the grid"):
        coded.block(quantizer, 0, [slice(0, 13), slice(0, 1)])
    with pytest.raises(InvalidValueError, match="inside the grid"):
        coded.block(quantizer, 0, [slice(3, 3), slice(0, 1)])
    with pytest.raises(ShapeError, match="without a step"):
        coded.block(quantizer, 0, [slice(0, 4, 2), slice(0, 1)])
    with pytest.raises(DTypeError, match="slices of integers"):
        coded.block(quantizer, 0, [slice(0.0, 4.0), slice(0, 1)])
    with pytest.raises(InvalidValueError, match="two codes or more"):
        encode_fields(MultiScaleVQ(np.ones((1, 1)), [(2,)]), np.ones((1, 1, 2)))
    with pytest.raises(ShapeError, match="packed codes of scale 1"):
        dataclasses.replace(coded, packed=[coded.packed[0], coded.packed[1][..., 1:], coded.packed[2]])
    with pytest.raises(InvalidValueError, match="its fingerprint"):
        dataclasses.replace(coded, codebook="abc")
    assert isinstance(coded, CodedFields)
    assert "CodedFields(1 field of 1 x 12 x 20" in repr(coded)
