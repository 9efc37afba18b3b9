"""Routes, one module a page: read the address, have the page object made, answer with it."""
