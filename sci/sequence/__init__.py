"""Long sequences across ranks."""

from sci.sequence.attention.cache import KeyValueCache
from sci.sequence.attention.cost import AttentionCost, attention_cost
from sci.sequence.attention.linformer import linformer_attention
from sci.sequence.attention.softmax import softmax_attention
from sci.sequence.gated.attention import gated_linear_attention, gated_linear_step
from sci.sequence.higher_order.polynomial import polynomial_degree, polynomial_rank
from sci.sequence.higher_order.tensor_attention import tensor_attention
from sci.sequence.higher_order.triples import triples
from sci.sequence.linear_attention.lightning import (
    lightning_attention,
    lightning_step,
)
from sci.sequence.megatron.pipeline import run_pipeline
from sci.sequence.megatron.rank_grid import RankGrid, rank_grid
from sci.sequence.megatron.schedules import PipelineStep, pipeline_schedule
from sci.sequence.megatron.simulation import Simulation, peak_in_flight, pipeline_bubble, simulate
from sci.sequence.megatron.tensor_parallel import column_linear, parallel_attention, parallel_mlp, row_linear
from sci.sequence.megatron.throughput import LanguageModelSize, pipeline_bytes, tensor_parallel_bytes, training_days
from sci.sequence.megatron.vocabulary import vocabulary_cross_entropy, vocabulary_embedding
from sci.sequence.models.layers import (
    gated_unit,
    lrpe,
    simple_rms_norm,
    transnormer_attention,
    transnormer_decays,
)
from sci.sequence.models.parallel_transformer import ParallelTransformer
from sci.sequence.models.text import TextWindows, token_loss
from sci.sequence.models.transnormer import State, TransNormer
from sci.sequence.tiles.reference import merge_attention
from sci.sequence.tiles.rules import PairScore

__all__ = [
    "AttentionCost",
    "KeyValueCache",
    "LanguageModelSize",
    "PairScore",
    "ParallelTransformer",
    "PipelineStep",
    "RankGrid",
    "Simulation",
    "State",
    "TextWindows",
    "TransNormer",
    "attention_cost",
    "column_linear",
    "gated_linear_attention",
    "gated_linear_step",
    "gated_unit",
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
    "simple_rms_norm",
    "simulate",
    "softmax_attention",
    "tensor_attention",
    "tensor_parallel_bytes",
    "token_loss",
    "training_days",
    "transnormer_attention",
    "transnormer_decays",
    "triples",
    "vocabulary_cross_entropy",
    "vocabulary_embedding",
]
