"""Codecs of what is made of data: completed fields, clusters, laws and spectra."""
