"""``python -m sm_client``."""

import sys

if __name__ == "__main__":
    try:
        from sm_client.cli.app import main
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in ("rich", "typer"):
            raise
        sys.exit(f"Error: the command line needs {missing}: pip install 'sm-constructs[cli]'")
    main()
