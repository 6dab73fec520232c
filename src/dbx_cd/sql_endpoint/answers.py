"""How a call of the protocol is answered: with a status that tells a fault, and with the rows that come soon."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from dbx_cd.sql_endpoint.operation import Operation
from dbx_cd.sql_endpoint.session import EndpointSession
from dbx_cd.sql_endpoint.statement import failure_of
from dbx_cd.sql_endpoint.thrift_api import T, ThriftFault, success

_log = logging.getLogger(__name__)

# The connector locks itself during a call, so that a cancellation waits as long: keep it short.
DIRECT_RESULT_SECONDS = 5.0


def answers(response: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Turn a fault into a response with an error status, so that a bad request never breaks the connection."""

    def decorate(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def answer(self: Any, request: Any) -> Any:
            try:
                return call(self, request)
            except ThriftFault as fault:
                return response(status=fault.status())
            except Exception as exc:
                _log.exception("%s failed", call.__name__)
                return response(status=ThriftFault(failure_of(exc).message, sql_state="HY000").status())

        return answer

    return decorate


def not_supported(call: str, response: Any) -> Callable[..., Any]:
    """A call of the protocol that is refused by its name."""

    def refuse(_service: Any, _request: Any) -> Any:
        raise ThriftFault(f"[UNSUPPORTED] {call} is not supported by this endpoint", sql_state="0A000")

    return answers(response)(refuse)


def started(response: Any, request: Any, session: EndpointSession, operation: Operation) -> Any:
    """The answer to a call that began an operation: with its rows, if they come soon and the client takes them so."""
    if request.getDirectResults:
        operation.done.wait(DIRECT_RESULT_SECONDS)
    elif not request.runAsync:
        operation.done.wait()
    answer = response(status=success(), operationHandle=operation.handle())
    if request.getDirectResults and operation.done.is_set():
        answer.directResults = _direct_results(session, operation, request.getDirectResults)
    return answer


def _direct_results(session: EndpointSession, operation: Operation, limits: Any) -> Any:
    """The whole answer in the first response, with the operation closed when nothing is left to fetch."""
    results = T.TSparkDirectResults(operationStatus=operation.status())
    if not results.operationStatus.hasResultSet:
        if operation.failure is not None:  # the client, which knows it all now, never closes it
            session.discard(operation)
            results.closeOperation = T.TCloseOperationResp(status=success())
        return results
    pages = operation.pages()
    results.resultSetMetadata = pages.metadata()
    results.resultSet = page_answer(pages.next_page(max_rows=limits.maxRows, max_bytes=limits.maxBytes))
    if not results.resultSet.hasMoreRows and not pages.are_linked:
        session.discard(operation)
        results.closeOperation = T.TCloseOperationResp(status=success())
    return results


def page_answer(page: Any) -> Any:
    """The answer with one page of rows."""
    return T.TFetchResultsResp(status=success(), hasMoreRows=page.has_more, results=page.row_set())
