"""What the commands do with a request: studies, saved studies, plans, ladders, and the sweepers that Hydra calls.

`config` composes and validates; here requests become work.
"""
