"""Kalman filter and smoother of several processes that are observed together, in information form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.backend import as_finite
from sci.errors import InvalidValueError, ShapeError
from sci.linalg.state_space.matern import MaternChain

__all__ = ["Smoothed", "checked_messages", "log_evidence", "smooth"]


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Posterior of B groups of R processes at n points, given Gaussian messages.

    Parameters
    ----------
    mean : (n, B, R) float64 array
    covariance : (n, B, R, R) float64 array
        Of the R values at one point.
    log_evidence : (B,) float64 array
        log of the integral of prior times messages.
    variance_score : (B, R) float64 array
        Derivative of log_evidence by the logarithm of the prior variance of each process.
    length_score : (B, R) float64 array or None
        Derivative by the logarithm of each length scale.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import matern_chain, smooth
    >>> chain = matern_chain(np.array([0.0, 1.0]), np.ones((1, 1)), 0.5)
    >>> found = smooth(chain, np.ones((1, 1)), np.full((2, 1, 1, 1), 3.0), np.full((2, 1, 1), 3.0))
    >>> found
    Smoothed(2 points, 1 x 1 processes)
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: np.ndarray
    variance_score: np.ndarray
    length_score: np.ndarray | None = None

    def __repr__(self) -> str:
        n, groups, processes = self.mean.shape
        return f"Smoothed({n} points, {groups} x {processes} processes)"


class _Filter:
    """What the forward pass leaves: predicted values h, their covariance S, gains, and filtered states if asked for.

    The state of a group is stored with the R values first, then the R first derivatives, and so on: H picks the first
    R rows, a contiguous block.
    """

    def __init__(
        self, chain: MaternChain, variance: np.ndarray, precision: np.ndarray, information: np.ndarray, states: bool
    ) -> None:
        n, groups, r, d, _ = chain.transition.shape
        self.chain, self.variance, self.precision, self.information = chain, variance, precision, information
        self.noise = np.ascontiguousarray(np.moveaxis(chain.noise * variance[..., None, None], 2, -1))
        self.h: np.ndarray = np.zeros((n, groups, r, 1))
        self.s: np.ndarray = np.empty((n, groups, r, r))
        self.w, self.v = np.empty_like(self.s), np.empty_like(self.h)
        self.k: np.ndarray = np.empty((0 if chain.is_independent else n, groups, r * d, r))
        self.states: list[tuple[np.ndarray, np.ndarray]] = []
        if chain.is_independent:
            self.s[:] = self.noise[..., 0, 0, :, None] * np.eye(r)
            self.w[:], self.v[:] = _gain(self.s, self.h, precision, information[..., None])
        else:
            self._run(states)

    def _run(self, keep: bool) -> None:
        n, groups, r, d, _ = self.chain.transition.shape
        p: np.ndarray = np.zeros((groups, r * d, r * d))
        m: np.ndarray = np.zeros((groups, r * d, 1))
        for t in range(n):
            if t:
                if keep:
                    self.states.append((m, p))
                a = self.chain.transition[t]
                m, p = _rows(a, m), _congruent(a, p)
            _blocks(p, r)[...] += self.noise[t]
            gain, h, s = p[:, :, :r], m[:, :r], p[:, :r, :r]
            w, v = _gain(s, h, self.precision[t], self.information[t, ..., None])
            self.h[t], self.s[t], self.k[t], self.w[t], self.v[t] = h, s, gain, w, v
            m = m + gain @ v
            p = p - (gain @ w) @ np.swapaxes(self.k[t], 1, 2)

    def log_evidence(self) -> np.ndarray:
        """Return the logarithm of the integral of prior times messages, (B,)."""
        r = self.s.shape[-1]
        determinant = np.linalg.slogdet(np.eye(r) + self.precision @ self.s)[1]
        eta = self.information[..., None]
        rest = eta - self.precision @ self.h
        quadratic = (self.v * (self.s @ rest) + self.h * (eta + rest)).sum(axis=(-2, -1))
        return np.asarray((0.5 * (quadratic - determinant)).sum(axis=0))


def _rows(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Apply (B, R, D, D) transitions to the rows of (B, D R, m) states, derivatives outermost."""
    groups, r, d, _ = a.shape
    parts = x.reshape(groups, d, r, -1)
    return np.asarray(np.swapaxes(a @ np.swapaxes(parts, 1, 2), 1, 2).reshape(x.shape))


