"""What a launcher started, and how all of it ends."""
