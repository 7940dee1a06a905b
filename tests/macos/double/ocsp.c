/* One OCSP response, judged for one certificate. */
#include "security.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

static time_t unix_time(const ASN1_GENERALIZEDTIME *time) {
    struct tm moment;
    return ASN1_TIME_to_tm(time, &moment) ? timegm(&moment) : 0;
}

/* The status that `single` gives for `certificate`: 1 good, 0 another certificate, unknown or stale, -1 revoked. */
static int single_answer(OCSP_SINGLERESP *single, X509 *certificate, X509 *issuer, time_t now) {
    const OCSP_CERTID *answered = OCSP_SINGLERESP_get0_id(single);
    ASN1_GENERALIZEDTIME *revoked_at, *this_update, *next_update;
    ASN1_OBJECT *digest;
    OCSP_CERTID *asked;
    int status, reason;
    bool same;
    OCSP_id_get0_info(NULL, &digest, NULL, NULL, (OCSP_CERTID *)answered);
    asked = OCSP_cert_to_id(EVP_get_digestbyobj(digest), certificate, issuer);
    same = asked && !OCSP_id_cmp(asked, (OCSP_CERTID *)answered);
    OCSP_CERTID_free(asked);
    if (!same) return 0;
    status = OCSP_single_get0_status(single, &reason, &revoked_at, &this_update, &next_update);
    if (status == V_OCSP_CERTSTATUS_REVOKED) return -1; /* a revocation does not go stale */
    if (next_update && unix_time(next_update) < now) return 0;
    return status == V_OCSP_CERTSTATUS_GOOD ? 1 : 0;
}

/* The signer must be the issuer, or somebody whom the issuer certified, at the moment of evaluation. */
static bool signed_by_issuer(OCSP_BASICRESP *response, X509 *issuer, STACK_OF(X509) * chain, time_t now) {
    X509_STORE *store = X509_STORE_new();
    bool good;
    X509_STORE_add_cert(store, issuer);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), now);
    good = OCSP_basic_verify(response, chain, store, 0) == 1;
    X509_STORE_free(store);
    return good;
}

int ocsp_answer(const unsigned char *der, long length, X509 *certificate, X509 *issuer, STACK_OF(X509) * chain,
                time_t now) {
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, length);
    OCSP_BASICRESP *basic = response ? OCSP_response_get1_basic(response) : NULL;
    int answer = 0;
    if (basic && signed_by_issuer(basic, issuer, chain, now))
        for (int i = 0; i < OCSP_resp_count(basic) && !answer; i++)
            answer = single_answer(OCSP_resp_get0(basic, i), certificate, issuer, now);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return answer;
}
