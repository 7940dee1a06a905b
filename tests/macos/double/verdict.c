/* The verdict: a chain is built, each check of the policies notes what fails, and the gravest failure speaks.
 *
 * The checks, their codes, the order of their kinds and the sentences are those that Apple publishes (Security source,
 * releases 59306 to 61901); the facts behind each are in docs/platforms/macos.md. Chains and signatures are
 * libcrypto's work. */
#define _GNU_SOURCE
#include "security.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table of checks --------------------------------------------------------------------------------------- */

/* The kind that comes first here is reported, whatever else failed. */
enum kind { REVOKED, KEY_SIZE, WEAK_HASH, DENIED, COMPLIANCE, PINNING, TRUST_KIND, USAGE, NAME, EXPIRED, NO_KIND };

static const char *const sentences[] = {
    [REVOKED] = "\u201c%s\u201d certificate is revoked",
    [KEY_SIZE] = "\u201c%s\u201d certificate is using a broken key size",
    [WEAK_HASH] = "\u201c%s\u201d certificate is using a broken signature algorithm",
    [DENIED] = "User or administrator set \u201c%s\u201d certificate as distrusted",
    [COMPLIANCE] = "\u201c%s\u201d certificate is not standards compliant",
    [PINNING] = "%s certificates do not meet pinning requirements",
    [TRUST_KIND] = "\u201c%s\u201d certificate is not trusted",
    [USAGE] = "\u201c%s\u201d certificate is not permitted for this usage",
    [NAME] = "\u201c%s\u201d certificate name does not match input",
    [EXPIRED] = "\u201c%s\u201d certificate is expired",
};

enum check {
    CHECK_SSL_HOSTNAME,
    CHECK_TEMPORAL_VALIDITY,
    CHECK_WEAK_KEY,
    CHECK_EXTENDED_KEY_USAGE,
    CHECK_BASIC_CONSTRAINTS_CA,
    CHECK_PATH_LENGTH,
    CHECK_ANCHOR_TRUSTED,
    CHECK_MISSING_INTERMEDIATE,
    CHECK_ID_LINKAGE,
    CHECK_KEY_SIZE,
    CHECK_SIGNATURE_HASH,
    CHECK_CRITICAL_EXTENSIONS,
    CHECK_NAME_CONSTRAINTS,
    CHECK_REVOCATION,
    CHECK_REVOCATION_RESPONSE,
    CHECK_VALIDITY_PERIOD,
    CHECK_SERVER_AUTH_EKU,
    CHECK_USAGE_CONSTRAINTS,
    CHECKS,
};
static const struct {
    const char *name;
    enum kind kind;
    bool fatal;
    OSStatus code;
} checks[CHECKS] = {
    [CHECK_SSL_HOSTNAME] = {"SSLHostname", NAME, false, errSecHostNameMismatch},
    [CHECK_TEMPORAL_VALIDITY] = {"TemporalValidity", EXPIRED, false, errSecCertificateExpired},
    [CHECK_WEAK_KEY] = {"WeakKeySize", KEY_SIZE, true, errSecUnsupportedKeySize},
    [CHECK_EXTENDED_KEY_USAGE] = {"ExtendedKeyUsage", USAGE, false, errSecInvalidExtendedKeyUsage},
    [CHECK_BASIC_CONSTRAINTS_CA] = {"BasicConstraintsCA", COMPLIANCE, false, errSecNoBasicConstraintsCA},
    [CHECK_PATH_LENGTH] = {"BasicConstraintsPathLen", COMPLIANCE, false, errSecPathLengthConstraintExceeded},
    [CHECK_ANCHOR_TRUSTED] = {"AnchorTrusted", TRUST_KIND, false, errSecNotTrusted},
    [CHECK_MISSING_INTERMEDIATE] = {"MissingIntermediate", TRUST_KIND, false, errSecCreateChainFailed},
    [CHECK_ID_LINKAGE] = {"IdLinkage", COMPLIANCE, false, errSecInvalidIDLinkage},
    [CHECK_KEY_SIZE] = {"KeySize", KEY_SIZE, false, errSecUnsupportedKeySize},
    [CHECK_SIGNATURE_HASH] = {"SignatureHashAlgorithms", WEAK_HASH, false, errSecInvalidDigestAlgorithm},
    [CHECK_CRITICAL_EXTENSIONS] = {"CriticalExtensions", COMPLIANCE, false, errSecUnknownCriticalExtensionFlag},
    [CHECK_NAME_CONSTRAINTS] = {"NameConstraints", COMPLIANCE, false, errSecInvalidName},
    [CHECK_REVOCATION] = {"Revocation", REVOKED, true, errSecCertificateRevoked},
    [CHECK_REVOCATION_RESPONSE] = {"RevocationResponseRequired", PINNING, false, errSecIncompleteCertRevocationCheck},
    [CHECK_VALIDITY_PERIOD] = {"ValidityPeriodMaximums", COMPLIANCE, false, errSecCertificateValidityPeriodTooLong},
    [CHECK_SERVER_AUTH_EKU] = {"ServerAuthEKU", USAGE, false, errSecInvalidExtendedKeyUsage},
    [CHECK_USAGE_CONSTRAINTS] = {"UsageConstraints", DENIED, true, errSecTrustSettingDeny},
};

