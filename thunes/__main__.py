"""`python -m thunes`: the same as the `thunes` command."""

import sys

from thunes.cli import main

sys.exit(main())
