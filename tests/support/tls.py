"""A certificate authority of the tests, and what it signs."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

DAYS = timedelta(days=2)


class Authority:
    """Signs certificates for a day. `pem` is the file that who trusts it needs."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The tests' authority")])
        self._certificate = _signed(self._name, self._name, self._key, self._key, ())
        self.pem = folder / "authority.pem"
        self.pem.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    @property
    def pin(self) -> str:
        """Its public key's hash (RFC 7469 2.4)."""
        key = self._key.public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(sha256(spki).digest()).decode()

    def server(self, *names: str) -> ssl.SSLContext:
        """What a server of these names shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        signed = _signed(subject, self._name, key, self._key, names)
        whole = self._folder / f"{names[0]}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = [one.public_bytes(Encoding.PEM) for one in (signed, self._certificate)]
        whole.write_bytes(b"".join([private, *chain]))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(whole)
        return context


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
) -> x509.Certificate:
    """A certificate of a server with these names; without names, of an authority."""
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAYS)
        .not_valid_after(now + DAYS)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        known = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        made = made.add_extension(known, critical=False)
    return made.sign(by, hashes.SHA256())
