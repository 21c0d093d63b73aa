"""Needs of the energies and forces of the frames of a trajectory."""

from __future__ import annotations

import numpy as np

from sci.cli.estimates.needs import Needs
from sci.cli.estimates.potentials import WRITE_SPEED, Model, direct_pair_seconds, speeds
from sci.cli.estimates.trial import attempt
from sci.potentials import Particles
from sci.potentials.radial.kernels import RadialKernel
from sci.potentials.trajectory import DIRECT_PAIR, FRAME_PLACES, compute_frame, frame_domain, plan_frames

__all__ = ["frames_needs"]

TRIAL_CHARGES = 1000
"""Charges of a periodic frame that is computed; time and memory grow with their number."""


def frames_needs(
    first: Particles, count: int, tol: float, *, kernel: RadialKernel, accuracy: str, method: str
) -> Needs:
    """Return the needs of the rest of a trajectory, by the method that will be chosen.

    Parameters
    ----------
    first : Particles
        The first frame.
    count : int
        Frames that are to be computed by this process.
    tol, kernel, accuracy, method
        As in `plan_frames`.
    """
    written = 8 * count * (3 * first.n + 3) / WRITE_SPEED
    if first.cell is not None:
        return _periodic(first, count, tol, written)
    model = Model.of(
        first, tol, kernel=kernel, accuracy=accuracy, expected_targets=first.n, domain=frame_domain(first.positions)
    )
    modeled = model.build() + model.expansion() + model.use(first.n)
    if method == "direct" or (method == "auto" and DIRECT_PAIR * first.n**2 < modeled):
        each = first.n**2 * direct_pair_seconds(gradient=True)
        return Needs(160.0 * first.n, {"frames": count * each, "write": written})
    speed = speeds()
    build = speed.work * model.build()
    errors = 2 * FRAME_PLACES * first.n * direct_pair_seconds(gradient=True)
    each = build + speed.work * (model.expansion() + 2 * model.use(first.n)) + errors
    # The first frame is built once more, to find the tolerance of its parts, and its error is measured.
    seconds = {"plan": speed.choice + build, "frames": count * each, "write": written}
    return Needs(model.peak() + model.format_bytes, seconds)


def _periodic(first: Particles, count: int, tol: float, written: float) -> Needs:
    """Compute a frame of the same density with few charges."""
    n = min(first.n, TRIAL_CHARGES)
    assert first.cell is not None
    side = (abs(float(np.linalg.det(np.asarray(first.cell)))) * n / first.n) ** (1 / 3)
    rng = np.random.default_rng(0)
    some = Particles(side * rng.random((n, 3)), rng.normal(size=n), cell=side * np.eye(3))
    plan = plan_frames(some, tol)
    compute_frame(some, plan)
    trial = attempt(lambda: compute_frame(some, plan), memory=True)
    ratio = first.n / n
    return Needs(trial.peak * ratio, {"frames": count * trial.seconds * ratio, "write": written})
