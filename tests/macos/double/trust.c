/* SecTrust objects, and the words for status codes. */
#define _GNU_SOURCE
#include "security.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern CFTypeRef kCFErrorDomainOSStatus;

static void release_if_any(void *object) {
    if (object) CFRelease(object);
}

static void trust_destroy(struct object *object) {
    struct trust *trust = (struct trust *)object;
    release_if_any(trust->certificates);
    release_if_any(trust->policies);
    release_if_any(trust->anchors);
    release_if_any(trust->responses);
    free(trust->words);
    pthread_mutex_destroy(&trust->queue);
}

/* A copy of `reference`, one object or an array of objects, all of `type`; NULL if anything else is in it. */
static struct array *array_of(const char *call, const char *argument, CFTypeRef reference, enum object_type type) {
    const struct array *array = reference;
    const struct object *object = object_check(call, argument, reference, ANY_TYPE);
    if (!object) return NULL;
    if (object->type != ARRAY)
        return object_check(call, argument, reference, type) ? array_new(&reference, 1, call) : NULL;
    if (!array->retains)
        violation("%s: %s was made without kCFTypeArrayCallBacks, its items may be gone", call, argument);
    for (CFIndex i = 0; i < array->count; i++)
        if (!object_check(call, argument, array->values[i], type)) return NULL;
    return array_new(array->values, array->count, call);
}

OSStatus SecTrustCreateWithCertificates(CFTypeRef certificates, CFTypeRef policies, CFTypeRef *result) {
    struct array *certificate_array, *policy_array = NULL;
    struct trust *trust;
    if (!result) return errSecParam;
    if (call_fails(__func__)) return errSecAllocate;
    if (call_fails("SecTrustCreateWithCertificates/NULL")) return errSecSuccess;
    certificate_array = array_of(__func__, "certificates", certificates, CERTIFICATE);
    if (policies) policy_array = array_of(__func__, "policies", policies, POLICY);
    if (!certificate_array || !certificate_array->count || !policy_array || !policy_array->count) {
        release_if_any(certificate_array);
        release_if_any(policy_array);
        return errSecParam;
    }
    trust = object_new(TRUST, sizeof *trust, __func__, trust_destroy);
    trust->certificates = certificate_array;
    trust->policies = policy_array;
    pthread_mutex_init(&trust->queue, NULL);
    *result = trust;
    return errSecSuccess;
}

static struct trust *trust_to_change(const char *call, CFTypeRef reference) {
    struct trust *trust = object_check(call, "trust", reference, TRUST);
    if (trust) trust->result = RESULT_INVALID;
    return trust;
}

/* Anchors replace the system's, until SecTrustSetAnchorCertificatesOnly(false) is called afterwards. */
OSStatus SecTrustSetAnchorCertificates(CFTypeRef reference, CFTypeRef anchors) {
    struct trust *trust = trust_to_change(__func__, reference);
    struct array *array = NULL;
    if (!trust) return errSecParam;
    if (call_fails(__func__)) return errSecAllocate;
    if (anchors && !(array = array_of(__func__, "anchorCertificates", anchors, CERTIFICATE))) return errSecParam;
    release_if_any(trust->anchors);
    trust->anchors = array;
    trust->anchors_only = array != NULL;
    trace("%s count=%ld", __func__, array ? array->count : 0);
    return errSecSuccess;
}

OSStatus SecTrustSetAnchorCertificatesOnly(CFTypeRef reference, Boolean only) {
    struct trust *trust = trust_to_change(__func__, reference);
    if (!trust) return errSecParam;
    if (call_fails(__func__)) return errSecAllocate;
    trust->anchors_only = only != 0;
    trace("%s only=%d", __func__, trust->anchors_only);
    return errSecSuccess;
}

OSStatus SecTrustSetPolicies(CFTypeRef reference, CFTypeRef policies) {
    struct trust *trust = trust_to_change(__func__, reference);
    struct array *array;
    if (!trust) return errSecParam;
    if (call_fails(__func__)) return errSecAllocate;
    if (!(array = array_of(__func__, "policies", policies, POLICY))) return errSecParam;
    CFRelease(trust->policies);
    trust->policies = array;
    return errSecSuccess;
}

OSStatus SecTrustSetOCSPResponse(CFTypeRef reference, CFTypeRef responses) {
    struct trust *trust = trust_to_change(__func__, reference);
    struct array *array = NULL;
    if (!trust) return errSecParam;
    if (call_fails(__func__)) return errSecAllocate;
    if (responses && !(array = array_of(__func__, "responseData", responses, DATA))) return errSecParam;
    release_if_any(trust->responses);
    trust->responses = array;
    return errSecSuccess;
}

