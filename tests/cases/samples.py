"""One object of every kind that files hold, and a way to compare them to the last bit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import numpy as np

from sci.applications import (
    Composite,
    Electrolyte,
    EquiNO,
    LinearElastic,
    PoissonBoltzmann,
    Saturating,
    SmokeFrame,
)
from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration, Prediction, Predictions
from sci.completion import Axis, Components, FunctionalCP, FunctionalFactor, FunctionalTucker
from sci.compression import (
    CodedFields,
    CompressedGrid,
    CompressedModel,
    MultiScaleVQ,
    WeightReport,
    compress,
    compress_grid,
)
from sci.ensembles import Clusters, Selection
from sci.fields import TriPlane
from sci.generative import (
    CrystalConfig,
    CrystalDiffusion,
    Crystals,
    DenseAssociativeMemory,
    MarginalModel,
    NextScaleConfig,
    NextScaleModel,
    crystal,
)
from sci.io import PoissonProblem, Samples, SmokeRun
from sci.linalg import Extremes, SpectralDensity, TraceEstimate
from sci.nn import (
    Checkpoint,
    CodedWeight,
    LabelVolume,
    ModelState,
    Segmenter,
    SPDNet,
    Standardizer,
    UNet,
    UNetConfig,
    WeightChange,
    WeightDelta,
    WeightDeltas,
    fingerprint,
    pack_codes,
)
from sci.operators import FNO, SFNO, TFNO, UNO, TrainedOperator
from sci.potentials import (
    Interstitial,
    LatticePotential,
    PeriodicPotential,
    RangeSeparatedPotential,
    Substitution,
    Trajectory,
    Vacancy,
)
from sci.potentials.forcefield.exclusions import Exclusions
from sci.potentials.grid import PotentialGrid
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import GaussianSum, Yukawa
from sci.potentials.radial.split import Split, smooth_part
from sci.scaling import PowerLaw, PowerLawFit
from sci.sequence import TransNormer
from sci.solvers import CycleModel, Minimum, PoissonOperator, SolveResult, Spectrum
from sci.solvers.network.numbers import SHAPES as NETWORK_SHAPES
from sci.tensor import CP, ChebTuck, TensorTrain, Tucker


def numbers(*shape: int, start: int = 1) -> np.ndarray:
    """Return numbers with exact binary fractions and many digits, the same on every machine."""
    k = np.arange(start, start + int(np.prod(shape)), dtype=np.int64)
    return ((k * 7919 % 10007 - 5000) / 1024).reshape(shape)


MASK = numbers(4, 5, 3) > -2.0
SOLUTION = SolveResult(numbers(4, 5, 3), 2, numbers(3) ** 2, True, 0.25)
MINIMUM = Minimum(
    numbers(4, 3, 5), -(numbers(3) ** 2), numbers(3) ** 2, np.array([1.0, 0.5]), np.array([3, 7]), True, "newton", 0.25
)
GAUSSIANS = GaussianSum(numbers(3) ** 2, numbers(3))
SPLIT = Split(Yukawa(0.25), 1.5, 3.0, GAUSSIANS, smooth_part(GAUSSIANS, 3.0, 8))


def _problem() -> PoissonProblem:
    body = ~MASK & (numbers(4, 5, 3) > -3.0)
    walls = [("dirichlet", "neumann"), "periodic", "dirichlet"]
    coefficient = 1 + numbers(4, 5, 3) ** 2
    A = PoissonOperator(MASK, (1.0, 0.5, 2.0), walls, neumann_body=body, coefficient=coefficient, mean="arithmetic")
    return PoissonProblem(A, numbers(4, 5, 3) * MASK)


def smoke_frames() -> list[SmokeFrame]:
    """Return two frames in the plane."""
    return [
        SmokeFrame(
            time=k / 8,
            density=numbers(3, 4, start=k),
            velocity=(numbers(4, 4, start=k), numbers(3, 5, start=k)),
            pressure=numbers(3, 4, start=7 * k),
            source=numbers(3, 4, start=8 * k),
            result=SolveResult(numbers(3, 4, start=7 * k), 2, numbers(3) ** 2, True, 0.25),
        )
        for k in (1, 2)
    ]


def _exact(shapes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return parameters of the same shapes and dtypes, the same on every machine."""
    return {name: numbers(*p.shape, start=7 * k).astype(p.dtype) for k, (name, p) in enumerate(shapes.items())}


