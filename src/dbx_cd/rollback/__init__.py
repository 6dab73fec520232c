"""Rollback of data: what production was, what would bring it back, doing it, and proving it."""