/* ---- an evaluation under way ------------------------------------------------------------------------------------- */

#define LONGEST_CHAIN 64

struct evaluation {
    const struct trust *trust;
    STACK_OF(X509) * machine; /* what the machine trusts, empty if only the program's anchors count */
    STACK_OF(X509) * chain;   /* leaf first; the last one is the anchor if `anchored` */
    int length;
    bool anchored;
    time_t now;
    uint32_t failures[LONGEST_CHAIN];
};

static void fails(struct evaluation *evaluation, int index, enum check check) {
    if (index < 0) index = 0;
    if (index < LONGEST_CHAIN) evaluation->failures[index] |= 1u << check;
}

static X509 *certificate_at(const struct evaluation *evaluation, int index) {
    return sk_X509_value(evaluation->chain, index);
}
static X509 *last_of(const struct evaluation *evaluation) { return certificate_at(evaluation, evaluation->length - 1); }

static time_t unix_time(const ASN1_TIME *time) {
    struct tm moment;
    return ASN1_TIME_to_tm(time, &moment) ? timegm(&moment) : 0;
}

static bool contains(STACK_OF(X509) * certificates, X509 *x509) {
    for (int i = 0; i < sk_X509_num(certificates); i++)
        if (!X509_cmp(sk_X509_value(certificates, i), x509)) return true;
    return false;
}

/* ---- building the chain ------------------------------------------------------------------------------------------ */

/* An issuer is who has the name and made the signature. Key identifiers that disagree are a failure of their own. */
static int is_issuer(X509_STORE_CTX *context, X509 *x509, X509 *issuer) {
    int problem = X509_check_issued(issuer, x509);
    (void)context;
    if (problem != X509_V_OK && problem != X509_V_ERR_AKID_SKID_MISMATCH &&
        problem != X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH)
        return 0;
    return X509_verify(x509, X509_get0_pubkey(issuer)) == 1;
}

/* What libcrypto finds while it verifies. Trust, time and linkage are checked below, in Apple's way. */
static int note_problem(int fine, X509_STORE_CTX *context) {
    struct evaluation *evaluation = X509_STORE_CTX_get_app_data(context);
    int depth = X509_STORE_CTX_get_error_depth(context);
    if (fine) return 1;
    switch (X509_STORE_CTX_get_error(context)) {
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_INVALID_NON_CA: fails(evaluation, depth, CHECK_BASIC_CONSTRAINTS_CA); break;
    case X509_V_ERR_PATH_LENGTH_EXCEEDED: fails(evaluation, depth, CHECK_PATH_LENGTH); break;
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION: fails(evaluation, depth, CHECK_CRITICAL_EXTENSIONS); break;
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_SUBTREE_MINMAX:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
    case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX: fails(evaluation, depth, CHECK_NAME_CONSTRAINTS); break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED: break;
    default:
        trace("libcrypto's problem %d at depth %d is not modelled", X509_STORE_CTX_get_error(context), depth);
        fails(evaluation, depth, CHECK_BASIC_CONSTRAINTS_CA);
    }
    return 1;
}

static void add_anchors(const struct evaluation *evaluation, X509_STORE *store) {
    const struct array *anchors = evaluation->trust->anchors;
    for (CFIndex i = 0; anchors && i < anchors->count; i++)
        X509_STORE_add_cert(store, ((const struct certificate *)anchors->values[i])->x509);
    for (int i = 0; i < sk_X509_num(evaluation->machine); i++)
        X509_STORE_add_cert(store, sk_X509_value(evaluation->machine, i));
}

