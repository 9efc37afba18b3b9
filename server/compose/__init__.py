"""From the store's records to page objects, one module a page: plain functions, no HTTP."""
