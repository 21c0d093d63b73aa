"""Training of operators on samples of fields, and trained operators in the units of the fields."""
