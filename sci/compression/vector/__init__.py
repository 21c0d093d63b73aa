"""Multi-scale residual vector quantization of fields: tokens, and codes of a fixed rate."""
