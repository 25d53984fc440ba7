"""Entry point of the `compactor` command."""


def main() -> None:
    """Run the command line."""
