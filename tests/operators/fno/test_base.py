"""What all operators share: complex data, spheres, separable weights, files, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_gradients

from sci.errors import DTypeError, InvalidValueError
from sci.io import load, save
from sci.nn import relative_l2
from sci.operators import FNO, SFNO, UNO
from sci.operators.fno.base import require_known
from sci.operators.fno.config import FNOConfig

MODELS = {
    "complex": lambda: FNO((3, 4), 1, 2, 4, 2, complex_data=True, norm="group", stabilizer="tanh"),
    "complex finer": lambda: FNO((3, 3), 1, 2, 4, 2, complex_data=True, resolution_scaling=(1, 1.5)),
    "complex padding": lambda: FNO((3, 3), 1, 2, 4, 1, complex_data=True, domain_padding=0.25),
    "separable": lambda: FNO((3, 4), 1, 2, 4, 2, separable=True, factorization="tucker", rank_fraction=0.5),
    "finer": lambda: FNO((3, 4), 1, 2, 4, 2, resolution_scaling=((1.5, 1), (1, 0.5)), norm="instance"),
    "splines": lambda: FNO((3, 4), 1, 2, 4, 2, resolution_scaling=(2, 0.5), conventions="neuraloperator"),
    "sphere": lambda: SFNO((4, 6), 1, 2, 4, 2, joint=True, factorization="cp", rank_fraction=0.5),
    "uno": lambda: UNO([(3, 3), (2, 2), (3, 3)], (4, 6, 4), (1, 0.5, 2), 1, 2, 4, lifting_channels=5, norm="group"),
}


@pytest.mark.parametrize("name", MODELS)
def test_gradients_and_files(name, tmp_path):
    model = MODELS[name]()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 1, 6, 8))
    if "complex" in name:
        x = x + 1j * rng.normal(size=x.shape)
    double = {n: p.astype(np.complex128 if p.dtype.kind == "c" else np.float64) for n, p in model.parameters.items()}
    double = {n: p + 0.05 * rng.normal(size=p.shape) for n, p in double.items()}
    output = model.forward(double, x)
    assert output.shape == (2, 2, *model.config.output_grid((6, 8)))
    target = output + rng.normal(size=output.shape)
    assert_gradients(lambda v: relative_l2(model.forward(v, x), target=target), double)
    assert_gradients(lambda v: relative_l2(model.forward(v, x, checkpoint=True), target=target), double)
    save(tmp_path / "model.h5", model)
    back = load(tmp_path / "model.h5")
    assert type(back) is type(model)
    assert back.config == model.config
    kind = np.complex64 if "complex" in name else np.float32
    np.testing.assert_array_equal(back(x.astype(kind)), model(x.astype(kind)))
    assert model(x.astype(kind)).dtype == kind


def test_a_complex_model_of_real_weights_acts_on_both_parts():
    """Without the second halves a model is the real one on real and imaginary part, but for the spectral layers."""
    model = FNO((3, 3), 1, 1, 4, 1, complex_data=True, positional_grid=False)
    parameters = {
        n: 0 * p if n.startswith("imaginary.") or ".spectral." in n else p for n, p in model.parameters.items()
    }
    real = FNO((3, 3), 1, 1, 4, 1, positional_grid=False)
    own = {n: parameters[n] if ".spectral." not in n else 0 * p for n, p in real.parameters.items()}
    x = np.random.default_rng(1).normal(size=(2, 2, 1, 6, 6))
    z = FNO.of(model.config, parameters)(x[0] + 1j * x[1])
    both = [FNO.of(real.config, own)(part) for part in x]
    np.testing.assert_allclose(z, both[0] + 1j * both[1], rtol=0, atol=1e-6)


def test_a_sphere_turns_with_its_field():
    model = SFNO((6, 12), 1, 1, 4, 2, positional_grid=False, sphere="gauss-legendre")
    x = np.random.default_rng(2).normal(size=(1, 1, 8, 16))
    np.testing.assert_allclose(model(np.roll(x, 3, axis=3)), np.roll(model(x), 3, axis=3), rtol=0, atol=1e-12)


def test_what_is_refused():
    for options, name in (
        ({"sphere": "healpix"}, "sphere"),
        ({"sphere": "equiangular", "complex_data": True}, "complex_data"),
        ({"sphere": "equiangular", "domain_padding": 0.1}, "domain_padding"),
        ({"sphere": "equiangular", "resolution_scaling": 2.0}, "resolution_scaling"),
        ({"complex_data": True, "resolution_scaling": 2.0, "conventions": "neuraloperator"}, "conventions"),
        ({"conventions": "theirs"}, "conventions"),
        ({"separable": True, "factorization": "cp", "joint": True}, "separable"),
        ({"separable": True, "base_channels": 2}, "factorization"),
    ):
        with pytest.raises(InvalidValueError, match=name):
            FNO((4, 4), 1, 1, 4, 2, **options)
    with pytest.raises(InvalidValueError, match="n_modes"):
        SFNO((4,), 1, 1, 4, 2)
    with pytest.raises(InvalidValueError, match="one order"):
        SFNO((4, 1), 1, 1, 4, 2)
    with pytest.raises(DTypeError, match="complex64"):
        FNO((4, 4), 1, 1, 4, 2, complex_data=True)(np.zeros((1, 1, 8, 8), np.float32))
    with pytest.raises(InvalidValueError, match="width: no such option of an FNO"):
        require_known({"width": 3}, FNOConfig, "an FNO", 5)
