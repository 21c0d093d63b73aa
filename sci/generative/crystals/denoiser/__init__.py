"""Networks that take noise off crystals: features, training, and draws."""
