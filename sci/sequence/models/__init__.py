"""Models of sequences: TransNormer and the parallel transformer."""
