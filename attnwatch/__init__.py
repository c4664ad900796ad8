"""Watch a folder of generated videos and render where the model attended for each tracked word."""
