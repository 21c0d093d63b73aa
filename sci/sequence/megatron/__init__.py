"""Megatron parallelism: layers, pipelines, grids of ranks, and their cost model."""
