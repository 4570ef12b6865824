"""Costs for people: tables by part and by layer, comparisons with what was published and read, stacked bars.

Nothing here computes a price; `cost` does.
"""
