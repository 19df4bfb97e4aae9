"""Many parameter sets over many days, and how far the best of them can be trusted."""
