"""Tensor formats: CP, Tucker, and the operations along one axis that they share."""
