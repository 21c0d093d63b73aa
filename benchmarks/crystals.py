"""Diffusion of crystals: round trips, the exact denoiser, and what trained models make beside their training set.

    OMP_NUM_THREADS=1 python benchmarks/crystals.py [--only round exact train ...] [--sets ionic dcdft aflow]

`round`: tensors of the 71 elemental crystals of ASE and the 288 prototypes of AFLOW (PyPI `pymatgen`), there and back.
`exact`: samples by the exact denoiser of the elemental crystals: distance to the set, counts beside equal ones.
`train`: models of given compositions, of compositions drawn first, and of both at once, on each set: CPU seconds, mean
squared errors of the noise beside the least ones, and measures of 400 draws beside those of the training; SMACT (PyPI
`smact`) judges compositions, too, and pymatgen's matcher what is known, where they are installed; space groups need
spglib.
`held`: a quarter of the ionic compositions is held out, and then asked for. `unet`: the U-Net over the periodic table.
`circle`: coordinates on circles and as they are, for crystals whose origin was drawn at random.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chisquare

from sci.generative import (
    CrystalConfig,
    CrystalDiffusion,
    CrystalFeatures,
    Crystals,
    CrystalTraining,
    ExactDenoiser,
    cosine_schedule,
    crystal,
    decode_crystal,
    draw_samples,
    encode_crystal,
    evaluate_crystals,
    generate_crystals,
    ionic_crystals,
    noise_losses,
    train_crystals,
)
from sci.generative.crystals.crystals import fractions_of
from sci.generative.crystals.elements import SYMBOLS
from sci.generative.crystals.table import wrapped

DRAWS = 400
SOURCES: tuple[Any, ...] = ("given", "first", "joint")
STEPS = np.array([1, 10, 40, 80, 120, 160])


def elemental() -> Crystals:
    """Return the 71 elemental crystals of ASE."""
    from ase.collections import dcdft

    atoms = [dcdft[name] for name in dcdft.names]
    return Crystals([crystal(a.numbers.tolist(), a.get_scaled_positions(), np.array(a.cell)) for a in atoms])


def prototypes(most: int | None = 8) -> Crystals:
    """Return the prototypes of AFLOW that pymatgen ships, with at most so many atoms of an element."""
    spec = importlib.util.find_spec("pymatgen")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the prototypes need pymatgen: pip install pymatgen")
    path = Path(spec.submodule_search_locations[0], "analysis", "prototypes", "aflow_prototypes.json.gz")
    found = []
    for entry in json.loads(gzip.decompress(path.read_bytes())):
        sites, cell = entry["snl"]["sites"], entry["snl"]["lattice"]["matrix"]
        numbers = [SYMBOLS.index(site["species"][0]["element"]) + 1 for site in sites]
        if most is None or max(Counter(numbers).values()) <= most:
            found.append(crystal(numbers, [site["abc"] for site in sites], cell))
    return Crystals(found)


SETS = {"ionic": ionic_crystals, "dcdft": elemental, "aflow": prototypes}


def round_trips() -> None:
    """Print the largest error of coordinates of tensors, there and back."""
    for name, crystals in (("dcdft", elemental()), ("aflow", prototypes(None))):
        error = 0.0
        for one, numbers in zip(crystals, crystals.numbers):
            places, cell = fractions_of(one)
            most = max(Counter(numbers.tolist()).values())
            found, back, _ = decode_crystal(*encode_crystal(numbers, places, cell, slots=most))
            order = np.argsort(numbers, kind="stable")
            assert (found == numbers[order]).all()
            error = max(error, float(np.abs(back - wrapped(places)[order]).max()))
        print(f"round trip {name}: {len(crystals)} crystals, largest error of a coordinate {error:g}")


def exact() -> None:
    """Print how far samples of the exact denoiser are from their set, and how often each crystal was drawn."""
    crystals, schedule, count = elemental(), cosine_schedule(200), 71 * 8
    features = CrystalFeatures.fit(crystals)
    points = features.encode(crystals)
    for eta in (1.0, 0.0):
        start = time.process_time()
        denoiser = ExactDenoiser(schedule, points)
        found = draw_samples(denoiser, schedule, count, [features.width], eta=eta, batch_size=71)
        seconds = time.process_time() - start
        distances = np.array([np.abs(points - x).max(axis=1) for x in found])
        counts = np.bincount(distances.argmin(axis=1), minlength=71)
        report = evaluate_crystals([features.decode(x) for x in found[:200]], training=crystals)
        print(
            f"exact denoiser, eta {eta:g}: {count} samples of {features.width} numbers, largest distance to the set "
            f"{distances.min(axis=1).max():.1e}, chi-square p {chisquare(counts).pvalue:.2f}, "
            f"valid {report.validity:.3f}, new {report.novelty:.3f}, {seconds:.0f} s"
        )


def smact_valid(crystals: list[Any]) -> str:
    """Return the part of compositions that SMACT takes."""
    try:
        from smact.screening import smact_validity
    except ImportError:
        return "-"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = []
        for one in crystals:
            counts = Counter(one.species)
            text = "".join(f"{symbol}{n}" for symbol, n in counts.items())
            found.append(smact_validity(text))
    return f"{np.mean(found):.3f}"


def matched(found: list[Any], known: Crystals) -> str:
    """Return the part of crystals that pymatgen's matcher finds in none of the known ones."""
    try:
        from pymatgen.analysis.structure_matcher import StructureMatcher
        from pymatgen.core import Structure
    except ImportError:
        return "-"

    def structure(one: Any) -> Any:
        return Structure(one.cell, list(one.species), one.positions, coords_are_cartesian=True)

    matcher = StructureMatcher()
    by_formula: dict[str, list[Any]] = {}
    for one, name in zip(known, known.formulas):
        by_formula.setdefault(name, []).append(structure(one))
    new = []
    for one in found:
        others = by_formula.get(Crystals([one]).formulas[0], [])
        new.append(not any(matcher.fit(structure(one), other) for other in others))
    return f"{np.mean(new):.3f}"


