"""Safe dbt releases on Databricks: staging, smoke tests, approval, production, rollback.

The public API is `dbx_cd.__all__`, written down in `__init__.pyi`. Names are imported when first used, so that
`import dbx_cd` costs little and pulls in neither pyspark nor dbt nor Great Expectations.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    # `python -m dbx_cd...` puts the current directory first, which may well be a dbt project: a file `yaml.py` or
    # `ast.py` in it would be imported in place of the package. While the module is located, Python says `-m`.
    sys.path.append(sys.path.pop(0))

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
