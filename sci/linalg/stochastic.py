"""Stochastic Lanczos quadrature: random vectors, and the quadratures from them, for A and for M A, over ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, Device, namespace_of
from sci.distributed import Comm, agreed, rank_of
from sci.errors import DTypeError, InvalidValueError
from sci.linalg.lanczos import end_of_space, lanczos
from sci.linalg.quadrature import LanczosQuadrature, SpectralDensity, TraceEstimate

__all__ = ["lanczos_quadrature", "log_determinant", "random_signs", "spectral_density", "trace_of_function"]

_LARGEST_BASIS = 2**22
"""Numbers of all ranks in a basis that is kept for re-orthogonalization, 32 MiB."""


@collective_entry
def lanczos_quadrature(
    apply: Callable[[Array], Array],
    n: int,
    *,
    probes: int = 10,
    steps: int = 40,
    seed: int = 0,
    device: Device = "cpu",
    preconditioner: Callable[[Array], Array] | None = None,
    probe: Callable[[int], Array] | None = None,
    project: Callable[[Array], Array] | None = None,
    size: int | None = None,
    moments: Sequence[float] = (),
    comm: Comm = None,
) -> LanczosQuadrature:
    """Run Lanczos' iteration with a symmetric matrix A, or with M A, from random vectors.

    One set of runs serves the density, traces of functions, the log-determinant and the extremes.

    Parameters
    ----------
    apply : callable
        The product of A with a vector (n,).
    n : int
        Length of the rank's own part of a vector.
    probes : int
        Number of random vectors; the error falls as 1 / sqrt(probes n).
    steps : int
        Lanczos steps of each; they resolve features of about the width of the spectrum over the steps.
    seed : int
        Not negative.
    device : {"cpu", "cuda"}
        Where the vectors lie.
    preconditioner : callable, optional
        The product of a symmetric positive definite M with a vector (n,): the eigenvalues are those of M A, and `probe`
        has to be given.
    probe : callable, optional
        Returns the k-th random vector (n,). Its covariance is the unit matrix; with a preconditioner it is A, like
        that of R'w with A = R'R and random signs w. By default +-1 by the number of the unknown, rank after rank.
    project : callable, optional
        Removes from a vector (n,) its part in the null space of A, from probes too: the eigenvalues are those of the
        complement, and `size` has to be given.
    size : int, optional
        Number of eigenvalues; by default that of the unknowns of all ranks.
    moments : sequence of float, optional
        Exact traces of A, A^2, ...: what they explain of a function has no error. With two the error of the
        log-determinant of a Poisson operator is a sixth. Not with a preconditioner.
    comm : mpi4py communicator, optional
        Each rank holds a part of the vectors, and products are collective.

    Returns
    -------
    LanczosQuadrature

    Raises
    ------
    InvalidValueError
    ConvergenceError
        If M turns out not to be positive definite.

    Notes
    -----
    probes x steps products. Up to 4e6 numbers in `steps` vectors of all unknowns, the basis is kept and made orthogonal
    again: as many steps as there are eigenvalues then find all of them. Beyond, it is the three-term recurrence with
    three vectors, whose quadratures are as good, but which repeats eigenvalues that have converged. The probes do not
    depend on the number of ranks where each holds a range of the unknowns in their order. Collective over `comm`.

    With M the probe r is a vector of components sqrt(t) g, g of unit covariance along the eigenvectors of M A with
    eigenvalues t, in the inner product of M: its quadrature has the weights t, and is divided by them.

    References
    ----------
    Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 1075 (2017); Golub and Meurant, Matrices, Moments and
    Quadrature (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import lanczos_quadrature
    >>> diagonal = np.repeat([1.0, 2.0, 4.0], 100)
    >>> found = lanczos_quadrature(lambda v: diagonal * v, 300)
    >>> round(found.extremes().condition, 9), round(found.log_determinant().value / float(np.log(2)), 6)
    (4.0, 300.0)
    """
    with agreed(comm, "stochastic Lanczos quadrature") as agreement:
        agreement.same(probes=probes, steps=steps, seed=seed, size=size, moments=tuple(map(float, moments)))
        agreement.same(preconditioner=preconditioner is not None, probe=probe is not None)
        agreement.same(project=project is not None)
        agreement.gather(n)
        xp = namespace_of(device)
        if seed < 0:
            raise InvalidValueError(f"seed is {seed}; expected a number that is not negative")
        if preconditioner is not None and (probe is None or len(moments)):
            raise InvalidValueError(
                "a preconditioner needs probes of covariance A, and no moments of A: give probe=, and leave moments out"
            )
        if project is not None and size is None:
            raise InvalidValueError("with project= the eigenvalues are fewer than the unknowns: give size=")
    counts = agreement.table[:, 0]
    total, first = int(counts.sum()), int(counts[: rank_of(comm)].sum())
    chosen = total if size is None else size
    if probes < 1 or steps < 1 or total < 1 or not 1 <= chosen <= total:
        raise InvalidValueError(
            f"{probes} probes, {steps} steps, {chosen} eigenvalues of {total} unknowns; expected positive numbers"
        )
    most, found = min(steps, chosen), []
    orthogonal = most * total <= _LARGEST_BASIS
    for k in range(probes):
        with agreed(comm, "the probe"):
            start = xp.asarray(random_signs(np.arange(first, first + n), seed, k)) if probe is None else probe(k)
        _, alpha, beta = lanczos(
            *(apply, n, most),
            start=start,
            reorthogonalize=orthogonal,
            preconditioner=preconditioner,
            project=project,
            comm=comm,
        )
        # The three-term recurrence repeats eigenvalues that have converged: as many steps as there are eigenvalues do
        # not find all of them, and only a small beta tells that the Krylov space has ended.
        if len(alpha) < most:
            beta = np.append(beta, end_of_space(alpha, beta))
        elif orthogonal and most == chosen:
            beta = np.append(beta, 0.0)
        found.append((alpha, beta))
    return LanczosQuadrature(
        tuple(found), chosen, preconditioner is not None, tuple(float(moment) for moment in moments), comm
    )


@collective_entry
def spectral_density(
    apply: Callable[[Array], Array],
    n: int,
    *,
    probes: int = 10,
    steps: int = 40,
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> SpectralDensity:
    """Estimate the distribution of the eigenvalues of a symmetric matrix by stochastic Lanczos quadrature.

    Parameters
    ----------
    apply : callable
        The product of the matrix with a vector (n,).
    n : int
        Length of the rank's own part of a vector.
    probes, steps, seed, device, comm
        As for `lanczos_quadrature`, which also serves M A and matrices with a null space.

    Returns
    -------
    SpectralDensity

    Raises
    ------
    InvalidValueError

    Notes
    -----
    probes x steps products with A. Collective over `comm`.

    References
    ----------
    Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 1075 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import spectral_density
    >>> diagonal = np.repeat([1.0, 2.0, 4.0], 100)
    >>> spectral_density(lambda v: diagonal * v, 300).below([1.5, 3.0]).round(6)
    array([0.333333, 0.666667])
    """
    return lanczos_quadrature(apply, n, probes=probes, steps=steps, seed=seed, device=device, comm=comm).density()


@collective_entry
def trace_of_function(
    apply: Callable[[Array], Array],
    n: int,
    function: Callable[[np.ndarray], np.ndarray],
    *,
    probes: int = 10,
    steps: int = 40,
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> TraceEstimate:
    """Estimate tr f(A) of a symmetric matrix by stochastic Lanczos quadrature.

    Parameters
    ----------
    apply : callable
        The product of A with a vector (n,).
    n : int
        Length of the rank's own part of a vector.
    function : callable
        f, of an array of eigenvalues.
    probes, steps, seed, device, comm
        As for `lanczos_quadrature`, which also serves M A and matrices with a null space.

    Returns
    -------
    TraceEstimate

    Raises
    ------
    InvalidValueError
        Also where f gives NaN or Inf within the spectrum, and where its values differ between ranks.

    Notes
    -----
    probes x steps products with A. Collective over `comm`.

    References
    ----------
    Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 1075 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import trace_of_function
    >>> diagonal = np.repeat([1.0, 2.0, 4.0], 100)
    >>> round(trace_of_function(lambda v: diagonal * v, 300, np.sqrt).value, 6)
    441.421356
    """
    found = lanczos_quadrature(apply, n, probes=probes, steps=steps, seed=seed, device=device, comm=comm)
    return found.trace(function)


@collective_entry
def log_determinant(
    apply: Callable[[Array], Array],
    n: int,
    *,
    probes: int = 10,
    steps: int = 40,
    seed: int = 0,
    device: Device = "cpu",
    moments: Sequence[float] = (),
    comm: Comm = None,
) -> TraceEstimate:
    """Estimate log det A = tr log A of a symmetric positive definite matrix; see `trace_of_function`.

    Parameters
    ----------
    apply : callable
        The product of A with a vector (n,).
    n : int
        Length of the rank's own part of a vector.
    probes, steps, seed, device, moments, comm
        As for `lanczos_quadrature`, which also serves M A and matrices with a null space.

    Returns
    -------
    TraceEstimate

    Raises
    ------
    ConvergenceError
        If A is not positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import log_determinant
    >>> diagonal = np.repeat([1.0, 2.0, 4.0], 100)
    >>> round(log_determinant(lambda v: diagonal * v, 300).value / float(np.log(2)), 6)
    300.0
    """
    settings: dict[str, Any] = {"probes": probes, "steps": steps, "seed": seed, "moments": moments}
    return lanczos_quadrature(apply, n, **settings, device=device, comm=comm).log_determinant()


@entry
def random_signs(numbers: Array, seed: int = 0, probe: int = 0) -> np.ndarray:
    """Return a random sign for each number, the same wherever and in whatever order it is asked for.

    Parameters
    ----------
    numbers : int array
        Numbers of unknowns, not negative.
    seed, probe : int
        Not negative; each pair gives signs of its own.

    Returns
    -------
    float64 array of the shape of `numbers`
        +-1, on the host.

    Raises
    ------
    DTypeError, InvalidValueError
        Unless the numbers are integers from 0 on.

    Notes
    -----
    A hash of seed, probe and number (SplitMix64).

    References
    ----------
    Steele, Lea and Flood, OOPSLA (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import random_signs
    >>> random_signs(np.arange(4), seed=1)[[2, 3]] == random_signs(np.array([2, 3]), seed=1)
    array([ True,  True])
    """
    given = np.asarray(numbers)
    if given.dtype.kind not in "iu":
        raise DTypeError(f"numbers has dtype {given.dtype}; expected integers from 0 on")
    if given.size and given.min() < 0:
        raise InvalidValueError(f"numbers holds {given.min()}; expected integers from 0 on")
    state = np.random.SeedSequence([seed, probe]).generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):
        z = state + (given.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.where(z >> np.uint64(63), -1.0, 1.0)
