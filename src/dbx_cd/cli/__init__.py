"""`python -m dbx_cd`: what CI and an SRE do from a terminal. Anything that needs Spark is a notebook."""
