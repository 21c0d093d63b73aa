"""Commands on attention and on models of sequences."""
