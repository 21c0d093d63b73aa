"""Classical preconditioners."""
