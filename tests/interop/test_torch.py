"""Ops, models and potentials against torch itself: gradcheck, shared memory, and errors instead of wrong gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import DTypeError
from sci.operators import FNO, TFNO, SpectralConv
from sci.potentials import LatticePotential, Particles, PeriodicPotential, RangeSeparatedPotential
from sci.sequence import lightning_attention, softmax_attention

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")

RNG = np.random.default_rng(2)
IONS = Particles(RNG.random((5, 3)) * 4, [1.0, -1.0, 0.5, 0.3, -0.8])
CELL = np.array([[5.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.3, 0.2, 5.5]])


@pytest.fixture
def adapter() -> Any:
    """The module under test, which imports torch."""
    import sci.interop.torch as found

    return found


def _variables(*shapes: tuple[int, ...]) -> list[Any]:
    return [torch.from_numpy(RNG.standard_normal(shape)).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("causal", [False, True])
def test_softmax_attention(adapter: Any, causal: bool) -> None:
    qkv = _variables(*[(2, 6, 3)] * 3)
    assert torch.autograd.gradcheck(lambda *a: adapter.apply(softmax_attention, *a, causal=causal), qkv)


def test_softmax_attention_is_that_of_torch(adapter: Any) -> None:
    qkv = _variables(*[(2, 9, 4)] * 3)
    out, _ = adapter.apply(softmax_attention, *qkv, causal=True)
    other = torch.nn.functional.scaled_dot_product_attention(*qkv, is_causal=True)
    torch.testing.assert_close(out, other)
    ours, theirs = (torch.autograd.grad(o.square().sum(), qkv) for o in (out, other))
    for one, two in zip(ours, theirs):
        torch.testing.assert_close(one, two)


def test_lightning_attention(adapter: Any) -> None:
    qkv, decay = _variables(*[(2, 6, 3)] * 3), torch.tensor([0.3, 0.7], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *a: adapter.apply(lightning_attention, *a, decay), qkv)


@pytest.mark.parametrize(
    "phi",
    [
        RangeSeparatedPotential(IONS, 1e-10),
        PeriodicPotential(Particles(IONS.positions, IONS.charges, cell=CELL), 1e-10),
        LatticePotential(
            Particles([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], [1.0, -1.0], cell=2 * np.eye(3)), (3, 3, 3), tol=1e-9
        ),
    ],
    ids=lambda phi: type(phi).__name__,
)
def test_potentials_at_points(adapter: Any, phi: Any) -> None:
    points = torch.from_numpy(0.2 + RNG.random((4, 3)) * 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: adapter.potential(phi, p), (points,), atol=2e-5)
    np.testing.assert_array_equal(adapter.potential(phi, points).detach().numpy(), phi(points.detach().numpy()))


@pytest.mark.parametrize("cell", [None, CELL], ids=["isolated", "periodic"])
def test_the_energy_by_positions_and_charges(adapter: Any, cell: np.ndarray | None) -> None:
    places, charges = (torch.tensor(a, requires_grad=True) for a in (IONS.positions, IONS.charges))
    assert torch.autograd.gradcheck(lambda x, q: adapter.energy(x, q, cell=cell, tol=1e-11), (places, charges))


def test_the_energy_of_many_charges_is_that_of_all_pairs(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    places = torch.from_numpy(30 * RNG.random((300, 3))).requires_grad_()
    (charges,) = _variables((300,))
    exact = adapter.energy(places, charges)
    expected = torch.autograd.grad(exact, (places, charges))
    monkeypatch.setattr(adapter, "PAIRS", 10)
    found = adapter.energy(places, charges, tol=1e-8)
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)
    for one, two in zip(torch.autograd.grad(found, (places, charges)), expected):
        assert float((one - two).norm() / two.norm()) < 1e-6


def _double(module: Any) -> list[Any]:
    wide = {False: torch.float64, True: torch.complex128}
    return [p.detach().to(wide[p.is_complex()]).requires_grad_() for p in module.parameters()]


@pytest.mark.parametrize(
    "model",
    [
        SpectralConv.create(2, 3, (4, 4)),
        SpectralConv.create(2, 3, (4, 4), factorization="tucker", rank_fraction=0.3),
        FNO((4, 4), 2, 1, 3, 2),
        TFNO((4, 4), 2, 1, 3, 1),
    ],
    ids=["spectral", "spectral tucker", "fno", "tfno"],
)
def test_models_and_layers(adapter: Any, model: Any) -> None:
    module = adapter.Module(model)
    names = [name for name, _ in module.named_parameters()]
    (x,) = _variables((1, 2, 6, 5))

    def run(x: Any, *weights: Any) -> Any:
        return torch.func.functional_call(module, dict(zip(names, weights)), (x,))

    assert torch.autograd.gradcheck(run, (x, *_double(module)))


def test_torch_trains_a_model_in_place(adapter: Any) -> None:
    model = FNO((4, 4), 1, 1, 4, 1, seed=1)
    module = adapter.Module(model)
    x = torch.from_numpy(RNG.standard_normal((8, 1, 8, 8)).astype("f4"))
    np.testing.assert_allclose(module(x).detach().numpy(), model(x.numpy()), atol=1e-6)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (module(x) - x.square()).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    np.testing.assert_allclose(model(x.numpy()), module(x).detach().numpy(), atol=1e-5)
    assert repr(module).startswith("Module(FNO(")


def test_arrays_and_tensors_share_memory(adapter: Any) -> None:
    array = np.arange(6.0).reshape(2, 3)[:, ::2]
    tensor = adapter.to_torch(array)
    assert tensor.stride() == (3, 2)
    tensor[0, 0] = 7.0
    assert array[0, 0] == 7.0
    back = adapter.from_torch(tensor.t())
    back[1, 1] = 9.0
    assert array[1, 1] == 9.0
    assert np.shares_memory(back, array)


def test_arrays_that_tensors_cannot_share_are_copied(adapter: Any) -> None:
    fixed = np.arange(3.0)
    fixed.flags.writeable = False
    for array in (fixed, np.arange(3.0)[::-1]):
        tensor = adapter.to_torch(array)
        np.testing.assert_array_equal(tensor.numpy(), array)
        assert not np.shares_memory(tensor.numpy(), array)


def test_lazy_conjugates_are_resolved(adapter: Any) -> None:
    assert adapter.from_torch(torch.tensor([1.0 + 2.0j]).conj())[0] == 1 - 2j


def test_what_is_no_tensor_or_no_array_is_named(adapter: Any) -> None:
    with pytest.raises(DTypeError, match=r"from_torch of a list; expected a torch\.Tensor"):
        adapter.from_torch([1.0])
    with pytest.raises(DTypeError, match="bfloat16"):
        adapter.from_torch(torch.zeros(2, dtype=torch.bfloat16))
    with pytest.raises(DTypeError, match="dtype <U1"):
        adapter.to_torch(np.array(["a"]))


def test_a_change_in_place_is_an_error_instead_of_a_wrong_gradient(adapter: Any) -> None:
    q, k, v = _variables(*[(1, 4, 2)] * 3)
    inner = q * 1.0
    out, _ = adapter.apply(softmax_attention, inner, k, v)
    with torch.no_grad():
        inner.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
    out, _ = adapter.apply(softmax_attention, q, k, v)
    with torch.no_grad():
        out.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_a_second_derivative_is_an_error(adapter: Any) -> None:
    phi = RangeSeparatedPotential(IONS, 1e-6)
    points = torch.full((1, 3), 1.7, dtype=torch.float64, requires_grad=True)
    values = adapter.potential(phi, points).square().sum()
    (slope,) = torch.autograd.grad(values, points, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_outputs_that_are_not_used_have_no_gradient(adapter: Any) -> None:
    q, k, v = _variables(*[(1, 4, 2)] * 3)
    _, lse = adapter.apply(softmax_attention, q, k, v)
    lse.sum().backward()
    assert torch.count_nonzero(v.grad) == 0
    assert torch.count_nonzero(q.grad) > 0
