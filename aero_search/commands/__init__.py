"""One module a subcommand of `aero-search`, each with a `COMMAND` that says how it runs.

A module imports torch, lightning, mlflow or plotly inside its functions, so that `cost` and `--help` stay fast.
"""
