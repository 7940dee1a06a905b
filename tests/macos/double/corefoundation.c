/* CoreFoundation: strings, data, arrays, dictionaries, numbers, dates and errors. */
#include "double.h"

#include <stdlib.h>
#include <string.h>

#define UTF8 0x08000100u
#define ASCII 0x0600u

/* CFArrayCallBacks: a version and four functions. Only its address matters here. */
struct array_callbacks {
    CFIndex version;
    void (*functions[4])(void);
};
static void callback(void) {}
const struct array_callbacks kCFTypeArrayCallBacks = {0, {callback, callback, callback, callback}};

/* An exported constant that holds NULL. */
const CFTypeRef kCFAllocatorDefault = NULL;

CFTypeRef kCFErrorDomainOSStatus;

static void *copy_of(const void *bytes, size_t length) {
    char *copy = malloc(length + 1);
    if (!copy) abort();
    if (length) memcpy(copy, bytes, length);
    copy[length] = 0;
    return copy;
}

/* Rubbish instead of the content, so that a pointer kept too long is noticed. */
static void shred(void *bytes, size_t length) {
    memset(bytes, 0xDD, length);
    free(bytes);
}

static bool default_allocator(const char *call, CFTypeRef allocator) {
    if (allocator) violation("%s: allocator is %p, not kCFAllocatorDefault", call, allocator);
    return !allocator;
}

static bool known_encoding(const char *call, CFStringEncoding encoding) {
    bool known = encoding == UTF8 || encoding == ASCII;
    if (!known) violation("%s: encoding 0x%x is not modelled", call, encoding);
    return known;
}

/* ---- CFString ---------------------------------------------------------------------------------------------------- */

static void string_destroy(struct object *object) {
    struct string *string = (struct string *)object;
    shred(string->utf8, string->length);
    string->utf8 = NULL;
}

struct string *string_new(const char *utf8, size_t length, const char *maker) {
    struct string *string = object_new(STRING, sizeof *string, maker, string_destroy);
    string->utf8 = copy_of(utf8, length);
    string->length = length;
    string->ascii = true;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)utf8[i] >= 0x80) string->ascii = false;
    return string;
}

struct string *string_constant(const char *text) {
    struct string *string = string_new(text, strlen(text), "constant");
    string->object.constant = true;
    return string;
}

/* The length in bytes of the UTF-8 sequence at `p`, 0 if it is malformed (overlong, surrogate, beyond U+10FFFF, cut). */
static size_t utf8_sequence(const unsigned char *p, size_t left) {
    size_t length = p[0] < 0x80                   ? 1
                    : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
                    : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
                    : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                                  : 0;
    if (!length || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F)) return 0;
    if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)) return 0;
    return length;
}

static bool is_utf8(const unsigned char *bytes, size_t length) {
    for (size_t i = 0, step; i < length; i += step)
        if (!(step = utf8_sequence(bytes + i, length - i))) return false;
    return true;
}

CFTypeRef CFStringCreateWithBytes(CFTypeRef allocator, const unsigned char *bytes, CFIndex length,
                                  CFStringEncoding encoding, Boolean external) {
    (void)external;
    if (call_fails(__func__) || !default_allocator(__func__, allocator) || !known_encoding(__func__, encoding))
        return NULL;
    if (length < 0 || (length && !bytes)) {
        violation("%s: %ld bytes at %p", __func__, length, (const void *)bytes);
        return NULL;
    }
    return is_utf8(bytes, (size_t)length) ? string_new((const char *)bytes, (size_t)length, __func__) : NULL;
}

