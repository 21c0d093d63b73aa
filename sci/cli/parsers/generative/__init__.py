"""Arguments of commands of generative models."""
