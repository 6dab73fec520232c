"""`python -m dbx_cd`."""

import sys

from dbx_cd.cli.main import main

sys.exit(main())
