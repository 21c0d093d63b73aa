"""Completion by networks of embeddings, the influence of entries on them, and augmentation."""
