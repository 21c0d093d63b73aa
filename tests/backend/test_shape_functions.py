"""Functions on arrays without numbers give the shapes and dtypes of NumPy's, and count their multiply-adds."""

from __future__ import annotations

import numpy as np
import pytest

from sci.backend import ShapeArray, namespace, shape_array, tallying

CASES = {
    "add": lambda xp, x, z: x + z,
    "scalar": lambda xp, x, z: 2 * x - 1j,
    "float32 stays": lambda xp, x, z: 2.0 * x.astype(np.float32),
    "compare": lambda xp, x, z: x > 0,
    "two results": lambda xp, x, z: xp.frexp(x)[1],
    "exp": lambda xp, x, z: xp.exp(z.imag),
    "sum": lambda xp, x, z: x.sum(axis=(0, -1), keepdims=True),
    "whole sum": lambda xp, x, z: xp.sum(z),
    "mean": lambda xp, x, z: x.mean(axis=1, dtype=np.float64),
    "argmax": lambda xp, x, z: x.argmax(axis=1),
    "maximum.reduce": lambda xp, x, z: xp.maximum.reduce(x, axis=0),
    "matmul": lambda xp, x, z: xp.matmul(x, x.swapaxes(1, 2)),
    "vector product": lambda xp, x, z: x @ x[0, 0],
    "einsum": lambda xp, x, z: xp.einsum("bij,bkj,bij->ik", x, z, x),
    "tensordot": lambda xp, x, z: xp.tensordot(x, z, axes=([1, 2], [1, 2])),
    "vdot": lambda xp, x, z: xp.vdot(x, z),
    "concatenate": lambda xp, x, z: xp.concatenate([x, z], axis=-1),
    "stack": lambda xp, x, z: xp.stack([x, x], axis=1),
    "moveaxis": lambda xp, x, z: xp.moveaxis(x, 0, -1),
    "broadcast": lambda xp, x, z: xp.broadcast_to(x[0], (5, 3, 4)),
    "pad": lambda xp, x, z: xp.pad(x, ((0, 0), (1, 2), (3, 0))),
    "repeat": lambda xp, x, z: xp.repeat(x, 3, axis=1),
    "tile": lambda xp, x, z: xp.tile(x[0, 0], (2, 3)),
    "take": lambda xp, x, z: xp.take(x, xp.arange(2), axis=2),
    "where": lambda xp, x, z: xp.where(x > 0, x, z),
    "clip": lambda xp, x, z: xp.clip(x, 0, 1),
    "roll": lambda xp, x, z: xp.roll(x, 1, axis=0),
    "full": lambda xp, x, z: xp.full((2, 2), 1j),
    "zeros like": lambda xp, x, z: xp.zeros_like(z),
    "contiguous": lambda xp, x, z: xp.ascontiguousarray(x.T),
    "rfft": lambda xp, x, z: xp.fft.rfft(x, axis=1),
    "irfft": lambda xp, x, z: xp.fft.irfft(z, n=9, axis=2),
    "fft": lambda xp, x, z: xp.fft.fft(x, axis=0),
    "norm": lambda xp, x, z: xp.linalg.norm(z, axis=1),
    "inverse": lambda xp, x, z: xp.linalg.inv(x[:, :, :3]),
    "eigh": lambda xp, x, z: xp.linalg.eigh(x[:, :, :3])[1],
    "solve": lambda xp, x, z: xp.linalg.solve(x[:, :, :3], x[:, :, 3:]),
    "conjugate": lambda xp, x, z: z.conj(),
    "diagonal": lambda xp, x, z: xp.diagonal(x, axis1=1, axis2=2),
    "mixed with numbers": lambda xp, x, z: xp.arange(4.0) * x,
    "outer": lambda xp, x, z: xp.multiply.outer(x[0, 0], x[0, 0]),
}


@pytest.mark.parametrize("name", CASES)
def test_shape_and_dtype_are_those_of_numpy(name: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 4))
    z = x + 1j * rng.normal(size=x.shape)
    expected = CASES[name](np, x, z)
    given = shape_array(x.shape), shape_array(z.shape, complex)
    found = CASES[name](namespace(*given), *given)
    assert isinstance(found, ShapeArray)
    assert (found.shape, found.dtype) == (np.shape(expected), expected.dtype)


@pytest.mark.parametrize(
    ("work", "multiply_adds"),
    [
        (lambda x, z: x @ x.T, 3 * 3 * 4),
        (lambda x, z: z @ x.T, 2 * 3 * 3 * 4),
        (lambda x, z: z @ z.T, 4 * 3 * 3 * 4),
        (lambda x, z: np.einsum("ij,kj->ik", x, x), 3 * 3 * 4),
        # Pairs first: the vector onto the first matrix, then that onto the second.
        (lambda x, z: np.einsum("j,ij,ik->k", x[0], x, x), 12 + 12),
        (lambda x, z: x + x, 0),
        (lambda x, z: np.fft.fft(z, axis=1), 3 * 2.5 * 4 * 2),
        (lambda x, z: np.linalg.inv(x[:, :3]), 27),
    ],
)
def test_multiply_adds_are_counted(work, multiply_adds: float) -> None:
    given = shape_array((3, 4)), shape_array((3, 4), complex)
    with tallying() as tally:
        work(*given)
    assert tally.multiply_adds == multiply_adds
    assert tally.entrywise == (12 if work(*given).shape == (3, 4) and not multiply_adds else 0)


def test_factors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="matmul"):
        shape_array((3, 4)) @ shape_array((3, 4))
    with pytest.raises(ValueError, match="einsum"):
        np.einsum("ij,jk->ik", shape_array((3, 4)), shape_array((3, 4)))
    with pytest.raises(ValueError, match="concatenate"):
        np.concatenate([shape_array((3, 4)), shape_array((4, 3))])
    with pytest.raises(ValueError):
        shape_array(3) + shape_array(4)
