"""Gaussian Markov processes: Matern priors as state space, Kalman filter, smoother, and their parallel scan."""
