"""The training loop, models and checkpoints."""
