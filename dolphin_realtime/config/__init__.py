"""What a person may set, and the service table: read once, frozen."""
