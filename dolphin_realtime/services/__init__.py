"""One process each; none imports another."""
