"""The command line: a thin skin over the façade in `compactor`."""
