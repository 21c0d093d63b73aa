"""How each kind of object lies in a file."""
