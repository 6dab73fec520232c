"""dbt: its artifacts, its command line, its processes, and what a build does to relations."""
