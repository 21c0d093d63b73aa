"""CP and Tucker tensors by alternating least squares on the observed entries alone."""
