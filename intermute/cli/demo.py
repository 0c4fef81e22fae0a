"""placeholder"""

import click


@click.command()
def demo() -> None:
    """Watch three agents share this repository."""
