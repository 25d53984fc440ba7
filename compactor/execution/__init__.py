"""Where groups run: the port (base.py), the worker's entry (worker.py) and one adapter a place."""
