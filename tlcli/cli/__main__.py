"""`python -m tlcli.cli` is `tl`."""

from tlcli.cli.main import main

if __name__ == "__main__":
    main()
