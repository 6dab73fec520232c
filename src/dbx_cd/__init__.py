"""Safe dbt releases on Databricks: staging, smoke tests, approval, production, rollback.

The public API is `dbx_cd.__all__`, written down in `__init__.pyi`. Names are imported when first used, so that
`import dbx_cd` costs little and pulls in neither pyspark nor dbt nor Great Expectations.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
