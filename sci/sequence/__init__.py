"""Long sequences across ranks."""

from sci.sequence.lightning import (
    lightning_attention,
    lightning_attention_forward,
    lightning_attention_vjp,
    lightning_step,
)
from sci.sequence.softmax import attention, attention_forward, attention_vjp
from sci.sequence.tiles import merge_attention

__all__ = [
    "attention",
    "attention_forward",
    "attention_vjp",
    "lightning_attention",
    "lightning_attention_forward",
    "lightning_attention_vjp",
    "lightning_step",
    "merge_attention",
]
