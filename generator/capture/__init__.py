"""Attention capture: records the attention of a running pipeline to the tracked words, exactly and without changing it.

From outside, import ``recorder`` (`capture` and `Recorder`), ``maps`` (what is kept) and ``budget`` (how many bytes).
"""