/* `text` ends with a NUL; what is not of the encoding gives NULL. */
CFTypeRef CFStringCreateWithCString(CFTypeRef allocator, const char *text, CFStringEncoding encoding) {
    size_t length;
    struct string *string;
    if (call_fails(__func__) || !default_allocator(__func__, allocator) || !known_encoding(__func__, encoding))
        return NULL;
    if (!text) {
        violation("%s: cStr is NULL, which ends the process on macOS", __func__);
        return NULL;
    }
    length = strlen(text);
    if (!is_utf8((const unsigned char *)text, length)) return NULL;
    string = string_new(text, length, __func__);
    if (encoding == ASCII && !string->ascii) {
        CFRelease(string);
        return NULL;
    }
    return string;
}

/* The string's own bytes where it keeps them in that encoding, which macOS promises for no string: here, ASCII alone. */
const char *CFStringGetCStringPtr(CFTypeRef reference, CFStringEncoding encoding) {
    const struct string *string = object_check(__func__, "theString", reference, STRING);
    if (call_fails(__func__) || !string || !known_encoding(__func__, encoding)) return NULL;
    return string->ascii && strlen(string->utf8) == string->length ? string->utf8 : NULL;
}

/* In UTF-16 code units. */
CFIndex CFStringGetLength(CFTypeRef reference) {
    const struct string *string = object_check(__func__, "theString", reference, STRING);
    CFIndex units = 0;
    if (call_fails(__func__) || !string) return 0;
    for (size_t i = 0; i < string->length; i++) {
        unsigned char byte = (unsigned char)string->utf8[i];
        if ((byte & 0xC0) != 0x80) units += byte >= 0xF0 ? 2 : 1;
    }
    return units;
}

/* kCFNotFound where the size does not fit. */
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex units, CFStringEncoding encoding) {
    if (call_fails(__func__) || !known_encoding(__func__, encoding)) return -1;
    return encoding == UTF8 ? units * 3 : units;
}

NarrowBool CFStringGetCString(CFTypeRef reference, char *buffer, CFIndex size, CFStringEncoding encoding) {
    const struct string *string = object_check(__func__, "theString", reference, STRING);
    bool fits = string && buffer && size > 0 && string->length < (size_t)size && known_encoding(__func__, encoding);
    if (call_fails(__func__) || (string && encoding == ASCII && !string->ascii)) fits = false;
    if (fits)
        memcpy(buffer, string->utf8, string->length + 1);
    else if (buffer && size > 0)
        buffer[0] = 0;
    return NARROW_BOOL(fits);
}

/* ---- CFData ------------------------------------------------------------------------------------------------------ */

static void data_destroy(struct object *object) {
    struct data *data = (struct data *)object;
    shred(data->bytes, (size_t)data->length);
    data->bytes = NULL;
}

struct data *data_new(const void *bytes, size_t length, const char *maker) {
    struct data *data = object_new(DATA, sizeof *data, maker, data_destroy);
    data->bytes = copy_of(bytes, length);
    data->length = (CFIndex)length;
    return data;
}

CFTypeRef CFDataCreate(CFTypeRef allocator, const unsigned char *bytes, CFIndex length) {
    if (call_fails(__func__) || !default_allocator(__func__, allocator)) return NULL;
    if (length < 0 || (length && !bytes)) {
        violation("%s: %ld bytes at %p", __func__, length, (const void *)bytes);
        return NULL;
    }
    return data_new(bytes, (size_t)length, __func__);
}

CFIndex CFDataGetLength(CFTypeRef reference) {
    const struct data *data = object_check(__func__, "theData", reference, DATA);
    return call_fails(__func__) || !data ? 0 : data->length;
}

const unsigned char *CFDataGetBytePtr(CFTypeRef reference) {
    const struct data *data = object_check(__func__, "theData", reference, DATA);
    return call_fails(__func__) || !data ? NULL : data->bytes;
}

/* ---- CFArray ----------------------------------------------------------------------------------------------------- */

static void array_destroy(struct object *object) {
    struct array *array = (struct array *)object;
    for (CFIndex i = 0; array->retains && i < array->count; i++) CFRelease(array->values[i]);
    free(array->values);
    array->values = NULL;
}

