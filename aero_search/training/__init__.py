"""Trains one candidate: recipe, Lightning module, run, health verdicts, and the result as data.

`recipe` and `result` import no torch, so that commands which only read results stay fast.
"""
