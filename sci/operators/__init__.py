"""Neural operators: spectral convolutions, FNO and TFNO, multi-grid patches."""

from sci.operators.weights import WeightFormat

__all__ = ["WeightFormat"]
