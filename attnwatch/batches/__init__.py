"""Finding and opening videos, whether a manifest describes them or an older batch has to be interpreted.

Only this package imports `attnwatch.batches.legacy`: everything above asks `discover`, `videos` and `targets`.
"""
