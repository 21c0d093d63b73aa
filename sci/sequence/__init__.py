"""Long sequences across ranks."""

from sci.sequence.language_model import Memory, TextWindows, TransNormer, token_loss, token_loss_vjp
from sci.sequence.lightning import (
    lightning_attention,
    lightning_attention_forward,
    lightning_attention_vjp,
    lightning_step,
)
from sci.sequence.linformer import linformer_attention, linformer_attention_forward, linformer_attention_vjp
from sci.sequence.shared import copy_to_ranks, copy_to_ranks_vjp, sum_over_ranks, sum_over_ranks_vjp
from sci.sequence.softmax import attention, attention_forward, attention_vjp
from sci.sequence.tensor_attention import tensor_attention, tensor_attention_forward, tensor_attention_vjp
from sci.sequence.tensor_polynomial import polynomial_degree, polynomial_rank
from sci.sequence.tiles import merge_attention
from sci.sequence.transnormer import (
    gated_linear_attention,
    gated_unit,
    lrpe,
    lrpe_vjp,
    simple_rms_norm,
    simple_rms_norm_vjp,
    transnormer_decays,
)

__all__ = [
    "Memory",
    "TextWindows",
    "TransNormer",
    "attention",
    "attention_forward",
    "attention_vjp",
    "copy_to_ranks",
    "copy_to_ranks_vjp",
    "gated_linear_attention",
    "gated_unit",
    "lightning_attention",
    "lightning_attention_forward",
    "lightning_attention_vjp",
    "lightning_step",
    "linformer_attention",
    "linformer_attention_forward",
    "linformer_attention_vjp",
    "lrpe",
    "lrpe_vjp",
    "merge_attention",
    "polynomial_degree",
    "polynomial_rank",
    "simple_rms_norm",
    "simple_rms_norm_vjp",
    "sum_over_ranks",
    "sum_over_ranks_vjp",
    "tensor_attention",
    "tensor_attention_forward",
    "tensor_attention_vjp",
    "token_loss",
    "token_loss_vjp",
    "transnormer_decays",
]
