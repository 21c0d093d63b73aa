"""The Bures-Wasserstein geometry of symmetric positive definite matrices: distances, geodesics, means, transport."""
