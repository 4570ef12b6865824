"""Workers that share a study: its database and queue of trials, leases and heartbeats, devices, watchdogs.

Files under the output folder serve one machine; a PostgreSQL database serves any number.
"""
