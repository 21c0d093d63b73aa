"""Deep conjugate directions (Kaneda et al.)."""
