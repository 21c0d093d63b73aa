"""Networks of pairwise contractions, and the batched products that they are made of."""
