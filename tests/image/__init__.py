"""The container image, built and started once, with or without a daemon: `make image-check`."""
