"""`python -m dbx_cd`."""

import sys

from dbx_cd.cli import main

sys.exit(main())
