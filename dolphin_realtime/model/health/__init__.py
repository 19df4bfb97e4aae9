"""Meta health's pure rules: scores, debouncing, self-check, what is repaired and when."""
