"""Networks whose weights are codes into codebooks, learned from what their layers return."""
