"""Models of the Hugging Face hub as pairs on disk: names, downloads, conversion.

    pair = find_or_fetch("solu-1l--gelu-1l", reporter)

Everything after this is a local pair in the data directory (`worker.pairs.kept_pairs`).
"""