static bool is_anchor(const struct evaluation *evaluation, X509 *x509) {
    const struct array *anchors = evaluation->trust->anchors;
    for (CFIndex i = 0; anchors && i < anchors->count; i++)
        if (!X509_cmp(((const struct certificate *)anchors->values[i])->x509, x509)) return true;
    return contains(evaluation->machine, x509);
}

static void build_chain(struct evaluation *evaluation) {
    const struct array *certificates = evaluation->trust->certificates;
    STACK_OF(X509) *intermediates = sk_X509_new_null();
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *parameters;
    X509 *leaf = ((const struct certificate *)certificates->values[0])->x509;
    for (CFIndex i = 1; i < certificates->count; i++)
        sk_X509_push(intermediates, ((const struct certificate *)certificates->values[i])->x509);
    add_anchors(evaluation, store);
    X509_STORE_set_check_issued(store, is_issuer);
    X509_STORE_CTX_init(context, store, leaf, intermediates);
    X509_STORE_CTX_set_app_data(context, evaluation);
    X509_STORE_CTX_set_verify_cb(context, note_problem);
    parameters = X509_STORE_CTX_get0_param(context);
    /* Any certificate may be an anchor, not only a self-signed one. */
    X509_VERIFY_PARAM_set_flags(parameters,
                                X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_NO_CHECK_TIME);
    X509_VERIFY_PARAM_set_auth_level(parameters, 0);
    X509_verify_cert(context);
    evaluation->chain = X509_STORE_CTX_get1_chain(context);
    evaluation->length = sk_X509_num(evaluation->chain);
    evaluation->anchored = evaluation->length > 0 && is_anchor(evaluation, last_of(evaluation));
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    sk_X509_free(intermediates);
}

/* ---- checks of every chain --------------------------------------------------------------------------------------- */

static void check_trust(struct evaluation *evaluation) {
    if (!evaluation->anchored)
        fails(evaluation, evaluation->length - 1,
              X509_self_signed(last_of(evaluation), 1) == 1 ? CHECK_ANCHOR_TRUSTED : CHECK_MISSING_INTERMEDIATE);
    for (int i = 0; i < evaluation->length; i++)
        if (is_denied(certificate_at(evaluation, i))) fails(evaluation, i, CHECK_USAGE_CONSTRAINTS);
}

/* Expired and not yet valid are one failure with one code; the anchor's time counts too. */
static void check_time(struct evaluation *evaluation) {
    for (int i = 0; i < evaluation->length; i++) {
        X509 *x509 = certificate_at(evaluation, i);
        if (evaluation->now < unix_time(X509_get0_notBefore(x509)) ||
            evaluation->now > unix_time(X509_get0_notAfter(x509)))
            fails(evaluation, i, CHECK_TEMPORAL_VALIDITY);
    }
}

/* An authority key identifier must be the issuer's subject key identifier, if both are there. */
static void check_linkage(struct evaluation *evaluation) {
    for (int i = 0; i + 1 < evaluation->length; i++) {
        const ASN1_OCTET_STRING *wanted = X509_get0_authority_key_id(certificate_at(evaluation, i));
        const ASN1_OCTET_STRING *given = X509_get0_subject_key_id(certificate_at(evaluation, i + 1));
        if (wanted && given && ASN1_OCTET_STRING_cmp(wanted, given)) fails(evaluation, i, CHECK_ID_LINKAGE);
    }
}

/* ---- checks of the TLS policy ------------------------------------------------------------------------------------ */

static void check_keys(struct evaluation *evaluation, bool server) {
    for (int i = 0; i < evaluation->length; i++) {
        EVP_PKEY *key = X509_get0_pubkey(certificate_at(evaluation, i));
        int type = key ? EVP_PKEY_get_base_id(key) : 0, bits = key ? EVP_PKEY_get_bits(key) : 0;
        if (type == EVP_PKEY_RSA && bits < 1024) fails(evaluation, i, CHECK_WEAK_KEY);
        /* A leaf that the user or administrator trusts by itself may have any size. */
        if (!server || is_settings_anchor(certificate_at(evaluation, 0))) continue;
        if ((type == EVP_PKEY_RSA && bits < 2048) || (type == EVP_PKEY_EC && bits < 256))
            fails(evaluation, i, CHECK_KEY_SIZE);
    }
}

/* The signatures of self-signed certificates do not matter; nor that of an anchor from trust settings. */
static void check_digests(struct evaluation *evaluation) {
    for (int i = 0; i < evaluation->length; i++) {
        X509 *x509 = certificate_at(evaluation, i);
        int digest = NID_undef;
        if (X509_self_signed(x509, 0) == 1 || (i + 1 == evaluation->length && is_settings_anchor(x509))) continue;
        X509_get_signature_info(x509, &digest, NULL, NULL, NULL);
        if (digest == NID_md2 || digest == NID_md4 || digest == NID_md5 || digest == NID_sha1)
            fails(evaluation, i, CHECK_SIGNATURE_HASH);
    }
}

