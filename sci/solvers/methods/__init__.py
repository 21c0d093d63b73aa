"""Krylov methods for any linear operator, as in SciPy: GMRES, BiCGSTAB, MINRES, flexible and block CG."""
