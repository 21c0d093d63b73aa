"""Codebooks: what they reach, dead codes, coarse scales, resumed trainings, and ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.compression import MultiScaleVQ, train_vector_quantizer, unit_rms
from sci.ensembles import k_means
from sci.errors import InvalidValueError, ShapeError
from sci.io import load, save


def fields(n, grid=(8, 8), seed=0, coarse=3.0):
    """Smooth fields of a few modes on top of a mean, and noise."""
    r = np.random.default_rng(seed)
    x, y = (2 * np.pi * (np.arange(g) + 0.5) / g for g in grid)
    waves = [
        f(a * x)[:, None] * g(b * y) for a, b in ((1, 0), (0, 1), (1, 1)) for f in (np.sin, np.cos) for g in (np.cos,)
    ]
    parts = r.normal(size=(n, len(waves))) @ np.reshape(waves, (len(waves), -1))
    return (coarse * r.normal(size=(n, 1)) + parts + 0.1 * r.normal(size=parts.shape)).reshape(n, 1, *grid)


SCALES = [(1, 1), (2, 2), (4, 4)]


@pytest.mark.parametrize("one_each", [False, True])
def test_training_lowers_the_error_on_fields_that_it_has_not_seen(one_each):
    quantizer, history = train_vector_quantizer(fields(120), SCALES, 32, patch=(2, 2), one_each=one_each, rounds=8)
    new = fields(60, seed=1)
    found = quantizer.relative_errors(new, quantizer.encode(new))
    assert (np.diff(history.losses) < 0).all()
    assert found[-1] < 0.3
    assert (np.diff(found) < 0).all()
    assert quantizer.codebook.shape == ((3, 32, 4) if one_each else (32, 4))
    # the losses are those of the codebook before the last update
    assert (
        abs(history.losses[-1] ** 0.5 - quantizer.relative_errors(fields(120), quantizer.encode(fields(120)))[-1])
        < 0.02
    )


def test_the_codes_of_one_scale_are_those_of_k_means():
    latents = np.random.default_rng(2).normal(size=(50, 3, 1))
    quantizer, history = train_vector_quantizer(latents, [(1,)], 5, rounds=100)
    found = k_means(latents[..., 0], 5)
    np.testing.assert_allclose(quantizer.codebook, found.centers, atol=1e-12)
    np.testing.assert_allclose(history.losses[-1] * (latents**2).sum(), found.inertia, rtol=1e-12)


def perplexity(codes, vocabulary):
    part = np.bincount(codes.ravel(), minlength=vocabulary) / codes.size
    part = part[part > 0]
    return np.exp(-(part * np.log(part)).sum())


def test_coarse_scales_do_not_collapse():
    """A codebook of the finest patches alone gives the coarse scale fewer codes; the training keeps them apart."""
    # every field has one of twelve means, which one code of the coarsest scale can hold; details are small
    r = np.random.default_rng(4)
    given = (r.integers(0, 12, size=(200, 1, 1, 1)) - 5.5) + 0.2 * r.normal(size=(200, 1, 8, 8)).cumsum(axis=-1)
    quantizer, history = train_vector_quantizer(given, SCALES, 48, patch=(2, 2), rounds=6)
    codes = quantizer.encode(given)
    assert perplexity(codes[0], 48) > 8
    assert quantizer.relative_errors(given, codes)[0] < 0.3
    assert history.metrics["used_0"][-1] >= 10
    np.testing.assert_allclose(history.metrics["perplexity_0"][-1], perplexity(codes[0], 48), rtol=1e-12)
    # the failure that is avoided: all codes where most vectors are
    vectors = np.moveaxis(quantizer.latent(given - given.mean(axis=(2, 3), keepdims=True)), 1, -1).reshape(-1, 4)
    collapsed = MultiScaleVQ(k_means(vectors, 48).centers, SCALES, (2, 2))
    assert 2 * perplexity(collapsed.encode(given)[0], 48) < perplexity(codes[0], 48)


def test_dead_codes_come_alive():
    given = fields(80)
    _, history = train_vector_quantizer(given, SCALES, 32, patch=(2, 2), rounds=4)
    dead = history.parameters["codebook"].copy()
    dead[5:20] = 1e3  # far from every vector
    before = MultiScaleVQ(dead, SCALES, (2, 2))
    used = np.unique(np.concatenate([c.ravel() for c in before.encode(given)]))
    assert len(used) <= 17
    on, _ = train_vector_quantizer(
        given, SCALES, 32, patch=(2, 2), rounds=8, resume=replace(history, parameters={"codebook": dead})
    )
    used = np.unique(np.concatenate([c.ravel() for c in on.encode(given)]))
    assert len(used) == 32
    assert np.abs(on.codebook).max() < 100


def test_the_zero_code_stays_zero():
    quantizer, _ = train_vector_quantizer(fields(60), SCALES, 16, patch=(2, 2), rounds=3, zero_code=True)
    assert not quantizer.codebook[0].any()
    assert quantizer.codebook[1:].any(axis=1).all()
    own, _ = train_vector_quantizer(fields(60), SCALES, 16, patch=(2, 2), rounds=2, zero_code=True, one_each=True)
    assert not own.codebook[:, 0].any()
    few, _ = train_vector_quantizer(fields(60), SCALES, 2, patch=(2, 2), rounds=2, zero_code=True)
    assert few.codebook.shape == (2, 4)


def test_a_resumed_training_is_the_same_bit_for_bit(tmp_path):
    given, options = fields(40).astype("f4"), {"patch": (2, 2), "seed": 3}
    whole, history = train_vector_quantizer(given, SCALES, 12, rounds=5, **options)
    keep = lambda c: save(tmp_path / "run.h5", c, overwrite=True)  # noqa: E731
    train_vector_quantizer(given, SCALES, 12, rounds=2, save=keep, **options)
    resumed, after = train_vector_quantizer(given, SCALES, 12, rounds=5, resume=load(tmp_path / "run.h5"), **options)
    np.testing.assert_array_equal(resumed.codebook, whole.codebook)
    np.testing.assert_array_equal(after.losses, history.losses)
    assert after.metrics["used_0"].tolist() == history.metrics["used_0"].tolist()
    save(tmp_path / "trained.h5", resumed)
    assert load(tmp_path / "trained.h5").fingerprint == whole.fingerprint
    with pytest.raises(InvalidValueError, match=r"another training .*codes: 12 then, 13 now"):
        train_vector_quantizer(given, SCALES, 13, resume=after, **options)
    with pytest.raises(InvalidValueError, match=r"another training .*digest"):
        train_vector_quantizer(given + np.float32(1), SCALES, 12, resume=after, **options)


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("one_each", [False, True])
def test_any_number_of_ranks_makes_the_same_codebook(size, one_each):
    given = unit_rms(fields(13))[0]
    options = {"patch": (2, 2), "rounds": 3, "one_each": one_each}
    serial, history = train_vector_quantizer(given, SCALES, 10, **options)
    parts = np.split(given, [0, 5, 6][: size - 1])  # the first rank has no field

    def work(comm):
        return train_vector_quantizer(parts[comm.Get_rank()], SCALES, 10, comm=comm, **options)

    for quantizer, found in on_ranks(size, work):
        assert len(found.losses) == len(history.losses)
        np.testing.assert_array_equal(quantizer.codebook, serial.codebook)
        np.testing.assert_allclose(found.losses, history.losses, rtol=1e-12)
        assert {n: v.tolist() for n, v in found.metrics.items()} == {n: v.tolist() for n, v in history.metrics.items()}
        assert found.settings == history.settings


def test_scales_that_means_would_break_are_held_by_least_squares():
    """Means at all scales at once raise the loss of smooth fields, whose coarse scales are corrected by finer ones."""
    r = np.random.default_rng(5)
    x = 2 * np.pi * np.arange(16) / 16
    modes = np.stack([np.cos(k * x + p) / k**2 for k in range(1, 5) for p in (0, np.pi / 2)])
    given = np.einsum("nij,ix,jy->nxy", r.normal(size=(100, 8, 8)), modes, modes)[:, None]
    options = {"patch": (2, 2), "rounds": 12}
    quantizer, history = train_vector_quantizer(given, [(1, 1), (2, 2), (4, 4), (8, 8)], 48, **options)
    assert (np.diff(history.losses) < 0).all()
    single, _ = train_vector_quantizer(given, [(8, 8)], 48, **options)
    error = quantizer.relative_errors(given, quantizer.encode(given))[-1]
    assert error < 0.9 * single.relative_errors(given, single.encode(given))[-1]


def test_misfits_are_refused_by_name():
    given = fields(5)
    with pytest.raises(ShapeError, match="no multiple of the patch"):
        train_vector_quantizer(given, SCALES, 4, patch=(3, 2))
    with pytest.raises(ShapeError, match="smaller than the patch"):
        train_vector_quantizer(given, [(1, 1)], 4, patch=(16, 2))
    with pytest.raises(ShapeError, match="expected those of the last scale"):
        train_vector_quantizer(given, SCALES, 4)
    with pytest.raises(InvalidValueError, match="NaN"):
        train_vector_quantizer(np.where(given > 3, np.nan, given), SCALES, 4, patch=(2, 2))
    with pytest.raises(InvalidValueError, match="codes is 1"):
        train_vector_quantizer(given, SCALES, 1, patch=(2, 2))
    with pytest.raises(InvalidValueError, match="rounds is 0"):
        train_vector_quantizer(given, SCALES, 4, patch=(2, 2), rounds=0)
    with pytest.raises(ShapeError, match="no fields to train on"):
        train_vector_quantizer(given[:0], SCALES, 4, patch=(2, 2))
    with pytest.raises(InvalidValueError, match="scale 2 takes 98 of the 100 codes"):
        train_vector_quantizer(given[:1], SCALES, 100, patch=(2, 2))
