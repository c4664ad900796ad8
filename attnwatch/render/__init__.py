"""Rendering attention maps: attention videos (`video`), contact sheets (`sheet`), scales of a batch (`scales`).

Other packages import these three modules, `source.VideoSource`, and the types `maps.Scale` and `output.Output`.
"""
