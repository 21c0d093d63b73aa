"""The training of a potential: settings, labels, and the loop."""
