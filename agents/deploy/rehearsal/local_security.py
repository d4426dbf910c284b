"""Certificates and keys for a rehearsal on one machine; real federations bring their own."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ....common.files import write_bytes, write_file
from .local_cluster import Security

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

_DAYS = 30


def make_security(folder: Path, nodes: Iterable[str] = (), address: str = "127.0.0.1") -> Security:
    """Write a certificate authority, a SuperLink's certificate and a key pair per node into a folder.

    Needs `cryptography`, which Flower brings along.

    Args:
        folder: where to write; private keys are readable by their owner only.
        nodes: names of nodes that authenticate; none = TLS without authentication.
        address: IP address in the SuperLink's certificate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    folder.mkdir(parents=True, exist_ok=True)
    authority_key, link_key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    authority = _certificate("frugalfl rehearsal authority", authority_key.public_key())
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    link = _certificate("frugalfl rehearsal SuperLink", link_key.public_key())
    link = link.add_extension(alternative, critical=False)
    paths = {name: folder / name for name in ("ca.crt", "superlink.crt", "superlink.key")}
    write_bytes(paths["ca.crt"], _signed(authority, authority_key))
    write_bytes(paths["superlink.crt"], _signed(link, authority_key))
    _write_private(paths["superlink.key"], link_key, "TraditionalOpenSSL")
    return Security(
        paths["ca.crt"], paths["superlink.crt"], paths["superlink.key"], _node_keys(folder, nodes)
    )


def _node_keys(folder: Path, nodes: Iterable[str]) -> dict[str, Path]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = {}
    for name in nodes:
        key = ec.generate_private_key(ec.SECP384R1())
        keys[name] = folder / name
        _write_private(keys[name], key, "OpenSSH")
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        write_bytes(folder / f"{name}.pub", public)
    return keys


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey, form: str) -> None:
    from cryptography.hazmat.primitives import serialization

    text = key.private_bytes(
        serialization.Encoding.PEM,
        getattr(serialization.PrivateFormat, form),
        serialization.NoEncryption(),
    )

    def write(draft: Path) -> None:
        draft.touch(mode=0o600)
        draft.write_bytes(text)

    write_file(path, write)


def _certificate(subject: str, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "frugalfl rehearsal authority")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )


def _signed(certificate: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import hashes, serialization

    return bytes(certificate.sign(key, hashes.SHA384()).public_bytes(serialization.Encoding.PEM))
