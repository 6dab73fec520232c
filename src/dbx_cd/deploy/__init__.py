"""Deploys: building a release into a target, and what follows a deploy."""
