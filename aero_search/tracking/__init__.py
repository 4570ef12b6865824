"""MLflow: a parent run a study, a child run a candidate, logged in batches through explicit run ids.

Nothing here decides anything; a search without tracking finds the same front.
"""
