"""The REST side of the embedded workspace: Jobs, Files and SCIM, written from the public API documentation."""
