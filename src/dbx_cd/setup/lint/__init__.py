"""The rules of the linter, each module those about one part of a job."""
