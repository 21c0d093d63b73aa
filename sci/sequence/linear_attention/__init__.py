"""Linear attention with decay (lightning attention)."""
