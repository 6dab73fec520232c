"""A certificate for the loopback address that only the clients of one endpoint trust.

dbt-databricks asks `https://<host>/.well-known/databricks-config` on every start, always over TLS and with no setting
to turn it off (its `spog/probe.py`); unanswered, that costs three tries, about two seconds and a message to the user.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = dt.timedelta(days=365)


def serve_loopback(directory: Path) -> tuple[ssl.SSLContext, bytes]:
    """A fresh key and self-signed certificate for 127.0.0.1: the server's TLS context, and the certificate as PEM.

    The certificate is no authority: whoever trusts it trusts this endpoint and nothing else. The private key is in
    `directory` only until OpenSSL has read it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    # OpenSSL looks certificates up by name, and of two alike in one bundle would take that of another endpoint.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"dbx_cd SQL endpoint {secrets.token_hex(8)}")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _context(directory / "endpoint.pem", public + private), public


def _context(path: Path, pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path.touch(mode=0o600)
    try:
        path.write_bytes(pem)
        context.load_cert_chain(path)
    finally:
        path.unlink()
    return context


def trust_bundle(certificate: bytes, environ: Mapping[str, str]) -> bytes:
    """The certificate together with those that `requests` would trust in `environ`, so that other HTTPS still works."""
    configured = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or certifi.where()
    path = Path(configured)
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    return b"\n".join([*(file.read_bytes() for file in files), certificate])