def make_deltas() -> WeightDeltas:
    """Return two deltas of one model, with changes of every kind and dtype."""
    model = {"w": numbers(4, 3).astype("f4"), "v": numbers(2, 3, start=5) / 8, "s": numbers(3).astype("c8") * 1j}
    loldu = WeightChange(
        "loldu", {"z": numbers(2).astype("f4"), "scale": np.ones((), "f4"), "pivots": np.array([[3, 0], [1, 1]])}
    )
    logs = {"log_a": np.zeros(()), "log_b": np.full((), 0.25)}
    changes = {
        "w": loldu,
        "v": WeightChange("compander", {"v": numbers(2, 3), **logs}),
        "s": WeightChange("free", {"value": numbers(3).astype("c8")}),
    }
    shift = WeightChange("shift", {"direction": 1j * numbers(3), "scale": np.ones(())})
    own = fingerprint(model)
    return WeightDeltas({"low viscosity": WeightDelta(own, changes), "Ω": WeightDelta(own, {"s": shift})})


def _compressed() -> CompressedModel:
    """Return an operator of which one weight is codes, and one vector is kept in two bytes."""
    fno = FNO((2, 2), 1, 1, 2, 1)
    state = TrainedOperator(FNO.of(fno.config, _exact(fno.parameters))).to_state()
    name, halves = "blocks.0.spectral.weight", ["lifting.0.bias"]
    shape = state.parameters[name].shape
    codes = np.arange(2 * int(np.prod(shape))) % 4
    groups, books = np.arange(shape[0] * shape[1] * shape[3]) % 2, numbers(2, 4).astype("f4")
    weight = CodedWeight(shape, pack_codes(codes, 2), books, groups, 2, row_axes=(0, 1, 3), dtype="c8")
    short = {n: state.parameters[n].astype("f2").astype("f4") for n in halves}
    held = ModelState(state.name, state.options, {**state.parameters, **short, name: weight})
    report = WeightReport(2, 2, 0.5, 0.25, True)
    return CompressedModel(
        TrainedOperator, held, fingerprint(state.parameters), halves=halves, reports={name: report}, output_error=0.125
    )


def make_models() -> dict[str, object]:
    """Return one model of every class but the largest."""
    fno = FNO((2, 2), 1, 1, 2, 1, domain_padding=(0.25, 0.0))
    tfno = TFNO((2, 2), 1, 1, 2, 1)
    sfno = SFNO((2, 2), 1, 1, 2, 1)
    uno = UNO([(2, 2), (2, 2)], (2, 3), (0.5, 2), 1, 1, 2, lifting_channels=2, projection_channels=2)
    special = FNO((2, 2), 1, 1, 2, 1, complex_data=True, resolution_scaling=2, separable=True)
    # Files of schema 2 without decays have those that models had then.
    former = TransNormer.create(seed=0, width=4, heads=2, layers=1, hidden=4, vocabulary=6, decays=[[4.0, 8.0]])
    equino = EquiNO(
        Composite(np.arange(6).reshape(2, 3) % 2, (LinearElastic(2.0, 1.0), Saturating(4.0, 2.0, 0.5))),
        *(numbers(2, 3, 2, 3), numbers(1, 3, 2, 3)),
        **{"strain_range": 0.5, "width": 3, "depth": 2},
    )
    equino.parameters = _exact(equino.parameters)
    standard = Standardizer(numbers(1, 1, 1, 1).astype("f4"), numbers(1, 1, 1, 1).astype("f4") ** 2, 1e-7)
    spd = SPDNet((3, 2), 2, hidden_channels=2, theta=0.5, seed=0).to_state()
    unet = UNet(UNetConfig(2, 1, 3, (2, 4), (2, 1), norm="evonorm_b0", skip_scaling="decay")).to_state()
    cycle = CycleModel.untrained().parameters
    segmenter = Segmenter(UNet(UNetConfig(2, 1, 2, (2, 2), skip_scaling="learned")), standard).to_state()
    plain = AtomisticConfig(["Na", "Cl"], 4.0, channels=2, n_radial=2, hidden=2, charges={"Na": 1.0, "Cl": -1.0})
    atoms = AtomisticPotential(plain)
    start = {"Na": 0.75, "Cl": -0.5}
    learned = AtomisticPotential(replace(plain, charges="learned", charge_start=start))
    tokens = NextScaleConfig([(1, 1), (2, 2)], 3, 2, width=4, heads=2, layers=1, classes=2, codebook="0f" * 32)
    next_scale, marginal = NextScaleModel.create(tokens), MarginalModel(3, 2, hidden=4, layers=1)
    model_of_crystals = CrystalDiffusion.create(
        _two_crystals(), CrystalConfig(widths=[3], depth=1, steps=4, predicts="residual")
    )
    return {
        "atomistic_potential": atoms.with_parameters(_exact(atoms.parameters), _exact(atoms.statistics)),
        "charged_potential": learned.with_parameters(_exact(learned.parameters), _exact(learned.statistics)),
        "unet": UNet.from_state(ModelState(unet.name, unet.options, _exact(unet.parameters))),
        "segmenter": Segmenter.from_state(ModelState(segmenter.name, segmenter.options, _exact(segmenter.parameters))),
        "fno": FNO.of(fno.config, _exact(fno.parameters)),
        "tfno": TFNO.of(tfno.config, _exact(tfno.parameters)),
        "sfno": SFNO.of(sfno.config, _exact(sfno.parameters)),
        "uno": UNO.of(uno.config, _exact(uno.parameters)),
        "trained_uno": TrainedOperator(UNO.of(uno.config, _exact(uno.parameters))),
        "complex_fno": FNO.of(special.config, _exact(special.parameters)),
        "trained_operator": TrainedOperator(TFNO.of(tfno.config, _exact(tfno.parameters)), None, standard),
        "transnormer": former.with_parameters(_exact(former.parameters)),
        "crystal_diffusion": model_of_crystals.with_parameters(_exact(model_of_crystals.parameters)),
        "next_scale_model": next_scale.with_parameters(_exact(next_scale.parameters)),
        "marginal_model": marginal.with_parameters({name: _exact(part) for name, part in marginal.parameters.items()}),
        "dense_memory": DenseAssociativeMemory.from_state(
            ModelState("dense_memory", {"order": 4}, {"patterns": numbers(2, 5)})
        ),
        # Files of older schemas hold no numbers of networks.
        "learned_multigrid": CycleModel(cycle | _exact({k: v for k, v in cycle.items() if k not in NETWORK_SHAPES})),
        "equino": equino,
        "weight_deltas": make_deltas(),
        "triplane": _triplane(),
        "compressed_model": _compressed(),
        "vector_quantizer": MultiScaleVQ(
            numbers(2, 5, 4), [(1, 1), (2, 3)], (2, 1), (numbers(1, 4, 4, 3, 3), numbers(1, 4))
        ),
        "spd_network": SPDNet.from_state(ModelState(spd.name, spd.options, _exact(spd.parameters))),
    }


