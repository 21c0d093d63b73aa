"""Operators on either side: layers, models with their gradients, patches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

import sci
from sci.backend import to_device, to_host
from sci.nn import relative_l2, value_and_gradients, value_of
from sci.operators import (
    FNO,
    SFNO,
    UNO,
    MultigridPatches,
    SpectralConv,
    TrainedOperator,
    TrainingConfig,
    patch_loss,
    predict_patches,
    train_operator,
    with_transposed,
)
from sci.operators.fno.base import Operator
from sci.spherical import (
    SphereGrid,
    clebsch_gordan_product,
    gaunt_product,
    rotate_coefficients,
    scale_degrees,
    spherical_harmonics_gradient,
    spherical_synthesis,
    spherical_transform,
    wigner_matrices,
)
from sci.spherical.transform import analysis_vjp, synthesis_vjp

Answers = list[np.ndarray]
MODELS: tuple[dict[str, Any], ...] = (
    {"n_modes": (5, 4), "hidden_channels": 16},
    {"n_modes": (3, 4), "hidden_channels": 6, "factorization": "tucker", "rank_fraction": 0.4, "joint": True},
    {"n_modes": (3, 4), "hidden_channels": 6, "factorization": "cp", "rank_fraction": 0.4, "norm": "group"},
    {"n_modes": (3, 4), "hidden_channels": 6, "factorization": "tt", "rank_fraction": 0.4, "domain_padding": 0.2},
)


def _moved(parameters: dict[str, np.ndarray], xp: ModuleType) -> dict[str, Any]:
    kinds = {"c": np.complex128, "f": np.float64}
    return {name: to_device(p.astype(kinds[p.dtype.kind]), xp) for name, p in parameters.items()}


def spectral_layers(xp: ModuleType) -> Answers:
    rng, answers = np.random.default_rng(0), []
    for n_modes, grid in (((5,), (9,)), ((4, 5), (6, 7)), ((2, 3, 4), (5, 4, 6))):
        layer = SpectralConv.create(2, 3, n_modes)
        x = to_device(rng.normal(size=(2, 2, *grid)), xp)
        layer = SpectralConv(_moved(dict(layer.parameters), xp), layer.form)
        answers += [layer(x), layer(x, grid=tuple(n + 3 for n in grid))]
    return [to_host(a) for a in answers]


def operator_models(xp: ModuleType) -> Answers:
    rng, answers = np.random.default_rng(1), []
    x, y = (to_device(a, xp) for a in rng.normal(size=(2, 2, 1, 9, 8)))
    for options in MODELS:
        model = FNO(in_channels=1, out_channels=1, n_layers=2, **options)
        parameters = _moved(model.parameters, xp)

        def loss(variables: Any, model: FNO = model) -> Any:
            return relative_l2(model.forward(variables, x), target=y)

        value, gradients = value_and_gradients(loss, parameters)
        answers += [FNO.of(model.config, parameters)(x), value.reshape(1), *gradients.values()]
    return [to_host(a) for a in answers]


def other_operators(xp: ModuleType) -> Answers:
    rng, answers = np.random.default_rng(5), []
    x = rng.normal(size=(2, 2, 1, 8, 6))
    scaled = {"resolution_scaling": (2, 0.5)}
    models: tuple[tuple[Operator, np.ndarray], ...] = (
        (FNO((3, 4), 1, 1, 4, 2, complex_data=True), x[0] + 1j * x[1]),
        (FNO((3, 4), 1, 1, 4, 2, complex_data=True, conventions="neuraloperator"), x[0] + 1j * x[1]),
        (FNO((3, 4), 1, 1, 4, 2, **scaled), x[0]),
        (FNO((3, 4), 1, 1, 4, 2, conventions="neuraloperator", **scaled), x[0]),
        (FNO((3, 4), 1, 1, 4, 2, separable=True, factorization="tt", rank_fraction=0.6), x[0]),
        (SFNO((4, 6), 1, 1, 4, 2), x[0]),
        (UNO([(3, 3), (2, 2)], (4, 6), (0.5, 2), 1, 1, 4, lifting_channels=4, norm="group"), x[0]),
    )
    for model, field in models:
        own, parameters = to_device(field, xp), _moved(model.parameters, xp)

        def loss(variables: Any, model: Operator = model, own: Any = own) -> Any:
            y = model.forward(variables, own)
            return relative_l2(y, target=xp.ones_like(value_of(y)))

        value, gradients = value_and_gradients(loss, parameters)
        answers += [type(model).of(model.config, parameters)(own), value.reshape(1), *gradients.values()]
    return [to_host(a) for a in answers]


def operator_patches(xp: ModuleType) -> Answers:
    rng, answers = np.random.default_rng(2), []
    x, y = (to_device(a, xp) for a in rng.normal(size=(2, 3, 1, 8, 8)))
    for boundary in ("circular", "clamped"):
        cut = MultigridPatches(1, 0.125, boundary)
        model = FNO((3, 3), cut.channels(1, 2), 1, 4, 1, positional_grid=False)
        parameters = _moved(model.parameters, xp)
        loss = partial(patch_loss(model, cut), batch=(x, y))
        value, gradients = value_and_gradients(loss, parameters)
        answers += [cut.split(x), predict_patches(FNO.of(model.config, parameters), cut, x), *gradients.values()]
        answers.append(value.reshape(1))
    return [to_host(a) for a in answers]


def operator_training(xp: ModuleType) -> Answers:
    rng = np.random.default_rng(3)
    x, y = with_transposed(*(to_device(a, xp) for a in rng.normal(size=(2, 4, 1, 6, 6))))
    model = FNO((3, 3), 1, 1, 4, 1, parameters=_moved(FNO((3, 3), 1, 1, 4, 1).parameters, xp))
    trained, history = train_operator(
        model, x, y, TrainingConfig(epochs=2, batch_size=4, periodic=True), standardize_inputs=True
    )
    again = TrainedOperator.from_state(trained.to_state())
    return [to_host(a) for a in (trained(x), again(x))] + [history.losses]


def sphere(xp: ModuleType) -> Answers:
    rng, answers = np.random.default_rng(4), []
    for grid in (SphereGrid(6, 9), SphereGrid(7, 8, "equiangular")):
        x = to_device(rng.normal(size=(2, *grid.shape)), xp)
        a = spherical_transform(x, grid, degrees=6, orders=4, exact=False)
        answers += [a, spherical_synthesis(a, grid), synthesis_vjp(x, grid, 6, 4)]
        answers.append(analysis_vjp(answers[-1], grid))
    return [to_host(a) for a in answers]


def rotations_and_products(xp: ModuleType) -> Answers:
    """Products also by array calls: the stand-in runs kernels, a GPU reads features where they lie."""
    rng = np.random.default_rng(5)
    x, y = (to_device(a, xp) for a in rng.normal(size=(2, 2, 16, 3)))
    w = to_device(rng.normal(size=4), xp)
    turns = to_device(np.linalg.qr(rng.normal(size=(2, 3, 3)))[0], xp)
    answers = [*spherical_harmonics_gradient(y[0, :, :], 4), *wigner_matrices(turns, 3, pseudo=True)]
    answers += [rotate_coefficients(x, turns), scale_degrees(x, w)]
    for mode in ("auto", "reference"):
        with sci.options(kernels=mode):
            answers += [gaunt_product(x, y, 3, method=m) for m in ("auto", "sparse", "quadrature", "fft", "dense")]
            answers += [clebsch_gordan_product(x, y, 2, parity=parity) for parity in ("even", "odd")]
    return [to_host(a) for a in answers]


CASES: tuple[Callable[[ModuleType], Answers], ...] = (
    *(spectral_layers, operator_models, other_operators, operator_patches, operator_training, sphere),
    rotations_and_products,
)
