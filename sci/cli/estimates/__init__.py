"""Time, memory and disk that a command will need, and what this machine has."""
