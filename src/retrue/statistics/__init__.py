"""The methods that judgements rest on: one a file, with its formula, source, units and edge values. Pure: arrays in, numbers out.

Randomness comes from a seed or generator that is an argument. `docs/statistics.md` tells the methods, their assumptions and figures.
"""
