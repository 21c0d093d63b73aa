"""One large configuration on many ranks."""
