/* The registry: every object ever made, who holds it, what was done wrong, and which call shall fail next. */
#define _GNU_SOURCE
#include "double.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIVE 0x4c49564543464f42ull
#define DEAD 0xdead43464f424a21ull
#define ALIGNMENT 32

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- a forked child starts with an unlocked registry --------------------------------------------------------- */

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }
__attribute__((constructor)) static void survive_forks(void) { pthread_atfork(before_fork, after_fork, after_fork); }

/* ---- a log that grows ------------------------------------------------------------------------------------------ */

struct log {
    char *text;
    size_t used, size;
    long lines;
};
static struct log violations, traces;
static bool tracing, aborting;

static void log_line(struct log *log, const char *line) {
    size_t length = strlen(line);
    if (log->used + length + 2 > log->size) {
        log->size = (log->used + length + 2) * 2;
        log->text = realloc(log->text, log->size);
        if (!log->text) abort();
    }
    memcpy(log->text + log->used, line, length);
    log->used += length;
    log->text[log->used++] = '\n';
    log->text[log->used] = 0;
    log->lines++;
}

static void log_clear(struct log *log) {
    log->used = 0;
    log->lines = 0;
    if (log->text) log->text[0] = 0;
}

static long log_copy(const struct log *log, char *buffer, size_t size) {
    if (buffer && size) snprintf(buffer, size, "%s", log->text ? log->text : "");
    return log->lines;
}

/* Something that macOS would punish with a crash, a wrong answer or a leak. */
void violation(const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    log_line(&violations, line);
    pthread_mutex_unlock(&lock);
    if (aborting) {
        fprintf(stderr, "double: violation: %s\n", line);
        abort();
    }
}

void trace(const char *format, ...) {
    char line[1024];
    va_list arguments;
    if (!tracing) return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    log_line(&traces, line);
    pthread_mutex_unlock(&lock);
}

/* ---- objects ---------------------------------------------------------------------------------------------------- */

/* Objects have a mapping of their own, far above 4 GiB: a pointer that a binding cut to 32 bits is never one. */
struct arena {
    char *start;
    size_t used, size;
    struct arena *older;
};
static struct arena *arenas;
static struct object *newest;
static unsigned long serials;

static struct arena *arena_with_room(size_t size) {
    struct arena *arena = arenas;
    if (arena && arena->used + size <= arena->size) return arena;
    arena = calloc(1, sizeof *arena);
    if (!arena) abort();
    arena->size = 1 << 24;
    arena->start =
        mmap((void *)0x600000000000, arena->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena->start == MAP_FAILED) abort();
    arena->older = arenas;
    return arenas = arena;
}

void *object_new(enum object_type type, size_t size, const char *maker, void (*destroy)(struct object *)) {
    struct object *object;
    struct arena *arena;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    pthread_mutex_lock(&lock);
    arena = arena_with_room(size);
    object = (struct object *)(arena->start + arena->used);
    arena->used += size;
    object->magic = LIVE;
    object->type = type;
    object->references = 1;
    object->serial = ++serials;
    object->maker = maker;
    object->destroy = destroy;
    object->older = newest;
    newest = object;
    pthread_mutex_unlock(&lock);
    return object;
}

static bool is_object(CFTypeRef reference) {
    const char *pointer = reference;
    for (const struct arena *arena = arenas; arena; arena = arena->older)
        if (pointer >= arena->start && pointer < arena->start + arena->used) {
            const struct object *object = reference;
            return (uintptr_t)pointer % ALIGNMENT == 0 && (object->magic == LIVE || object->magic == DEAD);
        }
    return false;
}

static const char *type_name(enum object_type type) {
    switch (type) {
    case ANY_TYPE: return "object";
    case STRING: return "CFString";
    case DICTIONARY: return "CFDictionary";
    case ARRAY: return "CFArray";
    case DATA: return "CFData";
    case NUMBER: return "CFNumber";
    case ERROR: return "CFError";
    case DATE: return "CFDate";
    case CERTIFICATE: return "SecCertificate";
    case POLICY: return "SecPolicy";
    case TRUST: return "SecTrust";
    }
    return "?";
}

