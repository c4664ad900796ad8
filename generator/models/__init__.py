"""Loading pipelines, and what the rest of the generator has to know of each model family."""
