"""Real private inference of a candidate: the forward pass under two-party computation, and what it cost.

Nothing imported here loads torch, jax or spu before it is needed: the parties may run under another
interpreter (`measure.python=`) that has jax and spu and neither torch nor Hydra.
"""
