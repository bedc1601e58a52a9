"""How fast the user's own machine runs each network, and how near that is to what the machine can do.

`measure` plans and collects, `workload` does the work in a process of its own, `report` shows it.
"""
