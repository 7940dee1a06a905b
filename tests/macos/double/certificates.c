/* SecCertificate and SecPolicy objects. */
#include "security.h"

#include <openssl/err.h>

/* kSecPolicyOid and kSecPolicyAppleSSL are exported variables that hold strings. */
CFTypeRef kSecPolicyOid, kSecPolicyAppleSSL;
static struct string *mail_oid, *basic_oid, *revocation_oid;

__attribute__((constructor)) static void make_constants(void) {
    kSecPolicyOid = string_constant("SecPolicyOid");
    kSecPolicyAppleSSL = string_constant("1.2.840.113635.100.1.3");
    basic_oid = string_constant("1.2.840.113635.100.1.2");
    mail_oid = string_constant("1.2.840.113635.100.1.8");
    revocation_oid = string_constant("1.2.840.113635.100.1.21");
}

/* ---- SecCertificate ---------------------------------------------------------------------------------------------- */

static void certificate_destroy(struct object *object) { X509_free(((struct certificate *)object)->x509); }

struct certificate *certificate_new(X509 *x509, const char *maker) {
    struct certificate *certificate = object_new(CERTIFICATE, sizeof *certificate, maker, certificate_destroy);
    X509_up_ref(x509);
    certificate->x509 = x509;
    return certificate;
}

/* Whether the version is written out although it is the default, v1: DER forbids that, and macOS looks. */
static bool spells_out_version_1(X509 *x509) {
    unsigned char *der = NULL;
    const unsigned char *next;
    int length = i2d_X509(x509, &der), tag, class;
    bool spelt = false;
    long size;
    if (length < 0) return false;
    next = der;
    ASN1_get_object(&next, &size, &tag, &class, length);              /* Certificate */
    ASN1_get_object(&next, &size, &tag, &class, der + length - next); /* TBSCertificate */
    ASN1_get_object(&next, &size, &tag, &class, der + length - next); /* [0] version, or the serial number */
    spelt = class == V_ASN1_CONTEXT_SPECIFIC && tag == 0 && X509_get_version(x509) == 0;
    OPENSSL_free(der);
    return spelt;
}

/* macOS refuses what libcrypto lets pass: serial numbers of more than 37 bytes, versions beyond 3, version 1 written
 * out. Dates that cannot be read end as NULL too. What follows the certificate is ignored. */
static bool macos_parses(X509 *x509) {
    struct tm moment;
    return ASN1_STRING_length(X509_get0_serialNumber(x509)) <= 37 && X509_get_version(x509) <= 2 &&
           !spells_out_version_1(x509) && ASN1_TIME_to_tm(X509_get0_notBefore(x509), &moment) &&
           ASN1_TIME_to_tm(X509_get0_notAfter(x509), &moment);
}

CFTypeRef SecCertificateCreateWithData(CFTypeRef allocator, CFTypeRef reference) {
    struct certificate *certificate = NULL;
    const struct data *data;
    const unsigned char *bytes;
    X509 *x509;
    if (call_fails(__func__)) return NULL;
    if (allocator) violation("%s: allocator is %p", __func__, allocator);
    if (!reference) return NULL; /* no crash, but no certificate */
    if (!(data = object_check(__func__, "data", reference, DATA))) return NULL;
    bytes = data->bytes;
    x509 = d2i_X509(NULL, &bytes, data->length);
    if (x509 && macos_parses(x509)) certificate = certificate_new(x509, __func__);
    X509_free(x509);
    ERR_clear_error();
    return certificate;
}

CFTypeRef SecCertificateCopyData(CFTypeRef reference) {
    const struct certificate *certificate = object_check(__func__, "certificate", reference, CERTIFICATE);
    unsigned char *der = NULL;
    struct data *data;
    int length;
    if (call_fails(__func__) || !certificate) return NULL;
    length = i2d_X509(certificate->x509, &der);
    if (length < 0) return NULL;
    data = data_new(der, (size_t)length, __func__);
    OPENSSL_free(der);
    return data;
}

/* ---- SecPolicy --------------------------------------------------------------------------------------------------- */

static void policy_destroy(struct object *object) {
    struct policy *policy = (struct policy *)object;
    if (policy->server_name) CFRelease(policy->server_name);
}

static struct policy *policy_new(enum policy_kind kind, const char *maker) {
    struct policy *policy = object_new(POLICY, sizeof *policy, maker, policy_destroy);
    policy->kind = kind;
    return policy;
}

CFTypeRef policy_for_settings(enum policy_kind kind, const char *maker) { return policy_new(kind, maker); }

CFTypeRef SecPolicyCreateBasicX509(void) {
    struct policy *policy;
    if (call_fails(__func__)) return NULL;
    policy = policy_new(POLICY_BASIC, __func__);
    policy->no_network = true;
    return policy;
}

CFTypeRef SecPolicyCreateSSL(Boolean server, CFTypeRef server_name) {
    struct string *name = NULL;
    struct policy *policy;
    if (call_fails(__func__)) return NULL;
    if (server_name && !(name = object_check(__func__, "hostname", server_name, STRING))) return NULL;
    policy = policy_new(POLICY_TLS, __func__);
    policy->server = server != 0;
    if (name) policy->server_name = (struct string *)CFRetain(name);
    trace("%s server=%d hostname=%s", __func__, policy->server, name ? name->utf8 : "NULL");
    return policy;
}

CFTypeRef SecPolicyCreateRevocation(CFOptionFlags flags) {
    struct policy *policy;
    trace("%s flags=%#lx", __func__, flags);
    if (call_fails(__func__) || !flags || flags & ~(CFOptionFlags)REVOCATION_ALL_FLAGS) return NULL;
    policy = policy_new(POLICY_REVOCATION, __func__);
    policy->flags = flags;
    policy->no_network = flags & REVOCATION_NO_NETWORK;
    return policy;
}

CFTypeRef SecPolicyCopyProperties(CFTypeRef reference) {
    const struct policy *policy = object_check(__func__, "policyRef", reference, POLICY);
    struct dictionary *properties;
    CFTypeRef oid = basic_oid;
    if (call_fails(__func__) || !policy) return NULL;
    if (policy->kind == POLICY_TLS) oid = kSecPolicyAppleSSL;
    if (policy->kind == POLICY_MAIL) oid = mail_oid;
    if (policy->kind == POLICY_REVOCATION) oid = revocation_oid;
    properties = dictionary_new(__func__);
    dictionary_add(properties, CFRetain(kSecPolicyOid), CFRetain(oid));
    return properties;
}
