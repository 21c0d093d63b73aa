"""Curvature of losses: Gauss-Newton products, spectra of batches, and the learning rates that they allow."""