/* `reference` as an object of `type`, or NULL and a violation. */
void *object_check(const char *call, const char *argument, CFTypeRef reference, enum object_type type) {
    const struct object *object = reference;
    bool known, dead = false;
    if (!reference) {
        violation("%s: %s is NULL, which ends the process on macOS", call, argument);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    known = is_object(reference);
    if (known) dead = object->magic == DEAD;
    pthread_mutex_unlock(&lock);
    if (!known) {
        violation("%s: %s = %p is no object (a cut or wild pointer)", call, argument, reference);
        return NULL;
    }
    if (dead) {
        violation("%s: %s is a released %s #%lu from %s", call, argument, type_name(object->type), object->serial,
                  object->maker);
        return NULL;
    }
    if (type != ANY_TYPE && object->type != type) {
        violation("%s: %s is a %s from %s, not a %s", call, argument, type_name(object->type), object->maker,
                  type_name(type));
        return NULL;
    }
    return (void *)reference;
}

CFTypeRef CFRetain(CFTypeRef reference) {
    struct object *object = object_check("CFRetain", "cf", reference, ANY_TYPE);
    if (!object) return NULL;
    pthread_mutex_lock(&lock);
    if (!object->constant) object->references++;
    pthread_mutex_unlock(&lock);
    return reference;
}

void CFRelease(CFTypeRef reference) {
    struct object *object = object_check("CFRelease", "cf", reference, ANY_TYPE);
    long left;
    if (!object) return;
    call_fails("CFRelease"); /* counted; it has no way to fail */
    pthread_mutex_lock(&lock);
    left = object->constant ? 1 : --object->references;
    pthread_mutex_unlock(&lock);
    if (left) return;
    if (object->destroy) object->destroy(object);
    pthread_mutex_lock(&lock);
    object->magic = DEAD;
    pthread_mutex_unlock(&lock);
}

CFIndex CFGetRetainCount(CFTypeRef reference) {
    const struct object *object = object_check("CFGetRetainCount", "cf", reference, ANY_TYPE);
    return object ? object->references : 0;
}

CFTypeID CFGetTypeID(CFTypeRef reference) {
    const struct object *object = object_check("CFGetTypeID", "cf", reference, ANY_TYPE);
    return object ? object->type : 0;
}

/* ---- calls: how many, and which shall fail ------------------------------------------------------------------- */

struct call {
    char name[64];
    long count;
    long fail_at;
};
static struct call calls[128];

static struct call *call_named(const char *name) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!calls[i].name[0] || !strcmp(calls[i].name, name)) {
            snprintf(calls[i].name, sizeof calls[i].name, "%s", name);
            return &calls[i];
        }
    abort();
}

/* Count a call, and say whether a test wants this one to fail. */
bool call_fails(const char *name) {
    struct call *call;
    bool fails;
    pthread_mutex_lock(&lock);
    call = call_named(name);
    call->count++;
    fails = call->fail_at && call->count == call->fail_at;
    pthread_mutex_unlock(&lock);
    return fails;
}

/* ---- what tests may ask and set ---------------------------------------------------------------------------------- */

/* Let the `nth` call of `name` from now on fail (1 is the next one). */
void double_fail(const char *name, long nth) {
    pthread_mutex_lock(&lock);
    struct call *call = call_named(name);
    call->fail_at = call->count + nth;
    pthread_mutex_unlock(&lock);
}

/* Lines of "name count" for every call since the last reset. */
void double_calls(char *buffer, size_t size) {
    size_t used = 0;
    pthread_mutex_lock(&lock);
    buffer[0] = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls && calls[i].name[0] && used + 100 < size; i++)
        if (calls[i].count)
            used += (size_t)snprintf(buffer + used, size - used, "%s %ld\n", calls[i].name, calls[i].count);
    pthread_mutex_unlock(&lock);
}

void double_abort_on_violation(int on) { aborting = on; }
void double_trace(int on) { tracing = on; }

long double_violations(char *buffer, size_t size) {
    pthread_mutex_lock(&lock);
    long count = log_copy(&violations, buffer, size);
    pthread_mutex_unlock(&lock);
    return count;
}

void double_traces(char *buffer, size_t size) {
    pthread_mutex_lock(&lock);
    log_copy(&traces, buffer, size);
    pthread_mutex_unlock(&lock);
}

/* How many objects are alive that were made since the last reset, and a line about each. */
long double_live(char *buffer, size_t size) {
    long count = 0;
    size_t used = 0;
    pthread_mutex_lock(&lock);
    if (buffer && size) buffer[0] = 0;
    for (const struct object *object = newest; object; object = object->older) {
        if (object->magic != LIVE || object->constant || object->forgotten) continue;
        count++;
        if (buffer && used + 160 < size)
            used += (size_t)snprintf(buffer + used, size - used, "%s #%lu, %ld references, from %s\n",
                                     type_name(object->type), object->serial, object->references, object->maker);
    }
    pthread_mutex_unlock(&lock);
    return count;
}

/* Forget what is alive, what was done, and what shall fail. */
void double_reset(void) {
    pthread_mutex_lock(&lock);
    for (struct object *object = newest; object && !object->forgotten; object = object->older) object->forgotten = true;
    log_clear(&violations);
    log_clear(&traces);
    memset(calls, 0, sizeof calls);
    pthread_mutex_unlock(&lock);
}
