"""From signals to orders and from fills to an account: everything a trader remembers."""
