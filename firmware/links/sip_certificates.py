"""Certificates of SIP over TLS: the pages' own or configured ones; whose certificates we believe.  RFC 3261 26.3, RFC 5922.

A new certificate file is taken within seconds for connections that begin then; those that stand are left alone.
"""

import logging
import os
import ssl

log = logging.getLogger(__name__)


class Certificates:
    """certificate, key: paths.  authorities: path of a PEM file, "" for the system's."""

    def __init__(self, certificate, key, authorities=""):
        self.certificate, self.key, self.authorities = str(certificate), str(key), authorities
        self.fault = None
        self._server = None
        self._seen = None

    def _marks(self):
        marks = []
        for path in (self.certificate, self.key):
            try:
                status = os.stat(path)
                marks.append((status.st_mtime_ns, status.st_size))
            except OSError:
                marks.append(None)
        return marks

    def server_context(self):
        """For connections that far ends open; None where there is no usable certificate (see fault)."""
        if self._server is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self._load(context):
                self._server = context
        return self._server

    def _load(self, context):
        self._seen = self._marks()
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError, ValueError) as error:
            self.fault = "the certificate %s with the key %s cannot be used (%s); give a pair that fits together" % (
                self.certificate, self.key, error)
            return False
        self.fault = None
        return True

    def look(self):
        """Take a new certificate where the files changed."""
        if self._server is None or self._marks() == self._seen:
            return
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._load(trial):
            self._server.load_cert_chain(self.certificate, self.key)
            log.info("SIP: the certificate %s was renewed", self.certificate)
        else:
            log.error("SIP: %s; the one before stays in use", self.fault)

    def client_context(self, verify):
        """For connections that we open.  verify: the far end's chain and name must be right."""
        context = ssl.create_default_context(cafile=self.authorities or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        try:
            context.load_cert_chain(self.certificate, self.key)     # for far ends that want to see ours
        except (OSError, ssl.SSLError, ValueError):
            pass
        return context