def _congruent(a: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return A P A^T, symmetric to the last bit: the updates would make a skew part grow."""
    full = _rows(a, np.swapaxes(_rows(a, p), 1, 2))
    full += np.swapaxes(full, 1, 2).copy()
    full *= 0.5
    return full


def _blocks(p: np.ndarray, r: int) -> np.ndarray:
    """Return a view (B, D, D, R) of the covariances of each process with itself."""
    groups, m, _ = p.shape
    view: np.ndarray = np.einsum("bdrer->bder", p.reshape(groups, m // r, r, m // r, r))
    return view


def _gain(
    s: np.ndarray, h: np.ndarray, precision: np.ndarray, information: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return W = (I + Lambda S)^-1 Lambda and v = (I + Lambda S)^-1 (eta - Lambda h)."""
    r = s.shape[-1]
    right = np.concatenate([precision, information - precision @ h], axis=-1)
    solved = np.linalg.solve(np.eye(r) + precision @ s, right)
    w = solved[..., :r]
    return 0.5 * (w + np.swapaxes(w, -1, -2)), solved[..., r:]


def checked_messages(
    chain: MaternChain, variance: np.ndarray, precision: np.ndarray, information: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return variance, precision and information, held against the shapes of the chain."""
    n, groups, r = chain.step.shape
    if not n * groups * r:
        raise ShapeError(f"{chain}; expected at least one point, group and process")
    variance = as_finite(variance, "variance", shape=(groups, r))
    if variance.min() < 0:
        raise InvalidValueError(f"variance goes down to {variance.min():g}; expected at least 0")
    precision = as_finite(precision, "precision", shape=(n, groups, r, r))
    return variance, precision, as_finite(information, "information", shape=(n, groups, r))


@entry
def log_evidence(
    chain: MaternChain, variance: np.ndarray, precision: np.ndarray, information: np.ndarray
) -> np.ndarray:
    """Return the log evidence of messages alone, by the forward pass of `smooth`.

    Parameters
    ----------
    chain, variance, precision, information
        As for `smooth`.

    Returns
    -------
    (B,) float64 array
    """
    return _Filter(chain, *checked_messages(chain, variance, precision, information), False).log_evidence()


@entry
def smooth(
    chain: MaternChain,
    variance: np.ndarray,
    precision: np.ndarray,
    information: np.ndarray,
    *,
    length_score: bool = False,
) -> Smoothed:
    """Return the posterior of processes given messages exp(eta_t^T f_t - f_t^T Lambda_t f_t / 2) at each point.

    Parameters
    ----------
    chain : MaternChain
        Of n points and B independent groups of R processes with unit variance.
    variance : (B, R) float64
        Prior variance of each process, at least 0.
    precision : (n, B, R, R) float64
        Lambda, symmetric positive semidefinite; 0 at points without data, where the result is the prediction.
    information : (n, B, R) float64
        eta.
    length_score : bool
        Return the derivative by the length scales, too: a fifth more time, and n B (R D)^2 numbers of memory.

    Returns
    -------
    Smoothed

    Raises
    ------
    ShapeError, InvalidValueError, DTypeError

    Notes
    -----
    A Kalman filter with full R x R precisions, never inverted, and the Bryson-Fraser smoother, whose adjoint
    variables also are the derivatives of the evidence. The posterior is that of the dense Gaussian process up to
    rounding. About 3 (R D)^2 R flops a point, forth and back each; the groups share the calls. R D is the length of
    a state. `smooth_by_scan` takes O(log n) steps instead of n.

    References
    ----------
    Bierman, Int. J. Control 18, 581 (1973); Sarkka, Bayesian Filtering and Smoothing (2013), chapter 12.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import matern_chain, smooth
    >>> chain = matern_chain(np.array([0.0, 1.0, 2.0]), np.ones((1, 1)), 1.5)
    >>> precision, information = np.zeros((3, 1, 1, 1)), np.zeros((3, 1, 1))
    >>> precision[[0, 2]], information[[0, 2]] = 1e3, 1e3  # value 1 at both ends
    >>> smooth(chain, np.ones((1, 1)), precision, information).mean.ravel().round(3)
    array([0.999, 0.847, 0.999])
    """
    checked = checked_messages(chain, variance, precision, information)
    forward = _Filter(chain, *checked, length_score)
    eye = np.eye(forward.s.shape[-1])
    keep = eye - forward.s @ forward.w
    mean, covariance = forward.h + forward.s @ forward.v, keep @ forward.s
    if chain.is_independent:
        score = _score(forward.noise, forward.v[..., None, :, 0], _diagonal(forward.w)[..., None, None, :])
        lengths = np.zeros_like(score) if length_score else None
    else:
        adjoint = _Adjoint(forward, length_score)
        mean = mean + keep @ adjoint.kr
        covariance = covariance - keep @ adjoint.knk @ np.swapaxes(keep, -1, -2)
        score, lengths = adjoint.variance_score(), adjoint.length_score() if length_score else None
    covariance = 0.5 * (covariance + np.swapaxes(covariance, -1, -2))
    return Smoothed(mean[..., 0], covariance, forward.log_evidence(), score, lengths)


def _diagonal(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("...ii->...i", x))


def _score(noise: np.ndarray, r: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return 1/2 sum_t [r^T Q r - tr(N Q)] for each process: Q and N (n, B, D, D, R), r (n, B, D, R)."""
    return np.asarray(0.5 * (noise * (r[..., :, None, :] * r[..., None, :, :] - n)).sum(axis=(0, 2, 3)))


class _Adjoint:
    """The backward pass: r and N are the derivatives of the evidence of later messages by predicted mean, covariance.

    d log Z / d m = r and d log Z / d P = (r r^T - N) / 2.
    """

    def __init__(self, forward: _Filter, lengths: bool) -> None:
        n, groups, r, d, _ = forward.chain.transition.shape
        self.forward = forward
        self.knk: np.ndarray = np.zeros((n, groups, r, r))
        self.kr: np.ndarray = np.zeros((n, groups, r, 1))
        self.r: np.ndarray = np.zeros((n, groups, d * r, 1))
        self.n: np.ndarray = np.zeros((n, groups, d, d, r))
        self.lengths: np.ndarray = np.zeros((groups, r))
        big: np.ndarray = np.zeros((groups, d * r, d * r))
        small: np.ndarray = np.zeros((groups, d * r, 1))
        for t in range(n - 1, -1, -1):
            k, w = forward.k[t], forward.w[t]
            nk, kt = big @ k, np.swapaxes(k, 1, 2)
            knk, kr = kt @ nk, kt @ small
            small[:, :r] += forward.v[t] - w @ kr
            nkw = nk @ w
            big[:, :, :r] -= nkw
            big[:, :r, :] -= np.swapaxes(nkw, 1, 2)
            big[:, :r, :r] += w + w @ knk @ w
            self.knk[t], self.kr[t], self.r[t], self.n[t] = knk, kr, small, _blocks(big, r)
            if t:
                a = np.swapaxes(forward.chain.transition[t], -1, -2)
                small, big = _rows(a, small), _congruent(a, big)
                if lengths:
                    self._add_lengths(t, small, big)

    def _add_lengths(self, t: int, small: np.ndarray, big: np.ndarray) -> None:
        """Add what the transition to point t gives to the derivative by the length scales."""
        m, p = self.forward.states[t - 1]
        chain = self.forward.chain
        groups, r, d = *chain.step.shape[1:], chain.transition.shape[-1]
        fm, fp = (np.einsum("de,bek->bdk", chain.drift, x.reshape(groups, d, -1)).reshape(x.shape) for x in (m, p))
        # r^T F m + tr((r r^T - N) F P), both with r and N behind the transition.
        terms = small * (fm + fp @ small) - (big * fp).sum(axis=-1, keepdims=True)
        self.lengths -= chain.step[t] * terms.reshape(groups, d, r).sum(axis=1)

    def _weights(self) -> tuple[np.ndarray, np.ndarray]:
        n, groups, d, _, r = self.n.shape
        return self.r.reshape(n, groups, d, r), self.n

    def variance_score(self) -> np.ndarray:
        """Return the derivative by the logarithm of the variances, (B, R)."""
        return _score(self.forward.noise, *self._weights())

    def length_score(self) -> np.ndarray:
        """Return the derivative by the logarithm of the length scales, (B, R)."""
        growth = np.moveaxis(self.forward.chain.noise_growth * self.forward.variance[..., None, None], 2, -1)
        return np.asarray(self.lengths - _score(growth, *self._weights()))
