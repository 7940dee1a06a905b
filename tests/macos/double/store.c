/* The machine: whom it trusts, what its network answers, whether trustd is there. Tests set all of it. */
#define _GNU_SOURCE
#include "security.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct trust_setting {
    X509 *x509;
    int domain;
    enum setting setting;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static STACK_OF(X509) * system_anchors;
static struct trust_setting settings[64];
static int setting_count;
static unsigned char *network_ocsp;
static long network_ocsp_length, network_attempts;
static OSStatus status_for_all;
static long fixed_time;

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }
__attribute__((constructor)) static void survive_forks(void) { pthread_atfork(before_fork, after_fork, after_fork); }

/* ---- what tests set ------------------------------------------------------------------------------------------------ */

/* One DER certificate more that the system ships as an anchor. */
int double_add_system_anchor(const unsigned char *der, long length) {
    X509 *x509 = d2i_X509(NULL, &der, length);
    if (!x509) return 0;
    pthread_mutex_lock(&lock);
    if (!system_anchors) system_anchors = sk_X509_new_null();
    sk_X509_push(system_anchors, x509);
    pthread_mutex_unlock(&lock);
    return 1;
}

/* What the user (0) or the administrator (1) decided about one certificate. */
int double_add_trust_setting(const unsigned char *der, long length, int domain, int setting) {
    X509 *x509 = d2i_X509(NULL, &der, length);
    if (!x509 || setting_count == (int)(sizeof settings / sizeof *settings)) return 0;
    pthread_mutex_lock(&lock);
    settings[setting_count++] = (struct trust_setting){x509, domain, (enum setting)setting};
    pthread_mutex_unlock(&lock);
    return 1;
}

/* What every OCSP responder in reach answers; a length of 0: nobody answers. */
void double_set_network_ocsp(const unsigned char *der, long length) {
    pthread_mutex_lock(&lock);
    free(network_ocsp);
    network_ocsp = length ? malloc((size_t)length) : NULL;
    if (length && !network_ocsp) abort();
    if (length) memcpy(network_ocsp, der, (size_t)length);
    network_ocsp_length = length;
    pthread_mutex_unlock(&lock);
}

long double_network_attempts(void) { return network_attempts; }
void double_force_status(OSStatus status) { status_for_all = status; }

/* The next evaluations wait until `number` of them are under way at once. Should they not meet within 20 seconds,
 * something keeps them apart, and that is a violation. */
static pthread_cond_t arrival = PTHREAD_COND_INITIALIZER;
static int meeting_size, arrived;
void double_let_meet(int number) {
    pthread_mutex_lock(&lock);
    meeting_size = number;
    arrived = 0;
    pthread_mutex_unlock(&lock);
}
void double_set_time(long unix_time) { fixed_time = unix_time; }

/* A machine as new: it trusts nobody, no network, trustd answers at once. */
void double_reset_machine(void) {
    pthread_mutex_lock(&lock);
    sk_X509_pop_free(system_anchors, X509_free);
    system_anchors = sk_X509_new_null();
    for (int i = 0; i < setting_count; i++) X509_free(settings[i].x509);
    setting_count = 0;
    network_attempts = 0;
    pthread_mutex_unlock(&lock);
    double_set_network_ocsp(NULL, 0);
    double_force_status(errSecSuccess);
    double_let_meet(0);
    double_set_time(0);
}

/* ---- what the evaluation asks ---------------------------------------------------------------------------------------- */

OSStatus forced_status(void) { return status_for_all; }
void meet_others(void) {
    struct timespec latest;
    bool late = false;
    clock_gettime(CLOCK_REALTIME, &latest);
    latest.tv_sec += 20;
    pthread_mutex_lock(&lock);
    arrived++;
    pthread_cond_broadcast(&arrival);
    while (arrived < meeting_size && !late) late = pthread_cond_timedwait(&arrival, &lock, &latest) != 0;
    pthread_mutex_unlock(&lock);
    if (late) violation("evaluations do not run at the same time");
}

time_t machine_time(void) { return fixed_time ? (time_t)fixed_time : time(NULL); }

static bool is_for_trust(enum setting setting) { return setting == TRUST_ALWAYS || setting == TRUST_FOR_TLS; }
static bool is_for_denial(enum setting setting) { return setting == DENY || setting == DENY_FOR_TLS; }

static bool has_setting(X509 *x509, bool (*wanted)(enum setting)) {
    bool found = false;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < setting_count && !found; i++)
        found = wanted(settings[i].setting) && !X509_cmp(settings[i].x509, x509);
    pthread_mutex_unlock(&lock);
    return found;
}

bool is_settings_anchor(X509 *x509) { return has_setting(x509, is_for_trust); }
bool is_denied(X509 *x509) { return has_setting(x509, is_for_denial); }

bool is_system_anchor(X509 *x509) {
    bool found = false;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < sk_X509_num(system_anchors) && !found; i++)
        found = !X509_cmp(sk_X509_value(system_anchors, i), x509);
    pthread_mutex_unlock(&lock);
    return found;
}

/* Everything that the machine trusts without being told by the program; the caller frees the stack and its items. */
STACK_OF(X509) * machine_anchors(void) {
    STACK_OF(X509) * anchors;
    pthread_mutex_lock(&lock);
    anchors = system_anchors ? X509_chain_up_ref(system_anchors) : sk_X509_new_null();
    for (int i = 0; i < setting_count; i++)
        if (is_for_trust(settings[i].setting) && X509_up_ref(settings[i].x509)) sk_X509_push(anchors, settings[i].x509);
    pthread_mutex_unlock(&lock);
    return anchors;
}