def _completed(tucker: bool = False) -> FunctionalCP | FunctionalTucker:
    """A field of two fits over three times and two sites, from fixed numbers."""
    axes = (Axis("time", np.array([0.0, 0.5, 2.0])), Axis("site", np.array(["a", "Üe"])))
    free = np.array([[True, True], [True, False]])
    factors = []
    for axis, smoothness, f in zip(axes, (2.5, 0.0), (2, 1)):
        roots = numbers(len(axis), 2, f, f)
        precision, information = roots @ roots.swapaxes(-1, -2), numbers(len(axis), 2, f)
        factors.append(
            FunctionalFactor(axis, smoothness, 0.5 + numbers(2, f) ** 2, numbers(2, f) ** 2, precision, information)
        )
    weights = tuple(0.5 + numbers(len(axis)) ** 2 for axis in axes)
    bounds = np.array([[-40.0, -41.0], [-30.0, -32.0]])
    common = (tuple(factors), 10.0, 2.0, np.array([0.25, 0.5]), bounds[-1], bounds, 0.375, weights)
    if tucker:
        core = (numbers(2, 2, 1), np.stack([np.diag([0.5, 0.25]), np.diag([1.0, 2.0])]))
        return FunctionalTucker(*common, np.linspace(0.0, 3.0, 103), 0.75, *core)
    return FunctionalCP(*common, np.linspace(0.0, 3.0, 103), 0.75, Components(free))


def _two_crystals() -> Crystals:
    salt = crystal([11, 17], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [1.0, 0.5, 4.0]])
    return Crystals([salt, crystal([11, 11], [[0.0, 0.25, 0.0], [0.5, 0.5, 0.75]], 3.5 * np.eye(3))])


def _triplane() -> TriPlane:
    shapes = {"planes": (3, 2, 2, 2), "w0": (2, 3), "b0": (3,), "w1": (1, 3), "b1": (1,)}
    values = {name: numbers(*shape).astype("f4") for name, shape in shapes.items()}
    return TriPlane(2, features=2, hidden=3, box=((-1.0, 0.0, 0.5), (1.0, 2.0, 3.0)), parameters=values)


