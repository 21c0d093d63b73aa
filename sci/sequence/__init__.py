"""Long sequences across ranks."""

from sci.nn.collectives import copy_to_ranks, sum_over_ranks
from sci.sequence.attention.cost import AttentionCost, attention_cost
from sci.sequence.attention.linformer import linformer_attention
from sci.sequence.attention.softmax import attention
from sci.sequence.attention.tiles import merge_attention
from sci.sequence.higher_order.polynomial import polynomial_degree, polynomial_rank
from sci.sequence.higher_order.tensor_attention import tensor_attention
from sci.sequence.linear_attention.lightning import (
    lightning_attention,
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
    parallel_attention,
    parallel_mlp,
    row_linear,
    scatter_sum,
    vocabulary_cross_entropy,
    vocabulary_embedding,
)
from sci.sequence.megatron.throughput import LanguageModelSize, pipeline_bytes, tensor_parallel_bytes, training_days
from sci.sequence.models.language_model import State, TextWindows, TransNormer, token_loss
from sci.sequence.models.parallel_transformer import ParallelTransformer
from sci.sequence.models.transnormer import (
    gated_linear_attention,
    gated_unit,
    lrpe,
    simple_rms_norm,
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
    "column_linear",
    "copy_to_ranks",
    "gated_linear_attention",
    "gated_unit",
    "gather_tokens",
    "lightning_attention",
    "lightning_step",
    "linformer_attention",
    "lrpe",
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
    "simple_rms_norm",
    "simulate",
    "sum_over_ranks",
    "tensor_attention",
    "tensor_parallel_bytes",
    "token_loss",
    "training_days",
    "transnormer_decays",
    "vocabulary_cross_entropy",
    "vocabulary_embedding",
]
