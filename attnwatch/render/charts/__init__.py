"""Charts of measures: how videos of different choices compare."""
