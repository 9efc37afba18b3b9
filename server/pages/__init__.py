"""Page objects: the frozen dataclasses that a template draws and its `.json` twin is made from.

One module a page. A page object holds plain values (no numpy, no NaN: an undefined statistic is
None), links as paths within the site, and nothing that a template would have to look up. A field
that only the HTML page needs (the raw bytes of tokens) is declared with `HTML_ONLY` and is left
out of the JSON and of its schema; everything else is in both.
"""
