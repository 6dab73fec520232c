"""Checks of a team's set-up: what `checks` runs, and what they ask."""
