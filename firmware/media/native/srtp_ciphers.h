/* Ciphers and HMAC of libsrtp2 by OpenSSL's libcrypto, through the door that libsrtp2 has for it (srtp_replace_*_type).
 *
 * Debian's libsrtp2 has them from NSS, which takes locks, allocates, and walks tables of all sessions for each packet: with 240 streams
 * 32 us a packet each way.  A tick can have none of that.  Here a packet allocates nothing and locks nothing.
 * What libsrtp2 does itself (keys from the master key, roll-over counter, replay window) stays its own; it tests what it is given
 * against its own vectors and ours before it takes it.
 *
 * AES in counter mode: RFC 3711 4.1.1; HMAC-SHA1: RFC 2104, 3711 4.2.1; AES-GCM: RFC 7714. */
#ifndef STROWGER_SRTP_CIPHERS_H
#define STROWGER_SRTP_CIPHERS_H
#define OPENSSL_SUPPRESS_DEPRECATED     /* SHA1_*: EVP would allocate for each packet */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <srtp2/auth.h>
#include <srtp2/cipher.h>
#include <stdlib.h>
#include <string.h>

enum { SALT_ICM = 14, SALT_GCM = 12, TAG_MOST = 16, SHA1_BLOCK = 64 };

struct srtp_cipher_state {
    EVP_CIPHER_CTX *context;
    uint8_t offset[16];         /* counter mode: the salt, which each packet's IV is added to */
    int key_len, tag_len, decrypts;
};

static srtp_err_status_t cipher_dealloc(srtp_cipher_t *c)
{
    struct srtp_cipher_state *s = c->state;
    EVP_CIPHER_CTX_free(s->context);
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
    free(c);
    return srtp_err_status_ok;
}

/* key_len: with the salt, as libsrtp2 counts. */
static srtp_err_status_t cipher_alloc(srtp_cipher_t **c, const srtp_cipher_type_t *type, int key_len, int salt_len, int tag_len)
{
    struct srtp_cipher_state *s = calloc(1, sizeof *s);
    *c = calloc(1, sizeof **c);
    if (s)
        s->context = EVP_CIPHER_CTX_new();
    if (!s || !*c || !s->context) {
        if (s)
            EVP_CIPHER_CTX_free(s->context);
        free(s);
        free(*c);
        *c = NULL;
        return srtp_err_status_alloc_fail;
    }
    s->key_len = key_len - salt_len;
    s->tag_len = tag_len;
    (*c)->type = type;
    (*c)->state = s;
    (*c)->key_len = key_len;
    (*c)->algorithm = type->id;
    return srtp_err_status_ok;
}

/* -- AES in counter mode -- */

static const srtp_cipher_type_t icm_type;

static srtp_err_status_t icm_alloc(srtp_cipher_t **c, int key_len, int tag_len)
{
    (void)tag_len;
    return key_len == 16 + SALT_ICM ? cipher_alloc(c, &icm_type, key_len, SALT_ICM, 0) : srtp_err_status_bad_param;
}

static srtp_err_status_t icm_init(void *state, const uint8_t *key)
{
    struct srtp_cipher_state *s = state;
    memset(s->offset, 0, sizeof s->offset);
    memcpy(s->offset, key + s->key_len, SALT_ICM);
    return EVP_EncryptInit_ex(s->context, EVP_aes_128_ctr(), NULL, key, s->offset) == 1 ? srtp_err_status_ok : srtp_err_status_init_fail;
}

static srtp_err_status_t icm_set_iv(void *state, uint8_t *iv, srtp_cipher_direction_t direction)
{
    struct srtp_cipher_state *s = state;
    uint8_t counter[16];
    int i;
    (void)direction;
    for (i = 0; i < 16; i++)
        counter[i] = s->offset[i] ^ iv[i];
    return EVP_EncryptInit_ex(s->context, NULL, NULL, NULL, counter) == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
}

static srtp_err_status_t icm_encrypt(void *state, uint8_t *octets, unsigned int *count)
{
    struct srtp_cipher_state *s = state;
    int n = 0;
    return EVP_EncryptUpdate(s->context, octets, &n, octets, (int)*count) == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
}

/* -- AES-GCM -- */

static const srtp_cipher_type_t gcm_128_type, gcm_256_type;

static srtp_err_status_t gcm_alloc(srtp_cipher_t **c, int key_len, int tag_len)
{
    if ((key_len != 16 + SALT_GCM && key_len != 32 + SALT_GCM) || (tag_len != 8 && tag_len != TAG_MOST))
        return srtp_err_status_bad_param;
    return cipher_alloc(c, key_len == 16 + SALT_GCM ? &gcm_128_type : &gcm_256_type, key_len, SALT_GCM, tag_len);
}

