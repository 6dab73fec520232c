"""Warm parents: a process that has imported a large package once, and forks for each invocation of it."""
