"""Tests of the server, over a synthetic run on SQLite and on Postgres."""
