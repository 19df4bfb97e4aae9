"""The image and its compose file, by a real container engine."""
