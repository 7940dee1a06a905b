/* What the parts of the double share. See docs/platforms/macos.md for what it models.
 *
 * The double stands in for CoreFoundation and Security.framework on a machine without them. It exports the
 * functions that the package binds (and a few more, for tests of the double itself), counts every reference, and
 * reports each misuse that would crash, corrupt or leak on macOS. All code here was written for this project from
 * Apple's public headers and documentation. */
#ifndef DOUBLE_H
#define DOUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef const void *CFTypeRef;
typedef long CFIndex;
typedef unsigned long CFTypeID;
typedef unsigned long CFOptionFlags;
typedef uint32_t CFStringEncoding;
typedef unsigned char Boolean;
typedef int32_t OSStatus;
typedef double CFAbsoluteTime;

/* A C bool or Boolean comes back in the low byte of the register; the rest is undefined. The double fills the rest
 * with rubbish, so that a binding that forgets the result type reads a wrong value. */
typedef unsigned long NarrowBool;
#define NARROW_BOOL(value) (0xDEADBEEF5A5A5A00ul | (unsigned long)((value) ? 1 : 0))

enum object_type {
    ANY_TYPE = 0,
    STRING = 7,
    DICTIONARY = 18,
    ARRAY = 19,
    DATA = 20,
    NUMBER = 22,
    ERROR = 27,
    DATE = 42,
    CERTIFICATE = 281,
    POLICY = 282,
    TRUST = 283,
};

/* Every object starts with this header. Objects are never unmapped: a stale pointer still leads to a header that
 * says what was there, so that over-release and use after free are found every time. */
struct object {
    uint64_t magic;
    enum object_type type;
    bool constant;   /* like CFSTR(): neither counted nor released */
    bool forgotten;  /* made before the last double_reset(): no leak of this test */
    long references; /* guarded by the registry's lock */
    unsigned long serial;
    const char *maker; /* the call that made it */
    void (*destroy)(struct object *);
    struct object *older;
};

struct string {
    struct object object;
    char *utf8;
    size_t length;
    bool ascii;
};
struct data {
    struct object object;
    unsigned char *bytes;
    CFIndex length;
};
struct array {
    struct object object;
    CFTypeRef *values;
    CFIndex count;
    bool retains;
    bool grows; /* made by CFArrayCreateMutable */
};
struct dictionary {
    struct object object;
    CFTypeRef keys[4], values[4];
    int count;
};
struct number {
    struct object object;
    int32_t value;
};
struct date {
    struct object object;
    CFAbsoluteTime time;
};
struct error {
    struct object object;
    CFTypeRef domain, description;
    CFIndex code;
};

/* objects.c */
void *object_new(enum object_type type, size_t size, const char *maker, void (*destroy)(struct object *));
void *object_check(const char *call, const char *argument, CFTypeRef reference, enum object_type type);
void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool call_fails(const char *call);

/* corefoundation.c */
CFTypeRef CFRetain(CFTypeRef reference);
void CFRelease(CFTypeRef reference);
struct string *string_new(const char *utf8, size_t length, const char *maker);
struct string *string_constant(const char *text);
struct data *data_new(const void *bytes, size_t length, const char *maker);
struct array *array_new(const CFTypeRef *values, CFIndex count, const char *maker);
struct dictionary *dictionary_new(const char *maker);
void dictionary_add(struct dictionary *dictionary, CFTypeRef key, CFTypeRef value);
struct number *number_new(int32_t value, const char *maker);
struct error *error_new(CFTypeRef domain, CFIndex code, const char *description, const char *maker);

#endif
