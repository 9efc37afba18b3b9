"""A published run recomputed by brute force: see `worker.verify.stage`.

Nothing here calls the fast path: no lean forward, no accumulator, no merge. What decides *which*
tokens are meant (the order of documents, windows, the hash of a token's key, held-out documents) is
the run's own definition and is shared with it.
"""
