"""Diffusion: noise schedules, the exact denoiser of finite sets, and samples from any denoiser."""
