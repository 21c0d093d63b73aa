"""The range-separated potential of a molecule: long range, short range, and its cost model."""
