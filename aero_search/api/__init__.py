"""The Python API: what `aero_search` offers to notebooks and programs, and what the commands call.

Everything public is a name of `aero_search` itself; see docs/python_api.md.
"""
