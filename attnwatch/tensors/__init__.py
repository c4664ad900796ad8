"""Reading tensor files as float32 attention maps.

Other packages import `reader`; `render` also uses `loops` for pictures, `batches` the checks in `reduction`.
"""
