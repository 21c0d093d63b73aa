"""Multi-grid patches, on one process and over ranks."""
