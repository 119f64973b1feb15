"""The command line, ``python -m sm_client``: what needs rich and typer."""
