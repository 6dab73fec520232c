"""Getting a workspace and a project ready: what is done once, or by hand, and is no part of a release."""
