"""``python -m sm_local``."""

from sm_local.cli import main

if __name__ == "__main__":
    main()
