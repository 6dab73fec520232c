"""Delta and the catalog, asked in Spark SQL: the only room that touches Spark, besides smoke's data."""
