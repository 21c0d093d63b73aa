"""Next-scale prediction: fields as codes from coarse to fine, all codes of a scale drawn at once."""
