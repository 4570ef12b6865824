"""What may vary in a search: YAML files become conditional parameters, and their values Hydra overrides.

A parameter is named after the override it sets; `allowed` says which settings of a candidate those may be.
"""

from aero_search.space.parameter import Assignment, Categorical, Integer, Parameter, Real, Suggest, Value
from aero_search.space.space import Space, load_space, space_base
from aero_search.space.tree import Tree

__all__ = [
    "Assignment",
    "Categorical",
    "Integer",
    "Parameter",
    "Real",
    "Space",
    "Suggest",
    "Tree",
    "Value",
    "load_space",
    "space_base",
]
