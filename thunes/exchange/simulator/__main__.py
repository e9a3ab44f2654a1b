"""`python -m thunes.exchange.simulator`: the embedded exchange alone."""

from __future__ import annotations

import argparse
import sys

from thunes.exchange.simulator.process import add_arguments, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m thunes.exchange.simulator", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
