# distutils: libraries = ssl crypto
"""DTLS for SRTP keys (RFC 5764) by OpenSSL: sans-I/O, one object an association.

    certificate = Certificate()                       # made here, ECDSA P-256; certificate.fingerprint: "AB:CD:..." (SHA-256)
    session = DTLSSession(certificate, server)        # server: the far end begins (RFC 5763 5: we are passive)
    octets = session.receive(datagram)                # [datagrams to send]
    session.timeout_ms()                              # when expire() is wanted, in ms from now; None
    session.expire()                                  # [datagrams to send]: what was lost is sent again
    session.done                                      # the keys are there: suite, send_key, receive_key, far_digest(name)
    session.fault                                     # a sentence when it has failed, for good

Certificates are not verified by a chain: who calls compares far_digest() with the fingerprint that came with the
session description (RFC 8122), and only then uses the keys.  TLS 1.2, no renegotiation, no tickets, no resumption.
"""

from libc.stdint cimport int64_t, uint8_t

from firmware.errors import LocalError

cdef extern from *:
    """
    #include <openssl/ssl.h>
    #include <openssl/err.h>
    #include <openssl/x509.h>
    #include <openssl/evp.h>
    #include <openssl/ec.h>
    #include <openssl/rand.h>
    #include <openssl/bn.h>
    #include <sys/time.h>

    static int accept_any(int ok, X509_STORE_CTX *store) { (void)ok; (void)store; return 1; }

    /* A self-signed certificate, valid from a day ago for ten years: its lifetime is the process's. */
    static int make_certificate(SSL_CTX *ctx, unsigned char *digest)
    {
        int good = 0;
        unsigned int n = 0;
        unsigned char serial[8];
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *x = X509_new();
        X509_NAME *name;
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        BIGNUM *big = NULL;
        if (key && x && number && RAND_bytes(serial, sizeof serial) == 1 && (big = BN_bin2bn(serial, sizeof serial, NULL))
            && BN_to_ASN1_INTEGER(big, number) && X509_set_version(x, 2) && X509_set_serialNumber(x, number)
            && X509_gmtime_adj(X509_getm_notBefore(x), -86400) && X509_gmtime_adj(X509_getm_notAfter(x), 315360000L)
            && X509_set_pubkey(x, key) && (name = X509_get_subject_name(x))
            && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"strowger", -1, -1, 0)
            && X509_set_issuer_name(x, name) && X509_sign(x, key, EVP_sha256())
            && SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1
            && X509_digest(x, EVP_sha256(), digest, &n) == 1 && n == 32)
            good = 1;
        BN_free(big);
        ASN1_INTEGER_free(number);
        X509_free(x);
        EVP_PKEY_free(key);
        return good;
    }

    static SSL_CTX *make_context(unsigned char *digest)
    {
        SSL_CTX *ctx = SSL_CTX_new(DTLS_method());
        if (!ctx)
            return NULL;
        SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
        if (SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) != 1
            || SSL_CTX_set_tlsext_use_srtp(ctx, "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80") != 0
            || !make_certificate(ctx, digest)) {
            SSL_CTX_free(ctx);
            return NULL;
        }
        return ctx;
    }

    static SSL *make_session(SSL_CTX *ctx, int server, long mtu)
    {
        SSL *ssl = SSL_new(ctx);
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
        if (!ssl || !in || !out) {
            SSL_free(ssl);
            BIO_free(in);
            BIO_free(out);
            return NULL;
        }
        BIO_set_mem_eof_return(in, -1);
        BIO_set_mem_eof_return(out, -1);
        SSL_set_bio(ssl, in, out);
        SSL_set_mtu(ssl, mtu);
        if (server)
            SSL_set_accept_state(ssl);
        else
            SSL_set_connect_state(ssl);
        return ssl;
    }

    static long next_timeout_ms(SSL *ssl)
    {
        struct timeval t;
        if (!DTLSv1_get_timeout(ssl, &t))
            return -1;
        return t.tv_sec * 1000 + t.tv_usec / 1000;
    }

    static long handle_timeout(SSL *ssl) { return DTLSv1_handle_timeout(ssl); }

    static const char *srtp_profile(SSL *ssl)
    {
        const SRTP_PROTECTION_PROFILE *p = SSL_get_selected_srtp_profile(ssl);
        return p ? p->name : NULL;
    }

    static int far_digest(SSL *ssl, const char *name, unsigned char *out)
    {
        unsigned int n = 0;
        X509 *x = SSL_get1_peer_certificate(ssl);
        const EVP_MD *kind = EVP_get_digestbyname(name);
        if (x && kind)
            X509_digest(x, kind, out, &n);
        X509_free(x);
        return (int)n;
    }

    static const char *last_reason(void)
    {
        const char *text = ERR_reason_error_string(ERR_peek_last_error());
        return text ? text : "no reason given";
    }
    """
    ctypedef struct SSL:
        pass
    ctypedef struct SSL_CTX:
        pass
    ctypedef struct BIO:
        pass
    SSL_CTX *make_context(unsigned char *)
    SSL *make_session(SSL_CTX *, int, long)
    long next_timeout_ms(SSL *)
    long handle_timeout(SSL *)
    const char *srtp_profile(SSL *)
    int far_digest(SSL *, const char *, unsigned char *)
    const char *last_reason()
    void ERR_clear_error()
    void SSL_CTX_free(SSL_CTX *)
    void SSL_free(SSL *)
    BIO *SSL_get_rbio(SSL *)
    BIO *SSL_get_wbio(SSL *)
    int BIO_read(BIO *, void *, int)
    int BIO_write(BIO *, const void *, int)
    int BIO_reset(BIO *)
    size_t BIO_ctrl_pending(BIO *)
    int SSL_do_handshake(SSL *)
    int SSL_is_init_finished(SSL *)
    int SSL_read(SSL *, void *, int)
    int SSL_get_error(SSL *, int)
    int SSL_get_shutdown(SSL *)
    int SSL_export_keying_material(SSL *, unsigned char *, size_t, const char *, size_t, const unsigned char *, size_t, int)
    enum:
        SSL_ERROR_WANT_READ
        SSL_ERROR_WANT_WRITE
        SSL_ERROR_ZERO_RETURN
        SSL_RECEIVED_SHUTDOWN

