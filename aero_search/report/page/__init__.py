"""A study as one HTML file that works offline: its data (`document`), and the page around it (`render`).

Prices are embedded by protocol as bytes, round trips and compute seconds, from which the page's own code recomputes
latency, front and hypervolume for any network, as `cost.batch` and `search.pareto` do here.
"""
