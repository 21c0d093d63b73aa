"""`sci fields train|generate`."""
