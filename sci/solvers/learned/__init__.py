"""The learned V-cycle: levels, parameters, training, and the model that ships."""
