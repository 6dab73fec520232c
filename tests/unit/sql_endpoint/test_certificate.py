"""Certificates of several endpoints in one bundle: a shell of one workspace starts another."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from socket import socketpair

from dbx_cd.sql_endpoint.certificate import serve_loopback, trust_bundle


def test_each_of_two_endpoints_is_trusted_where_both_are_known(tmp_path: Path) -> None:
    servers, bundle = [], tmp_path / "bundle.pem"
    bundle.touch()
    for _ in range(2):
        server, certificate = serve_loopback(tmp_path)
        servers.append(server)
        bundle.write_bytes(trust_bundle(certificate, {"REQUESTS_CA_BUNDLE": str(bundle)}))
    for server in servers:
        shaken = handshake(server, ssl.create_default_context(cafile=str(bundle)))
        assert shaken == "TLSv1.3"


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """The protocol that both agree on; raises what the client says against the server."""
    ours, theirs = socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except ssl.SSLError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname="localhost") as connection:
            return connection.version()
    finally:
        thread.join()
