"""What is in a tree of batches, kept up to date while it changes."""
