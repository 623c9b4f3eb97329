"""The certificate of the pages: self-signed at first boot, replaced by the customer's own later."""

import datetime
import ipaddress
import logging
import os
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

log = logging.getLogger(__name__)

LIFE_DAYS = 825


def ensure(folder, address):
    """Make tls/key.pem and tls/certificate.pem where they are missing or do not fit together; returns both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    key_path, certificate_path = folder / "key.pem", folder / "certificate.pem"
    if key_path.exists() and certificate_path.exists():
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_path, key_path)
            return key_path, certificate_path
        except (ssl.SSLError, OSError) as error:
            log.warning("certificate: %s and %s cannot be used (%s); they are set aside and a self-signed pair is made",
                        certificate_path, key_path, error)
            for path in (key_path, certificate_path):
                path.rename(path.with_suffix(".pem.unusable"))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "strowger")])
    names = [x509.DNSName("localhost"), x509.DNSName(socket.gethostname() or "strowger")]
    for text in {address, "127.0.0.1"}:
        names.append(x509.IPAddress(ipaddress.ip_address(text)))
    now = datetime.datetime.now(datetime.UTC)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=LIFE_DAYS))
                   .add_extension(x509.SubjectAlternativeName(names), critical=False)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                   .sign(key, hashes.SHA256()))
    descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_path, certificate_path


class Renewal:
    """A new pair in the place of the old one counts for connections that begin then; those that stand, browsers' telephones among them, are left alone."""

    def __init__(self, key_path, certificate_path):
        self.paths = certificate_path, key_path
        self._seen = self._marks()

    def _marks(self):
        try:
            return [(os.stat(path).st_mtime_ns, os.stat(path).st_size) for path in self.paths]
        except OSError:
            return None

    def look(self, context):
        """context: the server's ssl.SSLContext.  Returns whether a new pair was taken."""
        marks = self._marks()
        if marks is None or marks == self._seen:
            return False
        self._seen = marks
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self.paths)
            context.load_cert_chain(*self.paths)
        except (ssl.SSLError, OSError) as error:
            log.error("certificate: the new %s with its key cannot be used (%s); the one before stays in use; give a pair that fits together", self.paths[0], error)
            return False
        log.info("certificate: %s was renewed", self.paths[0])
        return True