struct array *array_new(const CFTypeRef *values, CFIndex count, const char *maker) {
    struct array *array = object_new(ARRAY, sizeof *array, maker, array_destroy);
    array->values = copy_of(values, (size_t)count * sizeof *values);
    array->count = count;
    array->retains = true;
    for (CFIndex i = 0; i < count; i++) CFRetain(values[i]);
    return array;
}

static bool known_callbacks(const char *call, const void *callbacks) {
    bool known = !callbacks || callbacks == &kCFTypeArrayCallBacks;
    if (!known) violation("%s: callBacks = %p is neither NULL nor &kCFTypeArrayCallBacks", call, callbacks);
    return known;
}

CFTypeRef CFArrayCreate(CFTypeRef allocator, const CFTypeRef *values, CFIndex count, const void *callbacks) {
    struct array *array;
    if (call_fails(__func__) || !default_allocator(__func__, allocator) || !known_callbacks(__func__, callbacks))
        return NULL;
    if (count < 0 || (count && !values)) {
        violation("%s: %ld values at %p", __func__, count, (const void *)values);
        return NULL;
    }
    if (callbacks)
        for (CFIndex i = 0; i < count; i++)
            if (!object_check(__func__, "values[i]", values[i], ANY_TYPE)) return NULL;
    array = array_new(values, callbacks ? count : 0, __func__);
    if (!callbacks) { /* stored as they are, retained by nobody */
        free(array->values);
        array->values = copy_of(values, (size_t)count * sizeof *values);
        array->count = count;
        array->retains = false;
    }
    return array;
}

/* `capacity` is a hint to macOS; 0 is none. */
CFTypeRef CFArrayCreateMutable(CFTypeRef allocator, CFIndex capacity, const void *callbacks) {
    struct array *array;
    if (call_fails(__func__) || !default_allocator(__func__, allocator) || !known_callbacks(__func__, callbacks))
        return NULL;
    if (capacity < 0) {
        violation("%s: capacity %ld", __func__, capacity);
        return NULL;
    }
    array = array_new(NULL, 0, __func__);
    array->retains = callbacks != NULL;
    array->grows = true;
    return array;
}

void CFArrayAppendValue(CFTypeRef reference, CFTypeRef value) {
    struct array *array = object_check(__func__, "theArray", reference, ARRAY);
    call_fails(__func__); /* counted; it has no way to fail */
    if (!array) return;
    if (!array->grows) {
        violation("%s: theArray from %s is immutable", __func__, array->object.maker);
        return;
    }
    if (array->retains && !object_check(__func__, "value", value, ANY_TYPE)) return;
    array->values = realloc(array->values, (size_t)(array->count + 1) * sizeof *array->values);
    if (!array->values) abort();
    array->values[array->count++] = array->retains ? CFRetain(value) : value;
}

CFIndex CFArrayGetCount(CFTypeRef reference) {
    const struct array *array = object_check(__func__, "theArray", reference, ARRAY);
    return call_fails(__func__) || !array ? 0 : array->count;
}

CFTypeRef CFArrayGetValueAtIndex(CFTypeRef reference, CFIndex index) {
    const struct array *array = object_check(__func__, "theArray", reference, ARRAY);
    if (call_fails(__func__) || !array) return NULL;
    if (index < 0 || index >= array->count) {
        violation("%s: index %ld of %ld", __func__, index, array->count);
        return NULL;
    }
    return array->values[index];
}

/* ---- CFDictionary, CFNumber, CFDate ------------------------------------------------------------------------------ */

/* Strings, numbers and data are equal by value, everything else by identity. */
static bool equal(CFTypeRef left, CFTypeRef right) {
    const struct string *a = left, *b = right;
    if (left == right) return true;
    if (a->object.type != STRING || b->object.type != STRING) return false;
    return a->length == b->length && !memcmp(a->utf8, b->utf8, a->length);
}