def make_objects() -> dict[str, object]:
    """Return one object of every kind, and some more that are special in some way."""
    factors = (numbers(9, 2), numbers(8, 3), numbers(7, 4))
    return {
        "particles": Particles(numbers(4, 3), [1, -1, 0.5, 0], [1, 2, 3, 0], ("N", "CA", "H5'", "Ω"), np.eye(3) * 20),
        "bonded_particles": Particles(numbers(4, 3), [1, -1, 0.5, 0], exclusions=Exclusions.from_bonds([[0, 1]], 4)),
        "bare_particles": Particles([[0.0, 1.0, 2.0]], [-2.0]),
        "crystals": _two_crystals(),
        "cp": CP(numbers(3), (numbers(4, 3), numbers(5, 3), numbers(6, 3))),
        "tucker": Tucker(numbers(2, 3, 4), factors),
        "tensor_train": TensorTrain((numbers(4, 2), numbers(2, 5, 3), (1 - 2j) * numbers(3, 6))),
        "complex_tucker": Tucker((1 + 2j) * numbers(2, 2), (np.eye(5)[:, :2], np.eye(4)[:, :2])),
        "chebtuck": ChebTuck(numbers(2, 3, 4), factors, ((-1.0, 1.0), (0.0, 2.0), (-3.5, 8.0))),
        "labels": LabelVolume((numbers(3, 4, 5) > 0).astype(np.uint8) * 3, 5, (0.5, 0.25, 1.0)),
        "flat_labels": LabelVolume(np.arange(12, dtype=np.uint16).reshape(4, 3) * 99, 2000),
        "grid": PotentialGrid(numbers(3, 4, 5), (1.0, -2.0, 3.0), (0.5, 0.25, 1.0), "kT/e"),
        "model": ModelState(
            "FNO", {"n_modes": [4, 4], "gain": 0.5}, {"b.w": numbers(2, 3), "a": numbers(3).astype("c8") * 1j}
        ),
        "checkpoint": Checkpoint(
            3,
            {"w": numbers(2, 3).astype("f4"), "b": numbers()},
            {"second": {"w": numbers(2, 3).astype("f4"), "b": numbers()}, "first": {}},
            numbers(3),
            {"test": numbers(1)},
            {"seed": 0},
        ),
        "periodic": PeriodicPotential.from_parts(
            Particles(numbers(2, 3), [1, -1], cell=np.diag([4.0, 5.0, 6.0])), 1e-3, 0.5, (1 - 2j) * numbers(3, 5, 3)
        ),
        "slab": PeriodicPotential(
            Particles([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]], [1, -1], cell=np.diag([4.0, 5.0, 6.0])),
            1e-3,
            kernel=Yukawa(0.5),
            slab=True,
            alpha=0.3,
        ),
        "lattice": LatticePotential(
            Particles(np.eye(2, 3), [1, -0.5], cell=np.eye(3) * 4),
            (3, 4, 2),
            defects=[Vacancy(0, (1, 1, 1)), Substitution(1, (0, 0, 0), 2.0), Interstitial((0.5, 2.5, 3.5), -1.0)],
            tol=1e-5,
            weights="evjen",
        ),
        "potential": RangeSeparatedPotential.from_parts(
            Particles(numbers(4, 3), [1, -1, 0.5, 0], names=("N", "CA", "C", "O")),
            ChebTuck(numbers(2, 3, 4), factors, ((-5.0, 5.0), (-6.0, 6.0), (-7.0, 7.0))),
            SPLIT,
            1e-4,
        ),
        "trajectory": Trajectory(np.arange(3) * 2, numbers(3), numbers(3, 4, 3), 3),
        "float32_grid": PotentialGrid(numbers(1, 2, 3).astype("f4"), (0, 0, 0), (1, 1, 1)),
        "split": SPLIT,
        "samples": Samples(numbers(5, 3), numbers(5, 2, 4)),
        "poisson": _problem(),
        "solution": SOLUTION,
        "compressed_field": compress(np.full((3, 4), 1.5), 1e-3),
        "field_in_chunks": _in_chunks(),
        "power_law": PowerLawFit(
            PowerLaw(0.25, (0.5, 0.125), (0.5, 0.25), (100.0, 1e6)),
            *(numbers(3, 5) ** 2, numbers(3) ** 2, 1 + numbers(8, 2) ** 2, 1 + numbers(8) ** 2, 7, ("size", "samples")),
        ),
        "spectrum": Spectrum(
            SpectralDensity(np.array([0.25, 0.5, 1.0, 6.0, 12.5]), np.array([0.125, 0.125, 0.5, 0.125, 0.125]), 60),
            Extremes(0.25, 12.5, 1e-3, 0.5),
            TraceEstimate(-7.5, 0.25, 1e-6, probes=10, steps=40),
            1,
            "multigrid",
        ),
        "minimum": MINIMUM,
        "poisson_boltzmann": PoissonBoltzmann(
            numbers(4, 3, 5),
            numbers(4, 3, 5, start=3) ** 2,
            np.array([-1.5, 0.25, 2.0]),
            0.5,
            numbers(2),
            numbers(2, start=5) ** 2,
            -2.5,
            0.125,
            -0.0625,
            Electrolyte(0.25, 300.0, (2, -1), 1.5),
            MINIMUM,
        ),
        "smoke": SmokeRun(smoke_frames()),
        "composite": Composite(np.arange(6).reshape(2, 3) % 2, (LinearElastic(2.0, 1.0), Saturating(4.0, 2.0, 0.5))),
        "clusters": Clusters(numbers(3, 2).astype("f4"), np.arange(5) % 3, numbers(5).astype("f4") ** 2, 1.5, 7, True),
        "functional_cp": _completed(),
        "functional_tucker": _completed(tucker=True),
        "atomic_predictions": _predictions(),
        "coded_fields": CodedFields(
            *("0123456789abcdef" * 4, 5, [(1, 1), (2, 3)], (2, 1)),
            [np.arange(2, dtype=np.uint8).reshape(2, 1, 1) * 32, np.arange(8, dtype=np.uint8).reshape(2, 2, 2) * 16],
            *(numbers(2, 3) ** 2, numbers(2) ** 2, numbers(2, start=5) ** 2),
        ),
        "selection": Selection(np.array([0, 3]), numbers(5), "hard"),
        **make_models(),
    }


