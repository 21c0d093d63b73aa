"""Networks on symmetric positive definite matrices: layers, the Bures-Wasserstein barycenter, batch normalization."""
