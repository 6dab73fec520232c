"""Releases: their events, what these add up to, and where they are kept."""
