"""Text in pictures, in any script: its fonts, its size as it will be drawn, and lines that stay within a room.

`fitting.fit` is the way in: it cleans a text, breaks it into lines and cuts what is too much. Its `Lettering` knows the
size of the drawn text in pixels, and draws it. `plain.quoted` puts a user's words into a sentence, and
`missing.missing_glyphs` says which fonts to install. matplotlib is imported at the first use.
"""
