"""The worker: from a corpus and a pair of models to statistics, examples and evidence.

The only package that imports torch. It writes through `store` and never imports `server`.
"""
