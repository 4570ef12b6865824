"""AERO Search: decoder-only language models searched for private inference.

An `Architecture` is data; its cost follows without training, its perplexity with, and a search looks for the
front between the two.
"""

__version__ = "0.1.0"
