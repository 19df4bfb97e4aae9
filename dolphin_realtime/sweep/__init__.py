"""Many parameter sets over many days, and what may be believed of the best of them."""
