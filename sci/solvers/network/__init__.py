"""Networks of resistors: coarsening that sees jumps of coefficients, thin walls and stretched cells."""
