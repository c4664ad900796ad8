"""Contact sheets: many videos of a batch in one picture. `book` draws all sheets of a batch, page by page.

`rows` and `pairs` choose what a sheet shows, `moments` reads it, `pictures` makes pictures of it, `attention` and
`differences` are the two kinds of sheets, `layout` says where everything is, and `page` draws it.
"""
