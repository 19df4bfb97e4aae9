"""What recorded days came to, to the last digit: recorded once, compared ever after."""