cdef enum:
    MTU = 1200                  # octets of a datagram without IP and UDP: what every path carries
    RECORD_HEAD = 13            # RFC 6347 4.1
    ROOM = 16384
    LONGEST = 16384             # octets of a datagram that is looked at; RFC 6347 4.1.1: records end at 2**14
    HELD_RECORDS = 128          # records of the next epoch that OpenSSL may have kept during the handshake; its own bound is 100

# Profiles by OpenSSL's names: suite of proto/sdes.py, octets of master key and salt (RFC 5764 4.1.2, RFC 7714 14.2).
PROFILES = {"SRTP_AES128_CM_SHA1_80": ("AES_CM_128_HMAC_SHA1_80", 16, 14), "SRTP_AEAD_AES_128_GCM": ("AEAD_AES_128_GCM", 16, 12)}
LABEL = b"EXTRACTOR-dtls_srtp"
DIGESTS = ("sha-256", "sha-384", "sha-512")     # of fingerprints; RFC 8122 5: no weaker ones


cdef class Certificate:
    """A key and its certificate, made at the start; nobody keeps it.  fingerprint: text of its SHA-256, as in SDP."""

    cdef SSL_CTX *context
    cdef readonly str fingerprint

    def __cinit__(self):
        cdef uint8_t digest[32]
        self.context = make_context(digest)
        if self.context == NULL:
            raise LocalError("media: OpenSSL makes no DTLS certificate (%s); look at the installation of libssl3"
                             % (<bytes>last_reason()).decode("ascii", "replace"))
        self.fingerprint = ":".join("%02X" % octet for octet in digest[:32])

    def __dealloc__(self):
        if self.context != NULL:
            SSL_CTX_free(self.context)


