"""Tables of a project's sources on the embedded workspace, made from files that somebody has put into a folder."""
