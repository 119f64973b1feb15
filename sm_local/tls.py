"""The certificate of the local AWS, made without the openssl command."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sm_local.state import StateDirectory

_LIFETIME = datetime.timedelta(days=365)


def ensure_certificate(state: StateDirectory) -> None:
    """Write certificate, key and CA bundle for ``127.0.0.1`` and ``localhost``, unless they still hold.

    The key never leaves the state directory and is readable by its owner only.
    """
    if not _still_valid(state):
        state.certificate.parent.mkdir(parents=True, exist_ok=True)
        _write_certificate(state)
    system = ssl.get_default_verify_paths()
    # NODE_EXTRA_CA_CERTS adds to the system's authorities, the other variables replace them.
    authorities = [state.certificate.read_bytes()]
    for path in (system.openssl_cafile, system.cafile):
        if path and os.path.exists(path):  # noqa: PTH110 - a str from the ssl module
            with open(path, "rb") as file:  # noqa: PTH123
                authorities.append(file.read())
            break
    state.ca_bundle.write_bytes(b"\n".join(authorities))


def _still_valid(state: StateDirectory) -> bool:
    if not (state.certificate.exists() and state.private_key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(state.certificate.read_bytes())
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    return certificate.not_valid_after_utc > tomorrow


def _write_certificate(state: StateDirectory) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sm_local")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        # A leaf, not an authority: nothing else can be signed with it.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    descriptor = os.open(state.private_key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    state.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