cdef class DTLSSession:
    """One association.  server: the far end sends the first message."""

    cdef SSL *ssl
    cdef Certificate certificate
    cdef readonly bint server, done, closed
    cdef readonly str fault, suite
    cdef readonly bytes send_key, receive_key

    def __cinit__(self, Certificate certificate, bint server):
        self.certificate = certificate
        self.server = server
        self.ssl = make_session(certificate.context, server, MTU)
        if self.ssl == NULL:
            raise LocalError("media: OpenSSL makes no DTLS session (%s)" % (<bytes>last_reason()).decode("ascii", "replace"))

    def __dealloc__(self):
        if self.ssl != NULL:
            SSL_free(self.ssl)

    def start(self):
        """The first message, where we begin.  Returns datagrams."""
        return self._go()

    def receive(self, bytes datagram):
        """One datagram of the far end.  Returns datagrams to send."""
        cdef uint8_t room[2048]
        cdef int n
        if self.fault is not None or not datagram or len(datagram) > LONGEST:
            return []
        BIO_write(SSL_get_rbio(self.ssl), <char *>datagram, <int>len(datagram))
        if not self.done:
            return self._go()
        # After the keys: a repetition of its last flight is answered, an alert noticed, application data thrown away: all of it,
        # since what is left would gather here.  Each reading takes a record, so the datagram's length bounds them.
        for _ in range(len(datagram) // RECORD_HEAD + HELD_RECORDS):
            ERR_clear_error()
            n = SSL_read(self.ssl, room, sizeof(room))
            if n <= 0 and not BIO_ctrl_pending(SSL_get_rbio(self.ssl)):
                break
        self._throw_away()
        if SSL_get_shutdown(self.ssl) & SSL_RECEIVED_SHUTDOWN:
            self.closed = True
        return self._output()

    def timeout_ms(self):
        """When expire() is wanted, in ms from now; None: never."""
        cdef long ms = -1 if self.done or self.fault is not None else next_timeout_ms(self.ssl)
        return None if ms < 0 else ms

    def expire(self):
        """The time is up: send the last flight again.  Returns datagrams."""
        if self.done or self.fault is not None:
            return []
        ERR_clear_error()
        if handle_timeout(self.ssl) < 0:
            self.fault = "DTLS: the far end does not answer"
        return self._output()

    def far_digest(self, str name):
        """Digest of the far end's certificate, as in SDP.  name: of DIGESTS; others, or no certificate: None."""
        cdef uint8_t digest[64]
        cdef int n
        if name not in DIGESTS:
            return None
        n = far_digest(self.ssl, name.replace("-", "").encode(), digest)
        return ":".join("%02X" % octet for octet in digest[:n]) if n else None

    cdef list _go(self):
        cdef int code, error
        ERR_clear_error()
        code = SSL_do_handshake(self.ssl)
        if code == 1:
            self._keys()
        else:
            error = SSL_get_error(self.ssl, code)
            if error != SSL_ERROR_WANT_READ and error != SSL_ERROR_WANT_WRITE:
                self.fault = "DTLS: the handshake failed (%s)" % (<bytes>last_reason()).decode("ascii", "replace")
        self._throw_away()
        return self._output()

    def unread(self):
        """Octets that came and that nobody has looked at."""
        return <int>BIO_ctrl_pending(SSL_get_rbio(self.ssl))

    cdef void _throw_away(self):
        """What OpenSSL left unread of a datagram: half a record, or what came after a fault."""
        if BIO_ctrl_pending(SSL_get_rbio(self.ssl)):
            BIO_reset(SSL_get_rbio(self.ssl))

    cdef _keys(self):
        cdef uint8_t room[128]
        cdef const char *name = srtp_profile(self.ssl)
        profile = PROFILES.get((<bytes>name).decode()) if name != NULL else None
        if profile is None:
            self.fault = "DTLS: the far end has no SRTP profile that we have (%s)" % ", ".join(PROFILES)
            return
        suite, key, salt = profile
        cdef int n = 2 * (key + salt)
        if SSL_export_keying_material(self.ssl, room, n, LABEL, len(LABEL), NULL, 0, 0) != 1:
            self.fault = "DTLS: OpenSSL gives no keys (%s)" % (<bytes>last_reason()).decode("ascii", "replace")
            return
        octets = (<char *>room)[:n]
        client = octets[:key] + octets[2 * key:2 * key + salt]
        server = octets[key:2 * key] + octets[2 * key + salt:]
        self.suite = suite
        self.send_key, self.receive_key = (server, client) if self.server else (client, server)
        self.done = True

    cdef list _output(self):
        """What OpenSSL wrote, a stream of whole records, as datagrams of at most MTU octets."""
        cdef uint8_t room[ROOM]
        cdef int n = BIO_read(SSL_get_wbio(self.ssl), room, ROOM)
        if n <= 0:
            return []
        octets = (<char *>room)[:n]
        out, at, begin = [], 0, 0
        while at + RECORD_HEAD <= len(octets):
            size = RECORD_HEAD + int.from_bytes(octets[at + 11:at + 13], "big")
            if at > begin and at + size - begin > MTU:
                out.append(octets[begin:at])
                begin = at
            at += size
        out.append(octets[begin:])
        return out
