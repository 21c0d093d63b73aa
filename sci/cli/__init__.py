"""The `sci` command: one module for each subcommand, no mathematics."""

from sci.cli.command import main

__all__ = ["main"]
