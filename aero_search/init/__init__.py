"""Starting from a trained network: checkpoints that are read, and their weights carried into a changed one.

Reading what a checkpoint is needs no torch; its weights, and carrying them, do.
"""
