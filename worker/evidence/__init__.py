"""Evidence: what a page of top activations hides (definitions in docs/evidence.md).

Computed after the statistics, on a stated part of the corpus, and published as a stage of its own.
"""