def _predictions() -> Predictions:
    """Return predictions for a labelled periodic and a bare isolated configuration, from fixed numbers."""
    labels = {"charges": [1.0, -1.0], "energy": -4.25, "forces": numbers(2, 3), "stress": np.eye(3) / 8}
    crystal = Configuration(("Na", "Cl"), numbers(2, 3), 6.0 * np.eye(3), **labels)
    found = Prediction(-4.0, numbers(2, 3, start=2), np.eye(3) / 4), Prediction(0.5, numbers(1, 3))
    return Predictions((crystal, Configuration(("Cl",), [[0.0, 1.0, 2.0]])), found)


_STATE = {
    AtomisticPotential: ("config", "parameters", "statistics"),
    PeriodicPotential: ("particles", "tol", "alpha", "modes"),
    RangeSeparatedPotential: ("all_particles", "long_range", "split", "tol"),
    LatticePotential: ("particles", "repeats", "defects", "tol", "weights", "domain", "reach"),
    PoissonOperator: ("mask", "neumann_body", "coefficient", "spacing", "boundary", "mean"),
    (FNO, UNO): ("config", "parameters"),
    CrystalDiffusion: ("config", "features", "compositions", "parameters"),
    NextScaleModel: ("config", "parameters"),
    MarginalModel: ("n_variables", "n_values", "hidden", "layers", "parameters"),
    DenseAssociativeMemory: ("patterns", "order"),
    TransNormer: ("width", "heads", "layers", "hidden", "vocabulary", "parameters"),
    CompressedModel: ("cls", "state", "original", "halves", "reports", "output_error"),
    CodedWeight: ("shape", "dtype", "bits", "row_axes", "packed", "codebooks", "groups"),
    CycleModel: ("parameters",),
    SPDNet: ("options", "parameters", "statistics"),
    UNet: ("config", "parameters", "statistics"),
    TriPlane: ("box", "parameters"),
    EquiNO: ("composite", "modes", "strain_range", "depth", "parameters"),
}


def _in_chunks() -> CompressedGrid:
    """Return two chunks of one number each, whose bytes no machine rounds otherwise."""
    grid = compress_grid(np.repeat([1.5, 0.25], 6).reshape(4, 3), 1e-3, bound="maximum", chunk=2)
    return replace(grid, times=numbers(4))


def same(a: object, b: object) -> bool:
    """Return True if two objects hold the same bits."""
    if isinstance(a, SmokeRun):
        return type(a) is type(b) and same(tuple(a), tuple(b))
    if is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    for kind, names in _STATE.items():
        if isinstance(a, kind):
            return type(a) is type(b) and all(same(getattr(a, name), getattr(b, name)) for name in names)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float) and np.isnan(a):  # a condition that is not known
        return isinstance(b, float) and bool(np.isnan(b))
    return a == b
