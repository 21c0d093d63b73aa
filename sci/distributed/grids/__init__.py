"""Grids spread over ranks: decompositions, halos, redistribution, and the pencil FFT."""
