"""Attention capture: records the attention of a running pipeline to the tracked words, exactly and without changing it.

From outside, import ``recorder`` (`capture` and `Recorder`), ``maps`` (the parts to keep) and ``budget`` (their size).
"""
