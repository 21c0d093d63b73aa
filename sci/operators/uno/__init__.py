"""U-shaped neural operators."""
