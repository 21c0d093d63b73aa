"""`sci crystals train|generate|evaluate`."""
