"""Video models: loading diffusers pipelines, and an adapter for each model family.

From outside, import ``load``, ``contract`` (the interface of every model), ``memory`` and ``tiny``.
"""