struct usages {
    bool present, wanted, any;
};

/* Which extended key usages `x509` names: the wanted one, and anyExtendedKeyUsage or what old servers had for it. */
static struct usages extended_key_usages(X509 *x509, int wanted) {
    EXTENDED_KEY_USAGE *names = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);
    struct usages usages = {names != NULL, false, false};
    for (int i = 0; names && i < sk_ASN1_OBJECT_num(names); i++) {
        int name = OBJ_obj2nid(sk_ASN1_OBJECT_value(names, i));
        if (name == wanted) usages.wanted = true;
        if (name == NID_anyExtendedKeyUsage) usages.any = true;
        if (wanted == NID_server_auth && (name == NID_ms_sgc || name == NID_ns_sgc)) usages.any = true;
    }
    EXTENDED_KEY_USAGE_free(names);
    return usages;
}

/* Apple's own constants. Its July 2019 is an hour early: 2019-06-30 23:00 UTC. */
static const time_t july_2016 = 1467331200, march_2018 = 1519862400, july_2019 = 1561935600,
                    september_2020 = 1598918400;
static const long day = 86400, hour = 3600;

/* HT210176: the usage must be named, by system anchors always, by others since July 2019. Apple's published check of
 * that date compares with "after", and lets chains below user and administrator anchors pass. */
static void check_server_auth(struct evaluation *evaluation) {
    X509 *leaf = certificate_at(evaluation, 0), *root = last_of(evaluation);
    bool named = extended_key_usages(leaf, NID_server_auth).wanted;
    if (!is_system_anchor(root)) {
        if (!named && !is_settings_anchor(root) && unix_time(X509_get0_notBefore(leaf)) > july_2019)
            fails(evaluation, 0, CHECK_SERVER_AUTH_EKU);
        return;
    }
    if (!named) fails(evaluation, 0, CHECK_SERVER_AUTH_EKU);
    for (int i = 1; i + 1 < evaluation->length; i++) {
        X509 *intermediate = certificate_at(evaluation, i);
        struct usages usages = extended_key_usages(intermediate, NID_server_auth);
        /* Only the real anyExtendedKeyUsage helps an intermediate; `any` may mean an old name. */
        bool any = extended_key_usages(intermediate, NID_anyExtendedKeyUsage).wanted;
        if (usages.present && !usages.wanted && !any) fails(evaluation, 0, CHECK_SERVER_AUTH_EKU);
    }
}

/* The longest life that Apple allows below a root of the system, by the day of issue. */
static long longest_life_below_system(time_t issued) {
    if (issued < july_2016) return (365 * 5 + 2) * day + hour;
    if (issued < march_2018) return (365 * 3 + 2 * 31 + 30 + 1) * day + hour;
    if (issued < september_2020) return 825 * day + hour;
    return 398 * day; /* HT211025, without slack */
}

static void check_life(struct evaluation *evaluation) {
    X509 *leaf = certificate_at(evaluation, 0);
    time_t issued = unix_time(X509_get0_notBefore(leaf));
    long life = unix_time(X509_get0_notAfter(leaf)) - issued;
    bool too_long;
    if (is_system_anchor(last_of(evaluation)))
        too_long = life > longest_life_below_system(issued);
    else
        too_long = !is_settings_anchor(leaf) && issued > july_2019 && life > 825 * day + hour;
    if (too_long) fails(evaluation, 0, CHECK_VALIDITY_PERIOD);
}

static void check_tls_policy(struct evaluation *evaluation, const struct policy *policy) {
    struct usages usages =
        extended_key_usages(certificate_at(evaluation, 0), policy->server ? NID_server_auth : NID_client_auth);
    if (policy->server_name && !matches_server_name(certificate_at(evaluation, 0), policy->server_name))
        fails(evaluation, 0, CHECK_SSL_HOSTNAME);
    if (usages.present && !usages.wanted && !usages.any) fails(evaluation, 0, CHECK_EXTENDED_KEY_USAGE);
    check_keys(evaluation, policy->server);
    if (!policy->server) return;
    check_digests(evaluation);
    check_server_auth(evaluation);
    check_life(evaluation);
}

