"""Planning: from a Snapshot to Health, a Decision and a Plan. Pure: no clock, no I/O, no randomness.

The verbs are in modules of their own name: target, assess, decide, survey, plan, and where for partition filters.
"""
