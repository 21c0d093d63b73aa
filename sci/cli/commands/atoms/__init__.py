"""`sci atoms train|evaluate`."""
