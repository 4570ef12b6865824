"""`python -m aero_search` is `aero-search`."""

import sys

from aero_search.cli import main

sys.exit(main())
