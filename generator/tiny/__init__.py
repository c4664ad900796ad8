"""Training and evaluation of the embedded model, a real Wan pipeline with tiny dimensions (see README.md here).

The folder ``weights`` holds the model in diffusers format. Nothing outside this package imports it: the generator loads
the weights through `generator.models.tiny`.
"""
