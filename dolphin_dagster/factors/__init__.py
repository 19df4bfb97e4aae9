"""What every external factor has in common: asking, publishing, judging, one asset each."""
