"""The simulator's own certificate authority and the server certificate of its APNs door."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.simulators.files import write_private

CA_CERTIFICATE = "apns-ca.pem"
SERVER_CERTIFICATE = "apns-server.pem"
"""Key and certificate."""
_CA_KEY = "apns-ca.key"
_CA_LIFE = timedelta(days=3650)
_SERVER_LIFE = timedelta(days=397)
_RENEW_BEFORE = timedelta(days=30)


def server_context(home: Path, now: float) -> ssl.SSLContext:
    """TLS >= 1.2, ALPN h2, for 127.0.0.1 and localhost; makes or renews the files in `home` when needed."""
    at = datetime.fromtimestamp(now, UTC)
    if not (home / CA_CERTIFICATE).exists() or not (home / _CA_KEY).exists() or _is_ending(home / CA_CERTIFICATE, at):
        _make_authority(home, at)
        (home / SERVER_CERTIFICATE).unlink(missing_ok=True)
    if not (home / SERVER_CERTIFICATE).exists() or _is_ending(home / SERVER_CERTIFICATE, at):
        _make_server(home, at)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(home / SERVER_CERTIFICATE)
    return context


def _is_ending(path: Path, at: datetime) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc - at < _RENEW_BEFORE or certificate.not_valid_before_utc > at


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _make_authority(home: Path, at: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Pager push simulator CA")
    certificate = (
        _builder(name, name, key.public_key(), at, _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(home / _CA_KEY, _key_pem(key))
    (home / CA_CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _make_server(home: Path, at: datetime) -> None:
    authority = x509.load_pem_x509_certificate((home / CA_CERTIFICATE).read_bytes())
    signer = serialization.load_pem_private_key((home / _CA_KEY).read_bytes(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{_CA_KEY} in {home} is not an EC key")
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        _builder(_name("localhost"), authority.subject, key.public_key(), at, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    write_private(home / SERVER_CERTIFICATE, _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
