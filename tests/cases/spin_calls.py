"""A call of every public callable of spins and marginals, whose arguments tests spoil one by one."""

from __future__ import annotations

import numpy as np
from entry_calls import Call, call, real

from sci import generative


def _spins() -> dict[str, Call]:
    model, short = generative.IsingModel((2, 2), 0.3, 0.1), {"replicas": 2, "sweeps": 2, "warm_up": 0, "seed": 1}
    few = {"sweeps": 2, "warm_up": 0, "method": "metropolis", "seed": 1, "device": "cpu"}
    numbers = (np.ones(2), np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2, 2), np.int8), np.ones(1))
    return {
        "Estimate": call(generative.Estimate, 1.0, 0.1, 0.5, 100.0),
        "ExactSums": call(generative.ExactSums, 1.0, -1.0, 0.5, 4, 1.0),
        "IsingModel": call(generative.IsingModel, (2, 4), 0.5, 0.1),
        "LogZ": call(generative.LogZ, 1.0, 0.1),
        "PottsModel": call(generative.PottsModel, (2, 4), 3, 0.5, 0.1),
        "SpinChains": call(generative.SpinChains, model, *numbers),
        "autocorrelation_time": call(generative.autocorrelation_time, real(10, 2)),
        "enumerate_states": call(generative.enumerate_states, model, beta=0.5),
        "estimate": call(generative.estimate, real(100)),
        "kaufman_log_z": call(generative.kaufman_log_z, 3, 4, 0.3),
        "onsager": call(generative.onsager, 0.3),
        "sample_spins": call(generative.sample_spins, model, 0.5, **short, method="heat_bath", start="random"),
        "temper_spins": call(generative.temper_spins, model, [0.3, 0.5], ladders=1, **few),
        "thermodynamic_integration": call(
            generative.thermodynamic_integration, model, beta=0.5, replicas=1, **{**few, "sweeps": 64}
        ),
        "transfer_matrix": call(generative.transfer_matrix, model, beta=0.5),
    }


def _memories() -> dict[str, Call]:
    patterns, shown = np.where(real(3, 10) < 0, -1, 1), {"quality": 0.5, "examples": 12, "distribution": "binomial"}
    memory = generative.DenseAssociativeMemory(patterns, 4)
    return {
        "DenseAssociativeMemory": call(generative.DenseAssociativeMemory, patterns, 4),
        "ReplicaSymmetric": call(generative.ReplicaSymmetric, 0.9, 0.9, 0.9, 0.1),
        "Retrieval": call(generative.Retrieval, np.ones((2, 1, 3)), np.ones((1, 10), np.int8), True),
        "dataset_entropy": call(generative.dataset_entropy, 0.5, 12),
        "examples_needed": call(generative.examples_needed, 0.9, 0.2),
        "phase_diagram": call(generative.phase_diagram, 4, [0.0, 0.3], [0.0, 0.01], **shown),
        "replica_symmetric": call(generative.replica_symmetric, 4, 3.0, load=0.01, start=1.0, tol=1e-8, **shown),
        "retrieval_curve": call(generative.retrieval_curve, 4, [2.0, 3.0], load=0.01, **shown),
        "retrieve": call(
            generative.retrieve, memory, patterns[0], 2.0, targets=patterns, replicas=1, sweeps=2, warm_up=0, seed=1
        ),
    }


def _marginals() -> dict[str, Call]:
    model, f = generative.MarginalModel(4, 2, hidden=3, layers=1), generative.log_weight(generative.IsingModel((2, 2)))
    x, short = np.eye(4, dtype=int), {"learning_rate": 1e-3, "consistency": 1.0, "seed": 1}
    return {
        "ImportanceSample": call(generative.ImportanceSample, 1.0, 0.1, 0.9, 0.5),
        "MarginalErrors": call(generative.MarginalErrors, 0.1, 0.2, 0.1, 0.01, 0.02),
        "MarginalModel": call(generative.MarginalModel, 4, 2, hidden=3, layers=1, seed=0, device="cpu"),
        "MarginalModel.draw": call(model.draw, 2, first=0, order=[3, 1, 2, 0], x=x[0], known=x[1] > 0, seed=1),
        "MarginalModel.log_conditionals": call(model.log_conditionals, x, x > 0),
        "MarginalModel.log_likelihood": call(model.log_likelihood, x, order=[3, 1, 2, 0]),
        "MarginalModel.log_marginal": call(model.log_marginal, x, x > 0),
        "fit_energy": call(
            *(generative.fit_energy, model, f),
            **{"objective": "divergence", "steps": 1, "batch": 2, "block": 1, "explore": 0.5, **short},
        ),
        "fit_likelihood": call(generative.fit_likelihood, model, x, epochs=1, batch=4, weight_decay=0.0, **short),
        "importance_log_z": call(generative.importance_log_z, model, f, samples=3, seed=1),
        "log_weight": call(generative.log_weight, generative.IsingModel((2, 2)), beta=0.5),
        "marginal_errors": call(generative.marginal_errors, model, f),
        "partial_sums": call(generative.partial_sums, f, 4, 2),
    }


def spin_calls() -> dict[str, Call]:
    """Return the calls by name."""
    return _spins() | _memories() | _marginals()
