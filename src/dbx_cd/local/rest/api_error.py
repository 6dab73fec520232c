"""Errors in the form the platform's REST API answers them: an HTTP status, an error code and a message."""

from __future__ import annotations


class ApiError(Exception):
    """A refusal that the REST server answers as ``{"error_code": ..., "message": ...}``.

    The SDK turns the pair of status and code back into its own exception classes, so both follow the platform.
    """

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message

    def to_dict(self) -> dict[str, str]:
        """The body of the answer."""
        return {"error_code": self.error_code, "message": self.message}


def invalid_parameter(message: str) -> ApiError:
    """The request contradicts itself or the API (400)."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


def invalid_state(message: str) -> ApiError:
    """The request is well-formed, but the run is not in a state that allows it (400)."""
    return ApiError(400, "INVALID_STATE", message)


def unauthenticated(message: str) -> ApiError:
    """No credentials that this workspace understands (401)."""
    return ApiError(401, "UNAUTHENTICATED", message)


def permission_denied(message: str) -> ApiError:
    """Known, but not allowed (403)."""
    return ApiError(403, "PERMISSION_DENIED", message)


def does_not_exist(message: str) -> ApiError:
    """Jobs, runs, users, notebooks (404)."""
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", message)


def not_found(message: str) -> ApiError:
    """Files and directories (404)."""
    return ApiError(404, "NOT_FOUND", message)


def already_exists(message: str) -> ApiError:
    """A file that must not be overwritten (409)."""
    return ApiError(409, "ALREADY_EXISTS", message)


def not_implemented(what: str) -> ApiError:
    """Exists on Databricks, not in the embedded workspace (501): named, never a silent success."""
    return ApiError(501, "NOT_IMPLEMENTED", f"The embedded workspace does not support {what}.")
