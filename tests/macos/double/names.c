/* Server names, as macOS matches them, and the summary by which it names a certificate. */
#define _GNU_SOURCE
#include "security.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Suffixes of two labels below which anybody may register a name. macOS knows the whole public suffix list; here are
 * the usual second levels of the country codes, and one that is a service. */
static bool is_public_suffix(const char *name) {
    static const char *const second_levels[] = {"ac", "co", "com", "edu", "gov", "net", "org", NULL};
    const char *dot = strchr(name, '.');
    if (!strcasecmp(name, "github.io")) return true;
    if (!dot || strlen(dot + 1) != 2) return false;
    for (const char *const *level = second_levels; *level; level++)
        if (strlen(*level) == (size_t)(dot - name) && !strncasecmp(*level, name, (size_t)(dot - name))) return true;
    return false;
}

static int label_count(const char *name) {
    int labels = 1;
    for (; *name; name++) labels += *name == '.';
    return labels;
}

/* RFC 6125 without the options: `*` only as the whole left-most label, never straight above a public suffix. */
static bool matches_dns_name(const char *wanted, const char *presented) {
    const char *below;
    if (!*wanted || !*presented) return false;
    if (strncmp(presented, "*.", 2)) return !strchr(presented, '*') && !strcasecmp(wanted, presented);
    below = strchr(wanted, '.');
    if (!below || label_count(presented) < 3 || strchr(presented + 1, '*')) return false;
    return !is_public_suffix(presented + 2) && !strcasecmp(below, presented + 1);
}

/* The bytes of the IP address that `text` spells; their number, 0 if it spells none. */
static size_t ip_address(const char *text, unsigned char bytes[16]) {
    if (inet_pton(AF_INET, text, bytes) == 1) return 4;
    return inet_pton(AF_INET6, text, bytes) == 1 ? 16 : 0;
}

static bool general_name_matches(const GENERAL_NAME *general_name, const char *wanted) {
    unsigned char ip[16], presented_ip[16];
    const unsigned char *bytes;
    size_t length, ip_length = ip_address(wanted, ip);
    char *presented;
    bool matches;
    if (general_name->type == GEN_IPADD) {
        bytes = ASN1_STRING_get0_data(general_name->d.iPAddress);
        length = (size_t)ASN1_STRING_length(general_name->d.iPAddress);
        return ip_length && length == ip_length && !memcmp(bytes, ip, length);
    }
    if (general_name->type != GEN_DNS) return false;
    bytes = ASN1_STRING_get0_data(general_name->d.dNSName);
    length = (size_t)ASN1_STRING_length(general_name->d.dNSName);
    if (!(presented = strndup((const char *)bytes, length))) abort();
    /* A name with a NUL inside is no name, and an IP address is none either. */
    matches =
        strlen(presented) == length && !ip_address(presented, presented_ip) && matches_dns_name(wanted, presented);
    free(presented);
    return matches;
}

/* Only subject alternative names count. One trailing dot of the wanted name is dropped. */
bool matches_server_name(X509 *x509, const struct string *name) {
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    char *wanted = strndup(name->utf8, name->length);
    size_t length;
    bool matches = false;
    if (!wanted) abort();
    length = strlen(wanted);
    if (length == name->length) { /* a NUL in the wanted name matches nothing */
        if (length && wanted[length - 1] == '.') wanted[length - 1] = 0;
        for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && !matches; i++)
            matches = general_name_matches(sk_GENERAL_NAME_value(names, i), wanted);
    }
    free(wanted);
    GENERAL_NAMES_free(names);
    return matches;
}

static char *subject_entry(X509 *x509, int nid) {
    const X509_NAME *subject = X509_get_subject_name(x509);
    int position = X509_NAME_get_index_by_NID((X509_NAME *)subject, nid, -1);
    unsigned char *utf8 = NULL;
    char *copy;
    if (position < 0) return NULL;
    if (ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, position))) < 0) return NULL;
    copy = strdup((const char *)utf8);
    OPENSSL_free(utf8);
    return copy;
}

static char *first_dns_name(X509 *x509) {
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    char *found = NULL;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            found = strndup((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                            (size_t)ASN1_STRING_length(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* What SecCertificateCopySubjectSummary gives; the caller frees it. */
char *subject_summary(X509 *x509) {
    char *summary = subject_entry(x509, NID_commonName);
    if (!summary) summary = first_dns_name(x509);
    if (!summary) summary = subject_entry(x509, NID_organizationalUnitName);
    if (!summary) summary = subject_entry(x509, NID_organizationName);
    if (!summary) summary = strdup("");
    if (!summary) abort();
    return summary;
}
