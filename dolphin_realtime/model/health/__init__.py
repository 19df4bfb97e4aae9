"""Meta health's pure rules: scores, debouncing, self-check, and recovery (what and when)."""
