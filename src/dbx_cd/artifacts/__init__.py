"""What dbt invocations left, published once, verified at every read."""
