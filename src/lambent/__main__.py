"""`python -m lambent`: the command, for where no script directory is in PATH."""

from lambent.cli.main import main

if __name__ == "__main__":
    main()
