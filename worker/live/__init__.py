"""The live worker: a small HTTP app that holds models and runs a reader's text through them.

The server asks it and never loads torch itself. `app` is what it answers, `serve` the process;
torch is loaded by `forward` and `loaded` alone, after the app has begun to answer.
"""
