"""Rendering attention maps: attention videos (`video`), contact sheets (`sheets`), scales of a batch (`scales`).

Other packages import these three, `source.VideoSource`, and the types `maps.Scale` and `output.Output`.
"""
