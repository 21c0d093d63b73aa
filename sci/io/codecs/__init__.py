"""Codecs: the layout of each kind of object in a file."""