int network_revocation_answer(X509 *certificate, X509 *issuer, STACK_OF(X509) * chain, time_t now) {
    int answer = 0;
    pthread_mutex_lock(&lock);
    network_attempts++;
    if (network_ocsp) answer = ocsp_answer(network_ocsp, network_ocsp_length, certificate, issuer, chain, now);
    pthread_mutex_unlock(&lock);
    return answer;
}

/* ---- the lists that programs may read ------------------------------------------------------------------------------ */

static struct array *array_of(struct certificate **certificates, int count, const char *maker) {
    struct array *array = array_new((const CFTypeRef *)certificates, count, maker);
    for (int i = 0; i < count; i++) CFRelease(certificates[i]);
    return array;
}

OSStatus SecTrustCopyAnchorCertificates(CFTypeRef *anchors) {
    struct certificate *certificates[256];
    int count;
    if (!anchors) return errSecParam;
    if (call_fails(__func__)) return errSecNotAvailable;
    *anchors = NULL;
    if (call_fails("SecTrustCopyAnchorCertificates/NULL")) return errSecSuccess;
    pthread_mutex_lock(&lock);
    count = sk_X509_num(system_anchors) < 256 ? sk_X509_num(system_anchors) : 256;
    for (int i = 0; i < count; i++) certificates[i] = certificate_new(sk_X509_value(system_anchors, i), __func__);
    pthread_mutex_unlock(&lock);
    *anchors = array_of(certificates, count, __func__);
    return errSecSuccess;
}

OSStatus SecTrustSettingsCopyCertificates(uint32_t domain, CFTypeRef *result) {
    struct certificate *certificates[64];
    int count = 0;
    if (!result) return errSecParam;
    if (call_fails(__func__)) return errSecNotAvailable;
    *result = NULL;
    if (call_fails("SecTrustSettingsCopyCertificates/NULL")) return errSecSuccess;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < setting_count; i++)
        if (settings[i].domain == (int)domain) certificates[count++] = certificate_new(settings[i].x509, __func__);
    pthread_mutex_unlock(&lock);
    if (!count) return errSecNoTrustSettings;
    *result = array_of(certificates, count, __func__);
    return errSecSuccess;
}

/* One constraint: `result` for all policies, or for the policy of one kind. */
static struct dictionary *constraint(int32_t result, bool for_one_policy, enum policy_kind kind) {
    struct dictionary *constraint = dictionary_new("SecTrustSettingsCopyTrustSettings");
    const char *result_key = "kSecTrustSettingsResult", *policy_key = "kSecTrustSettingsPolicy";
    if (result)
        dictionary_add(constraint, string_new(result_key, strlen(result_key), "a trust setting"),
                       number_new(result, "a trust setting"));
    if (for_one_policy)
        dictionary_add(constraint, string_new(policy_key, strlen(policy_key), "a trust setting"),
                       policy_for_settings(kind, "a trust setting"));
    return constraint;
}

static void add_text(struct dictionary *constraint, const char *key, const char *text) {
    dictionary_add(constraint, string_new(key, strlen(key), "a trust setting"),
                   string_new(text, strlen(text), "a trust setting"));
}

static struct array *constraints_of(enum setting setting) {
    struct dictionary *only = NULL;
    struct array *array;
    switch (setting) {
    case TRUST_ALWAYS: break;                                          /* no constraint at all */
    case TRUST_FOR_TLS: only = constraint(0, true, POLICY_TLS); break; /* without a result: trust the root */
    case TRUST_FOR_MAIL: only = constraint(1, true, POLICY_MAIL); break;
    case DENY: only = constraint(3, false, POLICY_BASIC); break;
    case DENY_FOR_TLS: only = constraint(3, true, POLICY_TLS); break;
    case DENY_FOR_MAIL: only = constraint(3, true, POLICY_MAIL); break;
    case TRUST_FOR_ONE_HOST: break; /* made below */
    case UNSPECIFIED: only = constraint(4, false, POLICY_BASIC); break;
    }
    if (setting == TRUST_FOR_ONE_HOST)
        add_text(only = constraint(1, true, POLICY_TLS), "kSecTrustSettingsPolicyString", "one.example");
    array = array_new((const CFTypeRef *)&only, only ? 1 : 0, "SecTrustSettingsCopyTrustSettings");
    if (only) CFRelease(only);
    return array;
}

OSStatus SecTrustSettingsCopyTrustSettings(CFTypeRef reference, uint32_t domain, CFTypeRef *result) {
    const struct certificate *certificate = object_check(__func__, "certRef", reference, CERTIFICATE);
    enum setting setting = UNSPECIFIED;
    bool found = false;
    if (!certificate || !result) return errSecParam;
    if (call_fails(__func__)) return errSecNotAvailable;
    *result = NULL;
    if (call_fails("SecTrustSettingsCopyTrustSettings/NULL")) return errSecSuccess;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < setting_count && !found; i++)
        if (settings[i].domain == (int)domain && !X509_cmp(settings[i].x509, certificate->x509)) {
            setting = settings[i].setting;
            found = true;
        }
    pthread_mutex_unlock(&lock);
    if (!found) return -25300; /* errSecItemNotFound */
    *result = constraints_of(setting);
    return errSecSuccess;
}