OSStatus SecTrustSetVerifyDate(CFTypeRef reference, CFTypeRef date) {
    struct trust *trust = trust_to_change(__func__, reference);
    const struct date *moment;
    if (!trust) return errSecParam;
    if (call_fails(__func__)) return errSecAllocate;
    if (!(moment = object_check(__func__, "verifyDate", date, DATE))) return errSecParam;
    trust->date = (time_t)moment->time + UNIX_TIME_OF_CF_EPOCH;
    trust->has_date = true;
    return errSecSuccess;
}

/* Does not throw an earlier result away, and writes into the policies, which other trust objects may share. */
OSStatus SecTrustSetNetworkFetchAllowed(CFTypeRef reference, Boolean allowed) {
    struct trust *trust = object_check(__func__, "trust", reference, TRUST);
    if (!trust) return errSecParam;
    if (call_fails(__func__)) return errSecAllocate;
    for (CFIndex i = 0; i < trust->policies->count; i++)
        ((struct policy *)trust->policies->values[i])->no_network = !allowed;
    return errSecSuccess;
}

CFIndex SecTrustGetCertificateCount(CFTypeRef reference) {
    const struct trust *trust = object_check(__func__, "trust", reference, TRUST);
    return trust ? trust->certificates->count : 0;
}

/* ---- evaluation -------------------------------------------------------------------------------------------------- */

static OSStatus evaluate_once(struct trust *trust) {
    if (forced_status()) return forced_status();
    pthread_mutex_lock(&trust->queue);
    if (trust->result == RESULT_INVALID) evaluate(trust);
    pthread_mutex_unlock(&trust->queue);
    return errSecSuccess;
}

OSStatus SecTrustEvaluate(CFTypeRef reference, uint32_t *result) {
    struct trust *trust = object_check(__func__, "trust", reference, TRUST);
    OSStatus status;
    if (!trust || !result) return errSecParam;
    if (call_fails(__func__)) return errSecNotAvailable;
    status = evaluate_once(trust);
    *result = status ? RESULT_INVALID : (uint32_t)trust->result;
    return status;
}

OSStatus SecTrustGetTrustResult(CFTypeRef reference, uint32_t *result) { return SecTrustEvaluate(reference, result); }

static const char *status_words(OSStatus status) {
    switch (status) {
    case errSecSuccess: return "No error.";
    case errSecParam: return "One or more parameters passed to a function were not valid.";
    case errSecAllocate: return "Failed to allocate memory.";
    case errSecNotAvailable: return "No keychain is available. You may need to restart your computer.";
    case errSecInternal: return "An internal error occurred.";
    }
    return NULL;
}

CFTypeRef SecCopyErrorMessageString(OSStatus status, void *reserved) {
    const char *words = status_words(status);
    char number[32];
    if (reserved) violation("%s: reserved is %p", __func__, reserved);
    if (call_fails(__func__)) return NULL;
    snprintf(number, sizeof number, "OSStatus %d", status);
    if (!words) words = number;
    return string_new(words, strlen(words), __func__);
}

#ifndef BEFORE_MACOS_10_14
static struct error *error_about(const struct trust *trust, OSStatus status) {
    char words[128];
    if (!status && trust->words)
        return error_new(kCFErrorDomainOSStatus, trust->code, trust->words, "SecTrustEvaluateWithError");
    snprintf(words, sizeof words, "The operation couldn\u2019t be completed. (OSStatus error %d.)",
             status ? status : trust->code);
    return error_new(kCFErrorDomainOSStatus, status ? status : trust->code, words, "SecTrustEvaluateWithError");
}

/* False with an error that the caller must release, or true and NULL. */
NarrowBool SecTrustEvaluateWithError(CFTypeRef reference, CFTypeRef *error) {
    struct trust *trust = object_check(__func__, "trust", reference, TRUST);
    OSStatus status;
    bool trusted;
    if (!trust) return NARROW_BOOL(false);
    if (call_fails("SecTrustEvaluateWithError/no error object")) return NARROW_BOOL(false);
    if (call_fails("SecTrustEvaluateWithError/foreign domain")) {
        struct string *domain = string_new("com.apple.security.xpc", 22, "a foreign error domain");
        if (error) *error = error_new(domain, 3, "connection failed", "SecTrustEvaluateWithError");
        CFRelease(domain);
        return NARROW_BOOL(false);
    }
    status = call_fails(__func__) ? errSecNotAvailable : evaluate_once(trust);
    trusted = !status && (trust->result == RESULT_PROCEED || trust->result == RESULT_UNSPECIFIED);
    if (error) *error = trusted ? NULL : error_about(trust, status);
    return NARROW_BOOL(trusted);
}
#endif
