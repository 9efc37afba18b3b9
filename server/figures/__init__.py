"""Figures as SVG strings, drawn on the server: no script, no inline style, classes only.

Every figure fills the width it is given and has a fixed height, so that nothing moves when it is
laid out: positions across are percentages, text keeps its size, and curves lie in a nested `<svg>`
that is stretched (their strokes are not). Each has a `<title>` and a `<desc>` that say in words
what it shows.
"""
