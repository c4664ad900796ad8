"""Finding and opening videos, whether they have a manifest or belong to an older batch without one.

Other packages import `discover`, `videos`, `targets`, `settling` and `importing`. Only this package imports
`attnwatch.batches.legacy`, so nothing above it distinguishes older batches from current ones.
"""