def formulas(crystals: Any) -> list[tuple[tuple[str, int], ...]]:
    """Return the atoms of each element in the cell of each crystal."""
    return [tuple(sorted(Counter(one.species).items())) for one in crystals]


def measures(name: str, found: list[Any], training: Crystals, draws: int) -> None:
    """Print the measures of crystals."""
    symmetry = 0.1 if importlib.util.find_spec("spglib") else None
    report = evaluate_crystals(found, training=training, draws=draws, symmetry=symmetry)
    looser = evaluate_crystals(found, training=training, draws=draws, tolerance=0.3)
    known = set(formulas(training))
    groups = "" if not report.space_groups else f", space groups {dict(Counter(report.space_groups).most_common(5))}"
    print(
        f"  {name}: valid {report.validity:.3f}, neutral {report.composition_validity:.3f} "
        f"(SMACT {smact_valid(found)}), "
        f"compositions of the training {np.mean([f in known for f in formulas(found)]):.3f}, "
        f"unique {report.uniqueness:.3f}, new {report.novelty:.3f} at 0.1 A and {looser.novelty:.3f} at 0.3 A "
        f"(matcher {matched(found[:100], training)}), density {report.density[0]:.2f} +- {report.density[1]:.2f} "
        f"g/cm^3 (distance {report.density_distance:.2f}){groups}"
    )


def trained(crystals: Crystals, config: CrystalConfig, training: CrystalTraining) -> tuple[CrystalDiffusion, float]:
    """Return a trained model and the CPU seconds of its training."""
    start = time.process_time()
    model, _ = train_crystals(CrystalDiffusion.create(crystals, config), crystals, training)
    return model, time.process_time() - start


def draws_of(model: CrystalDiffusion, **options: Any) -> list[Any]:
    """Return the crystals of the draws, those with two atoms in one place left out."""
    from sci.generative.crystals.denoiser.generate import without_coincident

    drawn = generate_crystals(model, DRAWS, batch_size=50, **options)
    crystals, failures = without_coincident(drawn)
    if model.config.compositions == "first":
        print(f"  {drawn.accepted:.3f} of the compositions were kept")
    if failures:
        print(
            f"  {len(failures)} draws are no crystal: "
            f"{Counter(why.split(';')[0][:40] for why in failures.values()).most_common(2)}"
        )
    return list(crystals or [])


