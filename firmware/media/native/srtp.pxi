# SRTP and SRTCP (RFC 3711, 7714) by libsrtp2, its ciphers by libcrypto (srtp_ciphers.h).  Included by _engine.pyx.
#
# Sessions are made and freed by the command thread; the tick only protects and unprotects in place.  One session a
# direction, so that a key that changes on one side leaves the packet count of the other alone.  The inbound one takes
# any source that is authentic; libsrtp keeps its replay window and roll-over counter by source.

cdef extern from "srtp2/srtp.h" nogil:
    ctypedef struct srtp_ctx_t_:
        pass
    ctypedef srtp_ctx_t_ *srtp_t
    ctypedef enum srtp_err_status_t:
        srtp_err_status_ok
    ctypedef enum srtp_ssrc_type_t:
        ssrc_specific
        ssrc_any_inbound
    ctypedef struct srtp_ssrc_t:
        srtp_ssrc_type_t type
        unsigned int value
    ctypedef struct srtp_crypto_policy_t:
        pass
    ctypedef struct srtp_policy_t:
        srtp_ssrc_t ssrc
        srtp_crypto_policy_t rtp
        srtp_crypto_policy_t rtcp
        unsigned char *key
        unsigned long window_size
        int allow_repeat_tx
        srtp_policy_t *next
    srtp_err_status_t srtp_init()
    srtp_err_status_t srtp_create(srtp_t *, const srtp_policy_t *)
    srtp_err_status_t srtp_dealloc(srtp_t)
    srtp_err_status_t srtp_protect(srtp_t, void *, int *)
    srtp_err_status_t srtp_unprotect(srtp_t, void *, int *)
    srtp_err_status_t srtp_protect_rtcp(srtp_t, void *, int *)
    srtp_err_status_t srtp_unprotect_rtcp(srtp_t, void *, int *)
    void srtp_crypto_policy_set_rtp_default(srtp_crypto_policy_t *)
    void srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(srtp_crypto_policy_t *)
    void srtp_crypto_policy_set_aes_gcm_128_16_auth(srtp_crypto_policy_t *)
    void srtp_crypto_policy_set_aes_gcm_256_16_auth(srtp_crypto_policy_t *)

cdef extern from "srtp_ciphers.h":
    int take_ciphers()

cdef enum:
    SRTP_WINDOW = 128                  # replay window, packets
    SRTP_TRAILER = 144                 # SRTP_MAX_TRAILER_LEN


# Suites: octets of master key and salt (RFC 4568 6.2, RFC 7714 14.2).
SRTP_KEY_OCTETS = {"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30, "AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44}

if srtp_init() != srtp_err_status_ok:
    raise ImportError("media: libsrtp2 does not start; look at the installation of the package libsrtp2-1")
_status = take_ciphers()
if _status:
    raise ImportError(f"media: libsrtp2 does not take libcrypto's ciphers (its status {_status}); look at the installation of libsrtp2-1 and libssl3")


cdef class SRTPSession:
    """One direction of one leg.  suite: a name of proto/sdes.py; key: master key and salt; ssrc: ours, None inbound."""

    cdef srtp_t session
    cdef bytes key

    def __cinit__(self, suite, bytes key, ssrc):
        cdef srtp_policy_t policy
        memset(&policy, 0, sizeof(policy))
        self.session = NULL
        self.key = key
        if suite == "AES_CM_128_HMAC_SHA1_80" or suite == "AES_CM_128_HMAC_SHA1_32":
            srtp_crypto_policy_set_rtp_default(&policy.rtp)
            srtp_crypto_policy_set_rtp_default(&policy.rtcp)       # RFC 4568 6.2.2: SRTCP has the long tag in both
            if suite == "AES_CM_128_HMAC_SHA1_32":
                srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp)
        elif suite == "AEAD_AES_128_GCM":
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp)
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp)
        elif suite == "AEAD_AES_256_GCM":
            srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp)
            srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp)
        else:
            raise LocalError(f"media: no SRTP suite {suite}")
        policy.ssrc.type = ssrc_any_inbound if ssrc is None else ssrc_specific
        policy.ssrc.value = 0 if ssrc is None else ssrc
        policy.key = <unsigned char *><char *>key
        policy.window_size = SRTP_WINDOW
        code = srtp_create(&self.session, &policy)
        if code != srtp_err_status_ok:
            raise LocalError(f"media: libsrtp2 makes no session of suite {suite} (its status {code})")

    def __dealloc__(self):
        if self.session != NULL:
            srtp_dealloc(self.session)

    def protect(self, bytes packet):
        """An RTP packet as it goes out: for tests and the bench."""
        cdef uint8_t room[2048]
        cdef int n = len(packet)
        memcpy(room, <char *>packet, n)
        if srtp_protect(self.session, room, &n) != srtp_err_status_ok:
            raise LocalError("media: libsrtp2 does not protect the packet")
        return (<char *>room)[:n]

    def unprotect(self, bytes packet):
        """The RTP packet of one that came; None where it is not authentic, or came before."""
        cdef uint8_t room[2048]
        cdef int n = len(packet)
        memcpy(room, <char *>packet, n)
        if srtp_unprotect(self.session, room, &n) != srtp_err_status_ok:
            return None
        return (<char *>room)[:n]


cdef inline int srtp_take(Rtp *r, uint8_t *p, int n, int rtcp_) noexcept nogil:
    """Length of a packet that came, without its protection; -1: not authentic, a repetition, or in the clear where it must not be."""
    if r.srtp_in == NULL:
        if r.srtp_only:
            r.srtp_refused += 1
            return -1
        return n
    if (srtp_unprotect_rtcp(<srtp_t>r.srtp_in, p, &n) if rtcp_ else srtp_unprotect(<srtp_t>r.srtp_in, p, &n)) != srtp_err_status_ok:
        r.srtp_refused += 1
        return -1
    return n


cdef inline int srtp_give(Rtp *r, uint8_t *p, int n, int rtcp_) noexcept nogil:
    """Length of a packet to be sent, protected in place (SRTP_TRAILER octets of room behind it); 0: it must not go."""
    if r.srtp_out == NULL:
        return 0 if r.srtp_only else n
    if (srtp_protect_rtcp(<srtp_t>r.srtp_out, p, &n) if rtcp_ else srtp_protect(<srtp_t>r.srtp_out, p, &n)) != srtp_err_status_ok:
        return 0
    return n


def srtp_cost_ns(list pairs, int number):
    """Processor time of protecting a packet of 20 ms by the first session of a pair and taking it by the second, mean of all pairs.  number: of the packet, another each time."""
    cdef uint8_t room[12 + 160 + SRTP_TRAILER]
    cdef SRTPSession sends, takes
    cdef int n, code
    cdef uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID)
    for sends, takes in pairs:
        memset(room, 0, sizeof(room))
        room[0], room[1] = 0x80, 8
        put16(room + 2, number)
        put32(room + 8, 1)
        n = 172
        code = srtp_protect(sends.session, room, &n)
        code |= srtp_unprotect(takes.session, room, &n)
        if code:
            raise LocalError("media: libsrtp2 does not take back what it has protected")
    return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - began) // len(pairs)