/* ---- revocation -------------------------------------------------------------------------------------------------- */

/* Answers that came with the handshake count even if no policy asks; the network is asked if a policy wants it. */
static void check_revocation(struct evaluation *evaluation) {
    const struct trust *trust = evaluation->trust;
    bool asked = false, required = false, no_network = false;
    int answer = 0;
    for (CFIndex i = 0; i < trust->policies->count; i++) {
        const struct policy *policy = trust->policies->values[i];
        no_network |= policy->no_network;
        if (policy->kind != POLICY_REVOCATION) continue;
        asked = true;
        required |= (policy->flags & REVOCATION_REQUIRE_POSITIVE_RESPONSE) != 0;
    }
    if (evaluation->anchored && evaluation->length > 1) {
        X509 *leaf = certificate_at(evaluation, 0), *issuer = certificate_at(evaluation, 1);
        for (CFIndex i = 0; trust->responses && i < trust->responses->count && !answer; i++) {
            const struct data *response = trust->responses->values[i];
            answer = ocsp_answer(response->bytes, response->length, leaf, issuer, evaluation->chain, evaluation->now);
        }
        if (!answer && asked && !no_network)
            answer = network_revocation_answer(leaf, issuer, evaluation->chain, evaluation->now);
    }
    if (answer < 0) fails(evaluation, 0, CHECK_REVOCATION);
    if (!answer && required) fails(evaluation, 0, CHECK_REVOCATION_RESPONSE);
}

/* ---- the verdict --------------------------------------------------------------------------------------------------- */

/* "leaf","intermediate","root" */
static char *chain_summary(const struct evaluation *evaluation) {
    char *summary = strdup("");
    for (int i = 0; i < evaluation->length; i++) {
        char *one = subject_summary(certificate_at(evaluation, i)), *longer;
        if (!summary || asprintf(&longer, "%s%s\"%s\"", summary, i ? "," : "", one) < 0) abort();
        free(one);
        free(summary);
        summary = longer;
    }
    return summary;
}

static void report(struct trust *trust, const struct evaluation *evaluation) {
    enum kind gravest = NO_KIND;
    int at = 0;
    char *who;
    trust->result = RESULT_UNSPECIFIED;
    trust->code = errSecSuccess;
    for (int i = 0; i < LONGEST_CHAIN; i++)
        for (int check = 0; check < CHECKS; check++) {
            if (!(evaluation->failures[i] & 1u << check)) continue;
            trace("certificate %d fails %s", i, checks[check].name);
            if (trust->result != RESULT_FATAL) trust->result = checks[check].fatal ? RESULT_FATAL : RESULT_RECOVERABLE;
            if (checks[check].kind >= gravest) continue;
            gravest = checks[check].kind;
            at = i;
            trust->code = checks[check].code;
        }
    free(trust->words);
    trust->words = NULL;
    if (gravest == NO_KIND) return;
    who = gravest == PINNING ? chain_summary(evaluation)
                             : subject_summary(certificate_at(evaluation, at < evaluation->length ? at : 0));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (asprintf(&trust->words, sentences[gravest], who) < 0) abort();
#pragma GCC diagnostic pop
    free(who);
}

void evaluate(struct trust *trust) {
    struct evaluation evaluation = {.trust = trust, .now = trust->has_date ? trust->date : machine_time()};
    bool tls_checked = false;
    meet_others();
    evaluation.machine = trust->anchors_only ? sk_X509_new_null() : machine_anchors();
    build_chain(&evaluation);
    if (evaluation.length) {
        check_trust(&evaluation);
        check_time(&evaluation);
        check_linkage(&evaluation);
        for (CFIndex i = 0; i < trust->policies->count; i++) {
            const struct policy *policy = trust->policies->values[i];
            if (policy->kind == POLICY_TLS && !tls_checked) check_tls_policy(&evaluation, policy);
            tls_checked |= policy->kind == POLICY_TLS;
        }
        check_revocation(&evaluation);
        report(trust, &evaluation);
    } else {
        trust->result = RESULT_FATAL;
        trust->code = errSecInternalError;
    }
    trace("evaluate certificates=%ld anchors=%ld only=%d chain=%d anchored=%d result=%d code=%d",
          trust->certificates->count, trust->anchors ? trust->anchors->count : 0, trust->anchors_only,
          evaluation.length, evaluation.anchored, trust->result, trust->code);
    sk_X509_pop_free(evaluation.chain, X509_free);
    sk_X509_pop_free(evaluation.machine, X509_free);
    ERR_clear_error();
}
