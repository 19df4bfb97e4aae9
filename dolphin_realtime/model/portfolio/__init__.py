"""The portfolio: from signals to orders, from fills to an account, and its saved state."""
