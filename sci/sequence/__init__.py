"""Long sequences across ranks."""

from sci.nn.collectives import copy_to_ranks, copy_to_ranks_vjp, sum_over_ranks, sum_over_ranks_vjp
from sci.sequence.attention.cost import AttentionCost, attention_cost
from sci.sequence.attention.linformer import linformer_attention, linformer_attention_forward, linformer_attention_vjp
from sci.sequence.attention.softmax import attention, attention_forward, attention_vjp
from sci.sequence.attention.tiles import merge_attention
from sci.sequence.higher_order.polynomial import polynomial_degree, polynomial_rank
from sci.sequence.higher_order.tensor_attention import tensor_attention, tensor_attention_forward, tensor_attention_vjp
from sci.sequence.linear_attention.lightning import (
    lightning_attention,
    lightning_attention_forward,
    lightning_attention_vjp,
    lightning_step,
)
from sci.sequence.megatron.pipeline import run_pipeline
from sci.sequence.megatron.rank_grid import RankGrid, rank_grid
from sci.sequence.megatron.schedules import (
    PipelineStep,
    Simulation,
    peak_in_flight,
    pipeline_bubble,
    pipeline_schedule,
    simulate,
)
from sci.sequence.megatron.tensor_parallel import (
    column_linear,
    gather_tokens,
    gather_tokens_vjp,
    parallel_attention,
    parallel_mlp,
    row_linear,
    scatter_sum,
    scatter_sum_vjp,
    vocabulary_cross_entropy,
    vocabulary_cross_entropy_vjp,
    vocabulary_embedding,
)
from sci.sequence.megatron.throughput import LanguageModelSize, pipeline_bytes, tensor_parallel_bytes, training_days
from sci.sequence.models.language_model import State, TextWindows, TransNormer, token_loss, token_loss_vjp
from sci.sequence.models.parallel_transformer import ParallelTransformer
from sci.sequence.models.transnormer import (
    gated_linear_attention,
    gated_unit,
    lrpe,
    lrpe_vjp,
    simple_rms_norm,
    simple_rms_norm_vjp,
    transnormer_decays,
)

__all__ = [
    "AttentionCost",
    "LanguageModelSize",
    "ParallelTransformer",
    "PipelineStep",
    "RankGrid",
    "Simulation",
    "State",
    "TextWindows",
    "TransNormer",
    "attention",
    "attention_cost",
    "attention_forward",
    "attention_vjp",
    "column_linear",
    "copy_to_ranks",
    "copy_to_ranks_vjp",
    "gated_linear_attention",
    "gated_unit",
    "gather_tokens",
    "gather_tokens_vjp",
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
    "parallel_attention",
    "parallel_mlp",
    "peak_in_flight",
    "pipeline_bubble",
    "pipeline_bytes",
    "pipeline_schedule",
    "polynomial_degree",
    "polynomial_rank",
    "rank_grid",
    "row_linear",
    "run_pipeline",
    "scatter_sum",
    "scatter_sum_vjp",
    "simple_rms_norm",
    "simple_rms_norm_vjp",
    "simulate",
    "sum_over_ranks",
    "sum_over_ranks_vjp",
    "tensor_attention",
    "tensor_attention_forward",
    "tensor_attention_vjp",
    "tensor_parallel_bytes",
    "token_loss",
    "token_loss_vjp",
    "training_days",
    "transnormer_decays",
    "vocabulary_cross_entropy",
    "vocabulary_cross_entropy_vjp",
    "vocabulary_embedding",
]
