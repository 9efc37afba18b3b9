"""Statistics of studies against published worked examples, and against simulated truth."""
