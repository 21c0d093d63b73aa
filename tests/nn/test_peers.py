"""Values and gradients of the pairs, losses and optimizers against PyTorch and neuraloperator in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci import nn
from sci.nn import SGDP, Adam, AdamW

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]
RNG = np.random.default_rng(12)


def real(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("f4")


def complex_(*shape: int) -> np.ndarray:
    return real(*shape) + 1j * real(*shape)


X, LABELS = real(3, 6, 8, 5), RNG.integers(0, 5, (3, 6, 8))
CASES: list[tuple[str, list[np.ndarray], dict, Any]] = [
    ("gelu", [4 * X], {}, functional.gelu),
    ("relu", [X], {}, functional.relu),
    ("tanh", [X], {}, torch.tanh),
    ("silu", [X], {}, functional.silu),
    *((name, [X], {}, getattr(torch, name)) for name in ("exp", "sin", "cos", "absolute", "sigmoid")),
    *((name, [1 + X * X], {}, getattr(torch, name)) for name in ("log", "sqrt")),
    ("exp", [complex_(3, 4)], {}, torch.exp),
    ("softplus", [X], {}, functional.softplus),
    ("maximum", [X, real(6, 1, 5)], {}, torch.maximum),
    ("minimum", [X, X.copy()], {}, torch.minimum),
    ("clip", [X], {"a_min": -0.5, "a_max": 0.5}, lambda x: torch.clip(x, -0.5, 0.5)),
    ("divide", [X, 2 + real(8, 1) ** 2], {}, torch.div),
    ("multiply", [complex_(2, 3, 4), complex_(3, 1)], {}, torch.mul),
    ("linear", [X, real(4, 5), real(4)], {}, functional.linear),
    ("linear", [complex_(7, 5), complex_(4, 5), complex_(4)], {}, functional.linear),
    (
        "pointwise_conv",
        [real(3, 6, 40), real(4, 6), real(4)],
        {},
        lambda x, w, b: functional.conv1d(x, w[:, :, None], b),
    ),
    ("matmul", [real(2, 1, 3, 4), real(5, 4, 6)], {}, torch.matmul),
    (
        "einsum",
        ["bik,iok->bok", complex_(2, 3, 4), complex_(3, 5, 4)],
        {},
        torch.einsum,
    ),
    ("softmax", [X], {"axis": 1}, lambda x: functional.softmax(x, 1)),
    ("log_softmax", [X], {}, lambda x: functional.log_softmax(x, -1)),
    ("layer_norm", [X, real(5), real(5)], {}, lambda x, w, b: functional.layer_norm(x, (5,), w, b)),
    ("rms_norm", [X, real(5)], {"eps": 1e-6}, lambda x, w: functional.rms_norm(x, (5,), w, 1e-6)),
    ("group_norm", [X, real(6), real(6)], {"groups": 3}, lambda x, w, b: functional.group_norm(x, 3, w, b)),
    ("instance_norm", [X], {}, functional.instance_norm),
    ("mean_squared_error", [X, real(3, 6, 8, 5)], {}, functional.mse_loss),
    ("pad", [X], {"pad_width": ((0, 0), (0, 0), (1, 2), (3, 0))}, lambda x: functional.pad(x, (3, 0, 1, 2))),
    ("mean", [X], {"axis": (0, 2)}, lambda x: x.mean((0, 2))),
]


def _close(ours: np.ndarray, theirs: Any, what: str) -> None:
    expected = theirs.detach().resolve_conj().numpy()
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * scale, err_msg=what)
    assert ours.dtype == expected.dtype


@pytest.mark.parametrize(("name", "arrays", "options", "peer"), CASES, ids=[f"{k}-{c[0]}" for k, c in enumerate(CASES)])
def test_pairs(name, arrays, options, peer):
    tensors = [a if isinstance(a, str) else torch.tensor(a, requires_grad=True) for a in arrays]
    out, residuals = getattr(nn, name).forward(*arrays, **options)
    expected = peer(*tensors)
    _close(out, expected, "value")
    dout = complex_(*out.shape) if out.dtype.kind == "c" else np.asarray(real(*out.shape))
    expected.backward(torch.tensor(dout))
    for k, (ours, theirs) in enumerate(zip(getattr(nn, name).vjp(dout, residuals), tensors)):
        if not isinstance(theirs, str):
            _close(ours, theirs.grad, f"gradient {k}")


def test_cross_entropy_and_embedding():
    logits, table = torch.tensor(X, requires_grad=True), torch.tensor(X[0, 0], requires_grad=True)
    loss, residuals = nn.cross_entropy.forward(X, LABELS)
    expected = functional.cross_entropy(logits.reshape(-1, 5), torch.tensor(LABELS).reshape(-1))
    expected.backward()
    _close(loss, expected, "value")
    _close(nn.cross_entropy.vjp(np.ones((), "f4"), residuals)[0], logits.grad, "gradient")
    dout = real(3, 6, 8, 5)
    functional.embedding(torch.tensor(LABELS), table).backward(torch.tensor(dout))
    _close(nn.embedding.vjp(dout, nn.embedding.forward(X[0, 0], LABELS)[1])[0], table.grad, "rows")


@pytest.mark.parametrize("shape", [(4, 2, 17), (4, 1, 8, 9)])
def test_losses_of_neuraloperator(shape):
    losses = pytest.importorskip("neuralop.losses")
    d, prediction, target = len(shape) - 2, real(*shape), real(*shape)
    peers = {"relative_l2": losses.LpLoss(d=d, p=2), "relative_h1": losses.H1Loss(d=d)}
    for name, peer in peers.items():
        if name == "relative_h1" and shape[1] > 1:
            continue
        given = torch.tensor(prediction, requires_grad=True)
        expected = peer(given, torch.tensor(target)).sum()
        expected.backward()
        loss, residuals = getattr(nn, name).forward(prediction, target=target, reduction="sum")
        assert float(loss) == pytest.approx(expected.item(), rel=1e-5), name
        _close(getattr(nn, name).vjp(np.ones((), "f4"), residuals)[0], given.grad, name)


def test_h1_without_periodicity():
    losses = pytest.importorskip("neuralop.losses")
    prediction, target = real(3, 1, 8, 9), real(3, 1, 8, 9)
    given = torch.tensor(prediction, requires_grad=True)
    expected = losses.H1Loss(d=2, periodic_in_x=False, periodic_in_y=False)(given, torch.tensor(target)).sum()
    expected.backward()
    loss, residuals = nn.relative_h1.forward(prediction, target=target, periodic=False, reduction="sum")
    assert float(loss) == pytest.approx(expected.item(), rel=1e-5)
    _close(nn.relative_h1.vjp(np.ones((), "f4"), residuals)[0], given.grad, "gradient")


ADAM = {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}


@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (Adam(0.02, **ADAM), lambda p: torch.optim.Adam(p, 0.02, **ADAM)),
        (AdamW(0.02, **ADAM), lambda p: torch.optim.AdamW(p, 0.02, **ADAM)),
        (SGDP(0.02, momentum=0.9, delta=0.0), lambda p: torch.optim.SGD(p, 0.02, 0.9)),
        (SGDP(0.02, momentum=0.9, nesterov=True, delta=0.0), lambda p: torch.optim.SGD(p, 0.02, 0.9, nesterov=True)),
    ],
    ids=["adam", "adamw", "momentum", "nesterov"],
)
def test_optimizers(ours, peer):
    start = {"a": real(5, 3), "z": complex_(4)}
    w = {name: p.copy() for name, p in start.items()}
    tensors = {name: torch.tensor(p, requires_grad=True) for name, p in start.items()}
    theirs, state = peer(tensors.values()), ours.start(w)
    for step in range(1, 21):
        gradients = {"a": real(5, 3), "z": complex_(4)}
        ours.update(w, gradients, state, step, 1.0)
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        theirs.step()
    for name, tensor in tensors.items():
        _close(w[name], tensor, name)


@pytest.mark.parametrize("kind", ["AdamP", "SGDP"])
def test_projected_optimizers_against_the_authors(kind):
    adamp = pytest.importorskip("adamp")
    start = real(6, 8)
    tensor, w = torch.tensor(start, requires_grad=True), {"w": start.copy()}
    if kind == "AdamP":
        ours, theirs = nn.AdamP(0.02, weight_decay=0.1), adamp.AdamP([tensor], lr=0.02, weight_decay=0.1)
    else:
        # Without Nesterov their projection changes the momentum itself, in place; that of the paper does not.
        ours = SGDP(0.02, momentum=0.9, nesterov=True, weight_decay=0.01)
        theirs = adamp.SGDP([tensor], lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.01)
    state = ours.start(w)
    for step in range(1, 21):
        # Every other gradient is orthogonal to the rows, so that the gate opens.
        g = real(6, 8)
        if step % 2:
            g = nn.project_radial(w["w"], g, "channel")
        ours.update(w, {"w": g}, state, step, 1.0)
        tensor.grad = torch.tensor(g)
        theirs.step()
    _close(w["w"], tensor, kind)