static srtp_err_status_t gcm_init(void *state, const uint8_t *key)
{
    struct srtp_cipher_state *s = state;
    const EVP_CIPHER *cipher = s->key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    return EVP_CipherInit_ex(s->context, cipher, NULL, key, NULL, 1) == 1 ? srtp_err_status_ok : srtp_err_status_init_fail;
}

static srtp_err_status_t gcm_set_iv(void *state, uint8_t *iv, srtp_cipher_direction_t direction)
{
    struct srtp_cipher_state *s = state;
    s->decrypts = direction == srtp_direction_decrypt;
    return EVP_CipherInit_ex(s->context, NULL, NULL, NULL, iv, !s->decrypts) == 1 ? srtp_err_status_ok : srtp_err_status_init_fail;
}

static srtp_err_status_t gcm_set_aad(void *state, const uint8_t *aad, uint32_t count)
{
    struct srtp_cipher_state *s = state;
    int n = 0;
    return EVP_CipherUpdate(s->context, NULL, &n, aad, (int)count) == 1 ? srtp_err_status_ok : srtp_err_status_algo_fail;
}

static srtp_err_status_t gcm_encrypt(void *state, uint8_t *octets, unsigned int *count)
{
    struct srtp_cipher_state *s = state;
    int n = 0;
    return EVP_CipherUpdate(s->context, octets, &n, octets, (int)*count) == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
}

static srtp_err_status_t gcm_get_tag(void *state, uint8_t *tag, uint32_t *count)
{
    struct srtp_cipher_state *s = state;
    uint8_t none[16];
    int n = 0;
    if (EVP_CipherFinal_ex(s->context, none, &n) != 1 || EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_GET_TAG, s->tag_len, tag) != 1)
        return srtp_err_status_algo_fail;
    *count = (uint32_t)s->tag_len;
    return srtp_err_status_ok;
}

/* The tag stands behind the text; it is right, or nothing may be made of the text. */
static srtp_err_status_t gcm_decrypt(void *state, uint8_t *octets, unsigned int *count)
{
    struct srtp_cipher_state *s = state;
    uint8_t none[16];
    int n = 0, text = (int)*count - s->tag_len;
    if (text < 0)
        return srtp_err_status_bad_param;
    if (EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_SET_TAG, s->tag_len, octets + text) != 1
        || EVP_CipherUpdate(s->context, octets, &n, octets, text) != 1)
        return srtp_err_status_algo_fail;
    if (EVP_CipherFinal_ex(s->context, none, &n) != 1)
        return srtp_err_status_auth_fail;
    *count = (unsigned int)text;
    return srtp_err_status_ok;
}

/* -- HMAC-SHA1: the hashes of both pads are worked out with the key, a packet begins from copies of them -- */

struct srtp_hmac_state {
    SHA_CTX inner, outer, now;
};

static const srtp_auth_type_t hmac_type;

static srtp_err_status_t hmac_alloc(srtp_auth_t **a, int key_len, int out_len)
{
    struct srtp_hmac_state *s;
    if (key_len > SHA_DIGEST_LENGTH || out_len > SHA_DIGEST_LENGTH)
        return srtp_err_status_bad_param;
    s = calloc(1, sizeof *s);
    *a = calloc(1, sizeof **a);
    if (!s || !*a) {
        free(s);
        free(*a);
        *a = NULL;
        return srtp_err_status_alloc_fail;
    }
    (*a)->type = &hmac_type;
    (*a)->state = s;
    (*a)->key_len = key_len;
    (*a)->out_len = out_len;
    return srtp_err_status_ok;
}

static srtp_err_status_t hmac_dealloc(srtp_auth_t *a)
{
    OPENSSL_cleanse(a->state, sizeof(struct srtp_hmac_state));
    free(a->state);
    free(a);
    return srtp_err_status_ok;
}

static srtp_err_status_t hmac_init(void *state, const uint8_t *key, int key_len)
{
    struct srtp_hmac_state *s = state;
    uint8_t pad[SHA1_BLOCK];
    SHA_CTX *both[2] = {&s->inner, &s->outer};
    int i, k, good = 1;
    for (k = 0; k < 2; k++) {
        for (i = 0; i < SHA1_BLOCK; i++)
            pad[i] = (i < key_len ? key[i] : 0) ^ (k ? 0x5C : 0x36);
        good &= SHA1_Init(both[k]) == 1 && SHA1_Update(both[k], pad, sizeof pad) == 1;
    }
    OPENSSL_cleanse(pad, sizeof pad);
    s->now = s->inner;
    return good ? srtp_err_status_ok : srtp_err_status_init_fail;
}

static srtp_err_status_t hmac_start(void *state)
{
    struct srtp_hmac_state *s = state;
    s->now = s->inner;
    return srtp_err_status_ok;
}

