"""Video files as FFmpeg sees them: which file it reads, and which of its frames are shown.

Rendering decodes videos with it; older batches only measure them. Nothing here knows of attention maps.
"""
