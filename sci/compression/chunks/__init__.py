"""Large arrays in chunks that are compressed by themselves, within one bound."""
