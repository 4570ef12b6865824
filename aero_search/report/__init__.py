"""A study for people: tables in the terminal, a live view, pictures of the front.

Matplotlib and plotly are imported where something is drawn; a table costs nothing but rich.
"""
