"""Approvals: what is asked, what it is sealed to, who may decide."""
