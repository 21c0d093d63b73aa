"""Codecs of generative models and of what they make."""
