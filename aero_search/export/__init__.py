"""Exports one architecture: a folder with its description, figures, origin, weights and how to train it again.

Everything in a bundle is data; nothing in it is executed when it is read.
"""
