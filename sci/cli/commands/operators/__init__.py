"""Commands on neural operators: samples, training, sweeps, adaptation, prediction."""
