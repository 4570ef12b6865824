"""What a search is for: records of candidates, their objectives and prices, the Pareto front, what to pick from it.

Nothing here trains or stores; a front is made from records alone.
"""
