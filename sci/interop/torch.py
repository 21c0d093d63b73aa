"""Ops, models and potentials as functions that torch differentiates; arrays and tensors that share their memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.backend import is_device_array, namespace_of
from sci.errors import DTypeError, with_article
from sci.interop.packages import missing
from sci.nn import Op, Tape, value_of
from sci.potentials import Particles, PeriodicPotential, RangeSeparatedPotential, direct_sum

try:
    import torch
    from torch.autograd.function import once_differentiable
except ImportError as error:
    raise missing("torch") from error

__all__ = ["Module", "apply", "energy", "from_torch", "potential", "to_torch"]


def from_torch(tensor: Any) -> Any:
    """Return the array that shares a tensor's memory: of NumPy for one on the CPU, of CuPy for one on a GPU.

    The exchange is by DLPack. Gradients do not pass: `apply` is for that.

    Raises
    ------
    DTypeError
        For anything but a tensor, and a dtype that arrays do not have, such as bfloat16.

    Examples
    --------
    >>> import torch
    >>> from sci.interop.torch import from_torch
    >>> tensor = torch.zeros(2, dtype=torch.float64)
    >>> from_torch(tensor)[0] = 3.0
    >>> tensor
    tensor([3., 0.], dtype=torch.float64)
    """
    if not isinstance(tensor, torch.Tensor):
        raise DTypeError(f"from_torch of {with_article(type(tensor).__name__)}; expected a torch.Tensor")
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain.dtype is torch.bfloat16:
        raise DTypeError("the tensor has dtype bfloat16, which NumPy does not have; convert it by .float() first")
    if plain.is_cuda:
        return namespace_of("cuda").from_dlpack(plain)
    return np.from_dlpack(plain)


def to_torch(array: Any) -> Any:
    """Return the tensor that shares an array's memory, on the array's device.

    Arrays that may not be written to, or that run backwards, are copied: torch has no such tensors.

    Raises
    ------
    DTypeError
        For a dtype that tensors do not have.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.interop.torch import to_torch
    >>> array = np.zeros(2)
    >>> to_torch(array)[1] = 4.0
    >>> array
    array([0., 4.])
    """
    if is_device_array(array):
        return torch.from_dlpack(array)
    host = np.asarray(array)
    if not host.flags.writeable or any(step < 0 for step in host.strides):
        host = host.copy()
    try:
        return torch.from_numpy(host)
    except TypeError as error:
        raise DTypeError(f"an array of dtype {host.dtype} is no tensor: {error}") from error


def apply(op: Op, *args: Any, **options: Any) -> Any:
    """Call an op on tensors, so that torch differentiates it.

    Parameters
    ----------
    op : sci.nn.Op
        Like `sci.sequence.softmax_attention`, `lightning_attention`, or any op of `sci.nn`.
    *args
        What the op takes; tensors become arrays that share their memory.
    **options
        Those of the op.

    Returns
    -------
    tensor, or tuple of tensors
        As the op returns arrays.

    Raises
    ------
    RuntimeError
        In `backward`, if an argument or a result was changed in place meanwhile, and for a second derivative.

    Examples
    --------
    >>> import torch
    >>> from sci.interop.torch import apply
    >>> from sci.sequence import softmax_attention
    >>> q, k, v = (torch.ones(1, 4, 2, dtype=torch.float64, requires_grad=True) for _ in range(3))
    >>> out, lse = apply(softmax_attention, q, k, v, causal=True)
    >>> out.sum().backward()
    >>> v.grad.sum()
    tensor(8., dtype=torch.float64)
    """

    def forward(*arrays: Any) -> tuple[Any, Callable[[Any], Any]]:
        out, residuals = op.forward(*arrays, **options)
        return out, lambda dout: op.vjp(dout, residuals)

    return _Recorded.apply(forward, *args)


def potential(phi: Callable[[Any], Any], points: Any) -> Any:
    """Return a potential at points, differentiable by the points.

    Parameters
    ----------
    phi : RangeSeparatedPotential, PeriodicPotential or LatticePotential
        Anything with values `phi(points)` and minus their gradient `phi.field(points)`.
    points : (m, 3) float64 tensor, angstrom

    Returns
    -------
    (m,) float64 tensor, e/angstrom

    Examples
    --------
    >>> import torch
    >>> from sci.interop.torch import potential
    >>> from sci.potentials import Particles, RangeSeparatedPotential
    >>> phi = RangeSeparatedPotential(Particles([[0.0, 0.0, 0.0]], [1.0]), 1e-8, padding=5.0)
    >>> point = torch.tensor([[0.0, 0.0, 2.0]], dtype=torch.float64, requires_grad=True)
    >>> potential(phi, point).sum().backward()
    >>> point.grad[0, 2].round(decimals=6)
    tensor(-0.2500, dtype=torch.float64)
    """

    def forward(places: Any) -> tuple[Any, Callable[[Any], Any]]:
        kept = places.copy()
        return phi(places), lambda dout: (-dout[:, None] * phi.field(kept),)  # type: ignore[attr-defined]

    return _Recorded.apply(forward, points)


def energy(positions: Any, charges: Any, *, cell: Any = None, tol: float = 1e-8) -> Any:
    """Return the electrostatic energy of charges, differentiable by positions and charges.

    Parameters
    ----------
    positions : (n, 3) float64 tensor, angstrom
    charges : (n,) float64 tensor, e
    cell : (3, 3) array, angstrom, optional
        Periods as rows: the energy of one cell, summed over all images.
    tol : float
        Relative L2 error of the potential of a periodic cell, 1e-12 to 0.1; without one the sum over pairs is exact, up
        to 2,000 particles, and in the range-separated format of this tolerance beyond.

    Returns
    -------
    () float64 tensor, e^2/angstrom

    Notes
    -----
    The gradients are minus the forces, and the potential of the other charges at each charge.

    Examples
    --------
    >>> import torch
    >>> from sci.interop.torch import energy
    >>> places = torch.tensor([[0.0, 0, 0], [0, 0, 2.0]], dtype=torch.float64, requires_grad=True)
    >>> charges = torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True)
    >>> energy(places, charges).backward()
    >>> places.grad[1, 2], charges.grad
    (tensor(0.2500, dtype=torch.float64), tensor([-0.5000,  0.5000], dtype=torch.float64))
    """

    def forward(places: Any, q: Any) -> tuple[Any, Callable[[Any], Any]]:
        particles = Particles(places.copy(), q.copy(), cell=cell)
        values, slopes = _at_particles(particles, tol)
        total = 0.5 * (particles.charges * values).sum()
        gradients = (particles.charges[:, None] * slopes, values)
        return np.asarray(total), lambda dout: tuple(dout * g for g in gradients)

    return _Recorded.apply(forward, positions, charges)


PAIRS = 2000
"""Charges up to which all pairs are summed."""


def _at_particles(particles: Particles, tol: float) -> tuple[Any, Any]:
    """Return the potential of the other charges at each charge, and its gradient."""
    places = particles.positions
    if particles.cell is not None:
        found = PeriodicPotential(particles, tol)
        return found(places), -found.field(places)
    if particles.n <= PAIRS:
        values, slopes = direct_sum(particles, places, gradient=True)
        return values, slopes
    phi = RangeSeparatedPotential(particles, tol, accuracy="forces", expected_targets=particles.n)
    return phi(places), -phi.field(places)


class Module(torch.nn.Module):  # type: ignore[misc]
    """A layer or model of this library as a module of torch, which shares its parameters.

    Parameters
    ----------
    model : SpectralConv, FNO, TFNO, or anything with `parameters` (a dict of arrays) and `forward(parameters, *inputs)`
        Its parameters become those of the module, without a copy: an optimizer of torch trains the model.

    Notes
    -----
    Names of parameters have "/" where the model's have ".", which torch refuses. Complex parameters stay complex; the
    gradients follow torch's convention, the conjugate derivative. The tape of `sci.nn` keeps activations; a second
    pass back through one graph computes them again.

    Examples
    --------
    >>> import torch
    >>> from sci.interop.torch import Module
    >>> from sci.operators import FNO
    >>> module = Module(FNO((4, 4), 1, 1, 8, 2))
    >>> loss = module(torch.ones(1, 1, 8, 8)).square().mean()
    >>> loss.backward()
    >>> all(p.grad is not None for p in module.parameters())
    True
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._names = list(model.parameters)
        for name in self._names:
            self.register_parameter(name.replace(".", "/"), torch.nn.Parameter(to_torch(model.parameters[name])))

    def __repr__(self) -> str:
        """Return the model."""
        return f"Module({self.model!r})"

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Return the model's output for inputs, tensors of its precision."""

        def run(*arrays: Any) -> tuple[Any, Callable[[Any], Any]]:
            def record() -> tuple[list[Any], Any]:
                variables = Tape().watch(list(arrays))
                weights = dict(zip(self._names, variables))
                return variables, self.model.forward(weights, *variables[len(self._names) :], **options)

            kept = [record()]

            def backward(dout: Any) -> tuple[Any, ...]:
                variables, out = kept.pop() if kept else record()  # a tape serves one pass back
                out.backward(dout)
                return tuple(v.gradient for v in variables)

            return value_of(kept[0][1]), backward

        return _Recorded.apply(run, *self._own().values(), *inputs)

    def _own(self) -> Mapping[str, Any]:
        own = dict(self.named_parameters())
        return {name: own[name.replace(".", "/")] for name in self._names}


