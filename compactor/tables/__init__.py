"""Tables on storage: the port (base.py) and one adapter a format."""
