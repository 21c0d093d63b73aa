"""Segmenters: training to a Dice of 0.9 on level sets of potentials, labels of volumes, states, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci import nn
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.potentials import Particles, Yukawa, direct_sum

RNG = np.random.default_rng(8)


def level_sets(count: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy screened potentials of charges in n^3 cells of width 1/16, and two of their level sets as labels."""
    rng = np.random.default_rng(seed)
    axis = (np.arange(n) + 0.5) / 16
    cells = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    number = 3 * (n // 16) ** 3
    charges = np.where(np.arange(number) % 3 < 2, 1.0, -1.0)
    fields, labels = [], []
    for _ in range(count):
        particles = Particles(n / 16 * rng.random((number, 3)), charges)
        potential = direct_sum(particles, cells, kernel=Yukawa(2.0)).reshape(n, n, n)
        labels.append(1 + (potential > 1.5) - (potential < -0.5).astype(int))
        fields.append(np.clip(potential, -8, 8) + 0.2 * rng.normal(size=potential.shape))
    return np.array(fields, np.float32)[:, None], np.array(labels)


def test_level_sets_of_a_potential_reach_a_dice_of_nine_tenths():
    """Trained on 16^3 cells; on others of that size, on 32^3 as a whole, and in boxes."""
    x, labels = level_sets(16, 16, 0)
    tests = {"held_out": level_sets(4, 16, 1), "larger": level_sets(2, 32, 2)}
    network = nn.UNet(nn.UNetConfig(3, 1, 3, (4, 8, 8), norm="evonorm_s0", groups=2), seed=0)
    segmenter, history = nn.train_segmenter(
        network, x, labels, epochs=40, batch_size=2, optimizer=nn.AdamW(1e-2), tests=tests
    )
    assert history.losses[-8:].mean() < 0.2 * history.losses[:8].mean()
    for name, (fields, truth) in tests.items():
        scores = nn.dice_scores(segmenter(fields), truth, 3)
        assert scores.min() >= 0.9, (name, scores)
        assert history.metrics[f"dice_{name}"][-1] == pytest.approx(scores.mean(), rel=1e-6)
    fields, truth = tests["larger"]
    _, found = segmenter.segment(fields[0], box=16)
    assert nn.dice_scores(found, truth[0], 3).min() >= 0.9


@pytest.mark.parametrize("ranks", [2, 4])
def test_labels_do_not_depend_on_ranks(ranks):
    scale = nn.Standardizer.fit(3 + RNG.normal(size=(5, 2, 4, 4)).astype("f4"))
    segmenter = nn.Segmenter(nn.UNet(nn.UNetConfig(2, 2, 5, (4, 8)), seed=2), scale)
    volume = 3 + RNG.normal(size=(2, 50, 20)).astype("f4")
    planes, whole = segmenter.segment(volume, box=16)
    assert (planes, whole.shape, whole.dtype) == (slice(0, 50), (50, 20), np.uint8)
    found = on_ranks(ranks, lambda comm: segmenter.segment(volume, box=16, comm=comm))
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in found]), whole)


def test_ranks_train_the_network_of_one_process():
    x, labels = RNG.normal(size=(6, 1, 8, 8)).astype("f4"), RNG.integers(0, 2, size=(6, 8, 8))
    network = nn.UNet(nn.UNetConfig(2, 1, 2, (4, 4)), seed=0, dtype=np.float64)

    def body(comm):
        return nn.train_segmenter(network, x.astype(float), labels, epochs=2, batch_size=4, comm=comm)[1]

    alone = body(None)
    for history in on_ranks(2, body):
        np.testing.assert_allclose(history.losses, alone.losses, rtol=1e-9)
    for comm_norm in ("evonorm_b0",):
        b0 = nn.UNet(nn.UNetConfig(2, 1, 2, (4, 4), norm=comm_norm), seed=0)

        def refused(comm, b0=b0):
            with pytest.raises(InvalidValueError, match="another norm"):
                nn.train_segmenter(b0, x, labels, epochs=1, comm=comm)

        on_ranks(2, refused)


def test_states_come_back():
    scale = nn.Standardizer.fit(RNG.normal(size=(5, 2, 4, 4)).astype("f4"))
    network = nn.UNet(nn.UNetConfig(2, 2, 3, (4, 8), norm="evonorm_b0"))
    x = RNG.normal(size=(1, 2, 8, 8)).astype("f4")
    network.loss()(network.parameters, (x, RNG.integers(0, 3, size=(1, 8, 8))))
    for segmenter in (nn.Segmenter(network, scale), nn.Segmenter(network)):
        again = nn.Segmenter.from_state(segmenter.to_state())
        np.testing.assert_array_equal(again(x), segmenter(x))
        assert repr(again) == repr(segmenter)
    with pytest.raises(InvalidValueError, match="expected a Segmenter"):
        nn.Segmenter.from_state(network.to_state())


def test_many_classes_have_wide_labels():
    segmenter = nn.Segmenter(nn.UNet(nn.UNetConfig(1, 1, 300, (4, 4))))
    assert segmenter(np.ones((1, 1, 8), "f4")).dtype == np.uint16


def test_label_volumes_say_what_they_hold():
    volume = nn.LabelVolume(np.array([[0, 2], [2, 1]], np.uint8), 4, (0.5, 2.0))
    np.testing.assert_array_equal(volume.counts, [1, 1, 2, 0])
    assert repr(volume) == "LabelVolume(2 x 2 cells, 4 classes)"
    for labels, options, error, words in (
        (np.zeros((2, 2), np.int64), {}, DTypeError, "uint8 or uint16"),
        (np.zeros((0, 2), np.uint8), {}, ShapeError, "one to three axes"),
        (np.full((2, 2), 4, np.uint8), {}, InvalidValueError, "a label 4 among 4"),
        (np.zeros((2, 2), np.uint8), {"spacing": (1.0,)}, InvalidValueError, "for each axis"),
        (np.zeros((2, 2), np.uint8), {"spacing": (1.0, 0.0)}, InvalidValueError, "for each axis"),
    ):
        with pytest.raises(error, match=words):
            nn.LabelVolume(labels, 4, **options)


def test_what_does_not_fit_is_refused():
    network = nn.UNet(nn.UNetConfig(2, 1, 3, (4, 4)))
    x, labels = np.ones((2, 1, 8, 8), "f4"), np.zeros((2, 8, 8), int)
    for fields, truth, error, words in (
        (x.astype("f8"), labels, DTypeError, "expected float32"),
        (x, labels.astype(float), DTypeError, "expected integers"),
        (x, labels[:, :4], ShapeError, r"expected \(2, 8, 8\)"),
        (x, labels + 3, InvalidValueError, "expected 0 to 2"),
        (x * np.nan, labels, InvalidValueError, "NaN"),
        (x[:, :, :7], labels[:, :7], ShapeError, "multiples of 2"),
    ):
        with pytest.raises(error, match=words):
            nn.train_segmenter(network, fields, truth, epochs=1)
    with pytest.raises(InvalidValueError, match="classes"):
        nn.Segmenter(nn.UNet(nn.UNetConfig(2, 1, 1, (4, 4))))
    with pytest.raises(InvalidValueError, match="of channels"):
        nn.Segmenter(network, nn.Standardizer.fit(np.ones((2, 2, 4, 4), "f4")))
