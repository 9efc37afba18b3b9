"""Blind studies: what is drawn, how a card is made, in which order cards come, what stays hidden.

Everything here but `freezing` and `closed` is a pure function of its arguments and a seed.
"""
