"""Differentiation and training: tape, primitives as (forward, vjp) pairs, losses, optimisers, training loop."""

from sci.nn.tape import Tape, Variable, value_and_gradients, value_of

__all__ = ["Tape", "Variable", "value_and_gradients", "value_of"]
