"""Training and evaluation of the embedded model, a real Wan pipeline with tiny dimensions; see README.md here.

Its weights lie beside this file, in the format of any other diffusers model. Nothing outside this package imports it:
`generator.models.tiny` knows where the weights are.
"""
