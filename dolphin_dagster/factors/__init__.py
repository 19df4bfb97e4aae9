"""What all external factors share: asking the source, publishing, checks, one asset each."""