NarrowBool CFEqual(CFTypeRef left, CFTypeRef right) {
    bool both = object_check(__func__, "cf1", left, ANY_TYPE) && object_check(__func__, "cf2", right, ANY_TYPE);
    return NARROW_BOOL(!call_fails(__func__) && both && equal(left, right));
}

static void dictionary_destroy(struct object *object) {
    struct dictionary *dictionary = (struct dictionary *)object;
    for (int i = 0; i < dictionary->count; i++) {
        CFRelease(dictionary->keys[i]);
        CFRelease(dictionary->values[i]);
    }
}

struct dictionary *dictionary_new(const char *maker) {
    return object_new(DICTIONARY, sizeof(struct dictionary), maker, dictionary_destroy);
}

/* Takes over both references. */
void dictionary_add(struct dictionary *dictionary, CFTypeRef key, CFTypeRef value) {
    dictionary->keys[dictionary->count] = key;
    dictionary->values[dictionary->count++] = value;
}

CFTypeRef CFDictionaryGetValue(CFTypeRef reference, CFTypeRef key) {
    const struct dictionary *dictionary = object_check(__func__, "theDict", reference, DICTIONARY);
    if (call_fails(__func__) || !dictionary || !object_check(__func__, "key", key, ANY_TYPE)) return NULL;
    for (int i = 0; i < dictionary->count; i++)
        if (equal(dictionary->keys[i], key)) return dictionary->values[i];
    return NULL;
}

struct number *number_new(int32_t value, const char *maker) {
    struct number *number = object_new(NUMBER, sizeof *number, maker, NULL);
    number->value = value;
    return number;
}

NarrowBool CFNumberGetValue(CFTypeRef reference, CFIndex type, void *value) {
    const struct number *number = object_check(__func__, "number", reference, NUMBER);
    if (call_fails(__func__) || !number) return NARROW_BOOL(false);
    if (type != 3) { /* kCFNumberSInt32Type */
        violation("%s: number type %ld is not modelled", __func__, type);
        return NARROW_BOOL(false);
    }
    *(int32_t *)value = number->value;
    return NARROW_BOOL(true);
}

CFTypeRef CFDateCreate(CFTypeRef allocator, CFAbsoluteTime time) {
    struct date *date;
    if (call_fails(__func__) || !default_allocator(__func__, allocator)) return NULL;
    date = object_new(DATE, sizeof *date, __func__, NULL);
    date->time = time;
    return date;
}

/* ---- CFError ----------------------------------------------------------------------------------------------------- */

static void error_destroy(struct object *object) {
    struct error *error = (struct error *)object;
    CFRelease(error->domain);
    CFRelease(error->description);
}

struct error *error_new(CFTypeRef domain, CFIndex code, const char *description, const char *maker) {
    struct error *error = object_new(ERROR, sizeof *error, maker, error_destroy);
    error->domain = CFRetain(domain);
    error->code = code;
    error->description = string_new(description, strlen(description), "the description of a CFError");
    return error;
}

CFIndex CFErrorGetCode(CFTypeRef reference) {
    const struct error *error = object_check(__func__, "err", reference, ERROR);
    return call_fails(__func__) || !error ? 0 : error->code;
}

CFTypeRef CFErrorGetDomain(CFTypeRef reference) {
    const struct error *error = object_check(__func__, "err", reference, ERROR);
    return call_fails(__func__) || !error ? NULL : error->domain;
}

/* macOS hands out the string that the error holds, with one more reference. */
CFTypeRef CFErrorCopyDescription(CFTypeRef reference) {
    const struct error *error = object_check(__func__, "err", reference, ERROR);
    return call_fails(__func__) || !error ? NULL : CFRetain(error->description);
}

__attribute__((constructor)) static void make_constants(void) {
    kCFErrorDomainOSStatus = string_constant("NSOSStatusErrorDomain");
}
