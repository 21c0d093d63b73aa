"""Crystals as tensors over the periodic table, networks that denoise them, and measures of what they make."""
