"""The command line of Twinscope: one verb a function, nothing but wiring."""
