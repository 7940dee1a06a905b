/* What the parts of the Security double share. */
#ifndef SECURITY_H
#define SECURITY_H

#include "double.h"

#include <openssl/x509.h>
#include <pthread.h>
#include <time.h>

enum {
    errSecSuccess = 0,
    errSecParam = -50,
    errSecAllocate = -108,
    errSecNoTrustSettings = -25263,
    errSecNotAvailable = -25291,
    errSecCreateChainFailed = -25318,
    errSecInternal = -26276,
    errSecHostNameMismatch = -67602,
    errSecUnknownCriticalExtensionFlag = -67603,
    errSecNoBasicConstraintsCA = -67605,
    errSecInvalidExtendedKeyUsage = -67609,
    errSecInvalidIDLinkage = -67610,
    errSecPathLengthConstraintExceeded = -67611,
    errSecIncompleteCertRevocationCheck = -67635,
    errSecTrustSettingDeny = -67654,
    errSecInternalError = -67671,
    errSecInvalidName = -67689,
    errSecUnsupportedKeySize = -67735,
    errSecInvalidDigestAlgorithm = -67815,
    errSecCertificateExpired = -67818,
    errSecCertificateRevoked = -67820,
    errSecNotTrusted = -67843,
    errSecCertificateValidityPeriodTooLong = -67901,
};

/* SecTrustResultType */
enum { RESULT_INVALID = 0, RESULT_PROCEED = 1, RESULT_UNSPECIFIED = 4, RESULT_RECOVERABLE = 5, RESULT_FATAL = 6 };

/* SecPolicyCreateRevocation's flags */
enum { REVOCATION_REQUIRE_POSITIVE_RESPONSE = 8, REVOCATION_NO_NETWORK = 16, REVOCATION_ALL_FLAGS = 31 };

#define UNIX_TIME_OF_CF_EPOCH 978307200

struct certificate {
    struct object object;
    X509 *x509;
};

enum policy_kind { POLICY_BASIC, POLICY_TLS, POLICY_REVOCATION, POLICY_MAIL };
struct policy {
    struct object object;
    enum policy_kind kind;
    bool server;                /* TLS: judge a server, not a client */
    struct string *server_name; /* TLS: NULL is no name check */
    CFOptionFlags flags;        /* revocation */
    bool no_network;
};

struct trust {
    struct object object;
    struct array *certificates, *policies, *anchors, *responses;
    bool anchors_only, has_date;
    time_t date;
    pthread_mutex_t queue; /* one trust object is evaluated by one thread at a time */
    int result;            /* RESULT_INVALID until evaluated, and after each setter */
    OSStatus code;
    char *words;
};

/* What a test says about one certificate in a trust settings domain. */
enum setting {
    TRUST_ALWAYS,
    TRUST_FOR_TLS,
    TRUST_FOR_MAIL,
    DENY,
    DENY_FOR_TLS,
    DENY_FOR_MAIL,
    UNSPECIFIED,
    TRUST_FOR_ONE_HOST
};
enum { DOMAIN_USER = 0, DOMAIN_ADMIN = 1 };

/* store.c: the machine's state, as tests set it */
bool is_system_anchor(X509 *x509);
bool is_settings_anchor(X509 *x509);
bool is_denied(X509 *x509);
STACK_OF(X509) * machine_anchors(void);
int network_revocation_answer(X509 *certificate, X509 *issuer, STACK_OF(X509) * chain, time_t now);
OSStatus forced_status(void);
void meet_others(void);
time_t machine_time(void);

/* ocsp.c: 1 good, 0 no answer, -1 revoked */
int ocsp_answer(const unsigned char *der, long length, X509 *certificate, X509 *issuer, STACK_OF(X509) * chain,
                time_t now);

/* names.c */
bool matches_server_name(X509 *x509, const struct string *name);
char *subject_summary(X509 *x509);

/* verdict.c: sets result, code and words */
void evaluate(struct trust *trust);

/* certificates.c */
struct certificate *certificate_new(X509 *x509, const char *maker);
CFTypeRef policy_for_settings(enum policy_kind kind, const char *maker);

#endif
