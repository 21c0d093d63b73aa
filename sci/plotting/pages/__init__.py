"""Pages that report on a file: one HTML file with tables and charts."""
