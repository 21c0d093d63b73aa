"""Functions of batches of small symmetric matrices and their gradients: roots, logarithms, Lyapunov, polar."""
