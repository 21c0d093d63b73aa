"""One right call of every public function and class of diffusion and crystals, to be spoiled argument by argument."""

from __future__ import annotations

import numpy as np
from entry_calls import Call, call

from sci import generative
from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, CrystalTraining

SALTS = Crystals(generative.ionic_crystals().configurations[:3])
SMALL = CrystalConfig(widths=[4], depth=1, steps=4)


def diffusion_calls() -> dict[str, Call]:
    """Return the calls of schedules, denoisers and samples."""
    schedule, rows = generative.cosine_schedule(4), np.array([[0.5, -1.0], [1.0, 0.25]])
    denoiser = generative.ExactDenoiser(schedule, rows)
    return {
        "ExactDenoiser": call(generative.ExactDenoiser, schedule, rows, np.array([1.0, 2.0])),
        "NoiseSchedule": call(generative.NoiseSchedule, [0.25, 0.5]),
        "NoiseSchedule.add_noise": call(schedule.add_noise, rows, rows, 2),
        "NoiseSchedule.check": call(schedule.check, 2, 1),
        "NoiseSchedule.posterior_mean": call(schedule.posterior_mean, rows, rows, 2),
        "NoiseSchedule.posterior_variance": call(schedule.posterior_variance, 2),
        "NoiseSchedule.transition": call(schedule.transition, 2, 1, eta=0.5),
        "cosine_schedule": call(generative.cosine_schedule, 4, offset=0.01, largest_beta=0.9),
        "draw_samples": call(
            generative.draw_samples, denoiser, schedule, 2, [2], steps=2, eta=0.5, seed=1, batch_size=2
        ),
        "Transition": call(generative.Transition, 1.0, 0.0, 0.0),
        "linear_schedule": call(generative.linear_schedule, 4, first=0.01, last=0.02),
    }


def crystal_calls() -> dict[str, Call]:
    """Return the calls of crystals, their tensors and measures."""
    salt, numbers = SALTS.configurations[0], SALTS.numbers[0]
    tensor, parameters = generative.encode_crystal([11, 17], [[0, 0, 0], [0.5] * 3], 3 * np.eye(3), slots=1)
    prints = [generative.fingerprint(salt)]
    return {
        "CrystalTensor": call(generative.CrystalTensor, tensor, parameters),
        "CrystalReport": call(generative.CrystalReport, 2, 1.0, 0.5, 1.0, None, (2.0, 0.5), 0.1, {225: 2}),
        "Crystals": call(Crystals, list(SALTS)),
        "Fingerprint": call(generative.Fingerprint, "ClNa", prints[0].distances),
        "Fingerprint.difference": call(prints[0].difference, prints[0]),
        "atoms_apart": call(generative.atoms_apart, salt, distance=0.5),
        "composition_of": call(generative.composition_of, "NaCl"),
        "crystal": call(generative.crystal, [11, 17], np.array([[0, 0, 0], [0.5] * 3]), 3 * np.eye(3)),
        "decode_crystal": call(generative.decode_crystal, tensor, parameters, threshold=-0.5),
        "encode_crystal": call(
            generative.encode_crystal, np.array([11, 17]), np.array([[0, 0, 0], [0.5] * 3]), 3 * np.eye(3), slots=1
        ),
        "evaluate_crystals": call(
            generative.evaluate_crystals, list(SALTS)[:1], training=SALTS, draws=2, distance=0.5, tolerance=0.1
        ),
        "fingerprint": call(generative.fingerprint, salt, neighbors=3),
        "first_alike": call(generative.first_alike, prints, prints, 0.1),
        "ionic_crystals": call(generative.ionic_crystals),
        "neutral_composition": call(generative.neutral_composition, numbers, alloys=False),
    }


def denoiser_calls() -> dict[str, Call]:
    """Return the calls of models that denoise crystals, and of their trainings."""
    model = CrystalDiffusion.create(SALTS, SMALL)
    features = model.features
    occupied = np.array([features.occupied(n) for n in SALTS.numbers])
    fitted = (features.elements, features.depths, features.cell_mean, features.cell_std)
    vectors = features.encode(SALTS)
    return {
        "CrystalConfig": call(CrystalConfig, "unet", (2, 2), 1, 4),
        "CrystalDiffusion": call(CrystalDiffusion, SMALL, features, model.compositions, seed=1, dtype=np.float64),
        "CrystalDiffusion.create": call(CrystalDiffusion.create, SALTS, SMALL, seed=1, dtype=np.float64),
        "CrystalDiffusion.from_state": call(CrystalDiffusion.from_state, model.to_state()),
        "CrystalDiffusion.spread": call(model.spread, occupied),
        "CrystalDiffusion.with_parameters": call(model.with_parameters, model.parameters),
        "CrystalFeatures": call(generative.CrystalFeatures, *fitted, "circle"),
        "CrystalFeatures.decode": call(features.decode, vectors[0], occupied[0]),
        "CrystalFeatures.encode": call(features.encode, SALTS),
        "CrystalFeatures.fit": call(generative.CrystalFeatures.fit, SALTS, "circle"),
        "CrystalFeatures.occupied": call(features.occupied, SALTS.numbers[0]),
        "CrystalFeatures.on_table": call(features.on_table, 4),
        "CrystalFeatures.strengths": call(features.strengths, np.zeros((2, 6))),
        "CrystalTraining": call(CrystalTraining, 1, 2, 0.01),
        "GeneratedCrystals": call(generative.GeneratedCrystals, list(SALTS), [0, 1, 2], {3: "no slot"}, 0.5),
        "generate_crystals": call(
            *(generative.generate_crystals, model, 2),
            **{"composition": {"Li": 4, "F": 4}, "neutral": False, "steps": 2, "eta": 0.5, "seed": 1},
        ),
        "noise_losses": call(generative.noise_losses, model, SALTS, np.array([1, 3]), seed=1, repeats=1),
        "train_crystals": call(generative.train_crystals, model, SALTS, CrystalTraining(1, 2), seed=1),
    }
