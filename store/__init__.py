"""All SQL of Twinscope: tables, queries, bulk load. Imports neither torch nor FastAPI."""
