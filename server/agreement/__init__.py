"""Statistics of blind studies: pure functions of counts and verdicts; no FastAPI, no SQL."""
