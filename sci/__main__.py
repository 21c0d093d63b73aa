"""`python -m sci` is the command `sci`."""

from __future__ import annotations

import sys

from sci.cli import main

sys.exit(main())
