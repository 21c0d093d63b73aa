"""The options of each subcommand; importing one loads neither NumPy nor the library."""