def train(names: list[str], epochs: int, width: int, sources: Sequence[Any]) -> None:
    """Print the measures of models on each set, with and without given compositions."""
    for name in names:
        crystals = SETS[name]()
        print(f"{name}: {len(crystals)} crystals")
        measures("training set", list(crystals), crystals, len(crystals))
        for source in sources:
            config = CrystalConfig(widths=[width], compositions=source)
            model, seconds = trained(crystals, config, CrystalTraining(epochs))
            ours, least = noise_losses(model, crystals, STEPS)
            about = f"{model.n_parameters:,} parameters, {epochs} epochs, {seconds:.0f} s; errors of the noise"
            print(f"  compositions {source}: {about}")
            print("    " + ", ".join(f"t={t} {a:.4f} (least {b:.4f})" for t, a, b in zip(STEPS, ours, least)))
            measures("draws", draws_of(model), crystals, DRAWS)
            if source == "first":
                measures("neutral ones", draws_of(model, neutral=True), crystals, DRAWS)


def held_out(epochs: int) -> None:
    """Print the measures of compositions that no crystal of the training has."""
    whole = ionic_crystals()
    chosen = np.random.default_rng(0).permutation(len(whole))
    known, asked = (Crystals([whole.configurations[k] for k in sorted(part)]) for part in (chosen[30:], chosen[:30]))
    model, seconds = trained(known, CrystalConfig(), CrystalTraining(epochs))
    found, errors = [], []
    for one in asked:
        try:
            made = generate_crystals(model, 5, composition=Counter(one.species), batch_size=5).configurations
        except ValueError:
            continue
        found += made
        errors += [abs(m.volume / one.volume - 1) for m in made]
    print(f"held out: {len(found) // 5} of 30 compositions whose elements and counts are known, {seconds:.0f} s")
    measures("draws", found, known, len(found))
    matches = evaluate_crystals(found, training=asked, tolerance=0.3)
    print(
        f"  volumes off by {np.mean(errors):.1%}; {1 - matches.novelty:.1%} are the crystal that was held out, at 0.3 A"
    )


def unet(epochs: int) -> None:
    """Print the measures of the U-Net on a few crystals."""
    crystals = Crystals(ionic_crystals().configurations[:12])
    config = CrystalConfig("unet", (8, 16), 1)
    model, seconds = trained(crystals, config, CrystalTraining(epochs, 12, 5e-3))
    ours, least = noise_losses(model, crystals, STEPS)
    print(f"U-Net: {len(crystals)} crystals, {model.n_parameters:,} parameters, {epochs} epochs, {seconds:.0f} s")
    print("    " + ", ".join(f"t={t} {a:.4f} (least {b:.4f})" for t, a, b in zip(STEPS, ours, least)))
    global DRAWS
    DRAWS = 24
    measures("draws", draws_of(model), crystals, DRAWS)


def circle(epochs: int) -> None:
    """Print the validity of both representations for crystals whose origins were drawn at random."""
    rng, moved = np.random.default_rng(0), []
    whole = ionic_crystals()
    for one, numbers in zip(whole, whole.numbers):
        places, cell = fractions_of(one)
        moved.append(crystal(numbers.tolist(), places + rng.uniform(size=3), cell))
    crystals = Crystals(moved)
    for representation in ("circle", "fraction"):
        config = CrystalConfig(representation=representation)  # type: ignore[arg-type]
        model, seconds = trained(crystals, config, CrystalTraining(epochs))
        print(f"{representation}, origins at random: {seconds:.0f} s")
        measures("draws", draws_of(model), crystals, DRAWS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["round", "exact", "train", "held", "unet", "circle"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--compositions", nargs="+", choices=SOURCES, default=SOURCES, help="of the part train")
    a = parser.parse_args()
    jobs = {
        "round": round_trips,
        "exact": exact,
        "train": lambda: train(a.sets, a.epochs, a.width, a.compositions),
        "held": lambda: held_out(a.epochs),
        "unet": lambda: unet(a.epochs // 10),
        "circle": lambda: circle(a.epochs // 2),
    }
    for name in a.only:
        jobs[name]()
