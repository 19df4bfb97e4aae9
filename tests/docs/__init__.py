"""What the documents say to type is typed; the site of the documents is built and searched."""
