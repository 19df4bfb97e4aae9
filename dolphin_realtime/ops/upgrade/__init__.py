"""What another version would change here: `dolphin upgrade check`."""
