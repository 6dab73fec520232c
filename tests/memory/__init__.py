"""Small implementations in memory of what the library asks of Delta and of the workspace.

`contract.py` holds the assertions that they and real Delta both have to pass, so that they cannot drift.
"""