static srtp_err_status_t hmac_update(void *state, const uint8_t *octets, int count)
{
    struct srtp_hmac_state *s = state;
    return SHA1_Update(&s->now, octets, (size_t)count) == 1 ? srtp_err_status_ok : srtp_err_status_auth_fail;
}

static srtp_err_status_t hmac_compute(void *state, const uint8_t *octets, int count, int tag_len, uint8_t *tag)
{
    struct srtp_hmac_state *s = state;
    uint8_t digest[SHA_DIGEST_LENGTH];
    if (tag_len > SHA_DIGEST_LENGTH)
        return srtp_err_status_bad_param;
    if (SHA1_Update(&s->now, octets, (size_t)count) != 1 || SHA1_Final(digest, &s->now) != 1)
        return srtp_err_status_auth_fail;
    s->now = s->outer;
    if (SHA1_Update(&s->now, digest, sizeof digest) != 1 || SHA1_Final(digest, &s->now) != 1)
        return srtp_err_status_auth_fail;
    memcpy(tag, digest, (size_t)tag_len);
    return srtp_err_status_ok;
}

/* -- vectors that libsrtp2 wants with each, and the types -- */

static const uint8_t icm_key[16 + SALT_ICM] = {      /* RFC 3711 B.2, with its salt */
    0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C,
    0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD};
static uint8_t no_iv[16];
static const uint8_t no_text[32];
static const uint8_t icm_text[32] = {
    0xE0, 0x3E, 0xAD, 0x09, 0x35, 0xC9, 0x5E, 0x80, 0xE1, 0x66, 0xB1, 0x6D, 0xD9, 0x2B, 0x4E, 0xB4,
    0xD2, 0x35, 0x13, 0x16, 0x2B, 0x02, 0xD0, 0xF7, 0x2A, 0x43, 0xA2, 0xFE, 0x4A, 0x5F, 0x97, 0xAB};
static const srtp_cipher_test_case_t icm_case = {
    .key_length_octets = sizeof icm_key, .key = icm_key, .idx = no_iv, .plaintext_length_octets = 32, .plaintext = no_text,
    .ciphertext_length_octets = 32, .ciphertext = icm_text};

/* "The Galois/Counter Mode of Operation" (McGrew, Viega), test cases 4 and 16; twelve octets of salt behind the key that GCM itself does not see. */
static const uint8_t gcm_key[32 + SALT_GCM] = {
    0xFE, 0xFF, 0xE9, 0x92, 0x86, 0x65, 0x73, 0x1C, 0x6D, 0x6A, 0x8F, 0x94, 0x67, 0x30, 0x83, 0x08,
    0xFE, 0xFF, 0xE9, 0x92, 0x86, 0x65, 0x73, 0x1C, 0x6D, 0x6A, 0x8F, 0x94, 0x67, 0x30, 0x83, 0x08};
static uint8_t gcm_iv[12] = {0xCA, 0xFE, 0xBA, 0xBE, 0xFA, 0xCE, 0xDB, 0xAD, 0xDE, 0xCA, 0xF8, 0x88};
static const uint8_t gcm_aad[20] = {0xFE, 0xED, 0xFA, 0xCE, 0xDE, 0xAD, 0xBE, 0xEF, 0xFE, 0xED, 0xFA, 0xCE, 0xDE, 0xAD, 0xBE, 0xEF, 0xAB, 0xAD, 0xDA, 0xD2};
static const uint8_t gcm_plain[60] = {
    0xD9, 0x31, 0x32, 0x25, 0xF8, 0x84, 0x06, 0xE5, 0xA5, 0x59, 0x09, 0xC5, 0xAF, 0xF5, 0x26, 0x9A, 0x86, 0xA7, 0xA9, 0x53,
    0x15, 0x34, 0xF7, 0xDA, 0x2E, 0x4C, 0x30, 0x3D, 0x8A, 0x31, 0x8A, 0x72, 0x1C, 0x3C, 0x0C, 0x95, 0x95, 0x68, 0x09, 0x53,
    0x2F, 0xCF, 0x0E, 0x24, 0x49, 0xA6, 0xB5, 0x25, 0xB1, 0x6A, 0xED, 0xF5, 0xAA, 0x0D, 0xE6, 0x57, 0xBA, 0x63, 0x7B, 0x39};
