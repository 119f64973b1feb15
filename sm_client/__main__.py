"""``python -m sm_client``."""

import sys

if __name__ == "__main__":
    try:
        from sm_client.cli import main
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        sys.exit(f"Error: the command line needs {error.name}: pip install 'sm-constructs[cli]'")
    main()
