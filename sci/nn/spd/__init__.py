"""Networks on symmetric positive definite matrices: layers, and maps of the Bures-Wasserstein geometry."""