class _Recorded(torch.autograd.Function):  # type: ignore[misc]
    """A function of arrays with its derivative, on the graph of torch."""

    @staticmethod
    def forward(context: Any, function: Callable[..., Any], *args: Any) -> Any:
        """Compute; `function(*arrays)` returns the value and its vector-Jacobian product."""
        arrays = [from_torch(a) if isinstance(a, torch.Tensor) else a for a in args]
        out, context.pullback = function(*arrays)
        context.several = isinstance(out, tuple)
        context.set_materialize_grads(False)
        results = tuple(_own_memory(o, arrays) for o in (out if context.several else (out,)))
        # Saved for torch's counters alone, which tell of changes in place: the arrays kept inside share this memory.
        context.save_for_backward(*(a for a in args if isinstance(a, torch.Tensor)), *results)
        context.mark_non_differentiable(*(r for r in results if not (r.is_floating_point() or r.is_complex())))
        return results if context.several else results[0]

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(context: Any, *douts: Any) -> Any:
        """Return the gradients of the arguments."""
        _ = context.saved_tensors
        arrays = tuple(None if d is None else from_torch(d.contiguous()) for d in douts)
        if all(a is None for a in arrays):
            return (None,) * len(context.needs_input_grad)
        gradients = context.pullback(arrays if context.several else arrays[0])
        needed = context.needs_input_grad[1:]
        return (None, *(to_torch(g) if wanted and g is not None else None for g, wanted in zip(gradients, needed)))


def _own_memory(out: Any, arrays: list[Any]) -> Any:
    """Return a result as a tensor that shares no memory with the arguments: torch takes it for a new one."""
    shares = isinstance(out, np.ndarray) and any(
        isinstance(a, np.ndarray) and np.may_share_memory(a, out) for a in arrays
    )
    return to_torch(out.copy() if shares else out)
