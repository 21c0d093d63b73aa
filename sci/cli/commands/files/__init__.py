"""Subcommands on files of sci: what one holds, exports, and joining parts."""
