"""Runs `lambent` as it is, only that an idle environment stays awake: what `cold_starts` compares a thaw with."""

import sys


def main() -> None:
    from lambent.environments import environment

    environment.FREEZE_AFTER_S = 3600.0
    from lambent.cli.main import main as command

    sys.argv[0] = "lambent"
    command()


if __name__ == "__main__":
    main()
