"""Searches architectures: objectives, fronts and hypervolume, samplers, studies and the workers' loop.

Perplexity is the one thing a trial has to train for; every other objective is known before it starts.
"""
