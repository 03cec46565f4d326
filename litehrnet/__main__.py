"""`python -m litehrnet`, the same as the command `litehrnet`."""

import sys

from .cli import main

sys.exit(main())