static const uint8_t gcm_128_text[60 + TAG_MOST] = {
    0x42, 0x83, 0x1E, 0xC2, 0x21, 0x77, 0x74, 0x24, 0x4B, 0x72, 0x21, 0xB7, 0x84, 0xD0, 0xD4, 0x9C, 0xE3, 0xAA, 0x21, 0x2F,
    0x2C, 0x02, 0xA4, 0xE0, 0x35, 0xC1, 0x7E, 0x23, 0x29, 0xAC, 0xA1, 0x2E, 0x21, 0xD5, 0x14, 0xB2, 0x54, 0x66, 0x93, 0x1C,
    0x7D, 0x8F, 0x6A, 0x5A, 0xAC, 0x84, 0xAA, 0x05, 0x1B, 0xA3, 0x0B, 0x39, 0x6A, 0x0A, 0xAC, 0x97, 0x3D, 0x58, 0xE0, 0x91,
    0x5B, 0xC9, 0x4F, 0xBC, 0x32, 0x21, 0xA5, 0xDB, 0x94, 0xFA, 0xE9, 0x5A, 0xE7, 0x12, 0x1A, 0x47};
static const uint8_t gcm_256_text[60 + TAG_MOST] = {
    0x52, 0x2D, 0xC1, 0xF0, 0x99, 0x56, 0x7D, 0x07, 0xF4, 0x7F, 0x37, 0xA3, 0x2A, 0x84, 0x42, 0x7D, 0x64, 0x3A, 0x8C, 0xDC,
    0xBF, 0xE5, 0xC0, 0xC9, 0x75, 0x98, 0xA2, 0xBD, 0x25, 0x55, 0xD1, 0xAA, 0x8C, 0xB0, 0x8E, 0x48, 0x59, 0x0D, 0xBB, 0x3D,
    0xA7, 0xB0, 0x8B, 0x10, 0x56, 0x82, 0x88, 0x38, 0xC5, 0xF6, 0x1E, 0x63, 0x93, 0xBA, 0x7A, 0x0A, 0xBC, 0xC9, 0xF6, 0x62,
    0x76, 0xFC, 0x6E, 0xCE, 0x0F, 0x4E, 0x17, 0x68, 0xCD, 0xDF, 0x88, 0x53, 0xBB, 0x2D, 0x55, 0x1B};
#define GCM_CASE(KEY, TEXT) { \
    .key_length_octets = (KEY) + SALT_GCM, .key = gcm_key, .idx = gcm_iv, .plaintext_length_octets = sizeof gcm_plain, .plaintext = gcm_plain, \
    .ciphertext_length_octets = sizeof TEXT, .ciphertext = TEXT, .aad_length_octets = sizeof gcm_aad, .aad = gcm_aad, .tag_length_octets = TAG_MOST}
static const srtp_cipher_test_case_t gcm_128_case = GCM_CASE(16, gcm_128_text), gcm_256_case = GCM_CASE(32, gcm_256_text);

static const uint8_t hmac_key[20] = {11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11};   /* RFC 2202 3, case 1 */
static const uint8_t hmac_tag[20] = {0xB6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xE2, 0x8B, 0xC0, 0xB6, 0xFB, 0x37, 0x8C, 0x8E, 0xF1, 0x46, 0xBE, 0x00};
static const srtp_auth_test_case_t hmac_case = {
    .key_length_octets = 20, .key = hmac_key, .data_length_octets = 8, .data = (const uint8_t *)"Hi There", .tag_length_octets = 20, .tag = hmac_tag};

static const srtp_cipher_type_t icm_type = {
    icm_alloc, cipher_dealloc, icm_init, NULL, icm_encrypt, icm_encrypt, icm_set_iv, NULL, "AES-128 in counter mode, libcrypto", &icm_case, SRTP_AES_ICM_128};
static const srtp_cipher_type_t gcm_128_type = {
    gcm_alloc, cipher_dealloc, gcm_init, gcm_set_aad, gcm_encrypt, gcm_decrypt, gcm_set_iv, gcm_get_tag, "AES-128 GCM, libcrypto", &gcm_128_case, SRTP_AES_GCM_128};
static const srtp_cipher_type_t gcm_256_type = {
    gcm_alloc, cipher_dealloc, gcm_init, gcm_set_aad, gcm_encrypt, gcm_decrypt, gcm_set_iv, gcm_get_tag, "AES-256 GCM, libcrypto", &gcm_256_case, SRTP_AES_GCM_256};
static const srtp_auth_type_t hmac_type = {
    hmac_alloc, hmac_dealloc, hmac_init, hmac_compute, hmac_update, hmac_start, "HMAC-SHA1, libcrypto", &hmac_case, SRTP_HMAC_SHA1};

/* After srtp_init() and before the first session: 0, or the first status of libsrtp2 that is none of success. */
static int take_ciphers(void)
{
    int status = srtp_replace_cipher_type(&icm_type, SRTP_AES_ICM_128);
    if (!status)
        status = srtp_replace_cipher_type(&gcm_128_type, SRTP_AES_GCM_128);
    if (!status)
        status = srtp_replace_cipher_type(&gcm_256_type, SRTP_AES_GCM_256);
    if (!status)
        status = srtp_replace_auth_type(&hmac_type, SRTP_HMAC_SHA1);
    return status;
}
#endif
