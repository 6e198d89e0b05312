"""`python -m cli` is the command `hetzner-snapshots`, also where that is not installed."""

from cli.app import main

if __name__ == "__main__":
    main()
