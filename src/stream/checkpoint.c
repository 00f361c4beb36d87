/* checkpoint.c - see checkpoint.h.
 *
 * The file `checkpoint` is text: a line with format and version, the identity as `key=value` lines in a
 * fixed order, and a last line with the CRC-32C of everything before it.
 *
 *     leat-checkpoint 1
 *     id=4f0c...
 *     program=word count
 *     interval_ms=1000
 *     zero_time_ms=1763719200000
 *     partition_count=8
 *     key_group_count=256
 *     created_ms=1763719200123
 *     crc32c=1a2b3c4d
 *
 *   C1  Nothing is created in a directory that is refused.
 *   C2  The identity is read or written under the lock, and written all or nothing. A directory with
 *       nothing but the lock and the temporary file of a first start that was cut short is a new one.
 */
#include "stream/checkpoint.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_SIZE_MAX = 4096 };

static const char version_word[] = "leat-checkpoint ";
static const char version[] = "1";
static const char identity_name[] = "checkpoint", temporary_name[] = "checkpoint.tmp", lock_name[] = "lock";

struct Checkpoint {
    Env *env;
    char *directory; /* absolute */
    EnvFile *lock;   /* NULL: read-only */
    bool is_new;
    CheckpointIdentity identity;
};

/* ---- the text ---- */

static void identity_format(const CheckpointIdentity *identity, Text *out) {
    text_appendf(out, "%s%s\n", version_word, version);
    text_appendf(out, "id=%s\nprogram=%s\n", identity->id, identity->program);
    text_appendf(out, "interval_ms=%" PRId64 "\nzero_time_ms=%" PRId64 "\n", identity->interval_ms,
                 identity->zero_time_ms);
    text_appendf(out, "partition_count=%" PRIu32 "\nkey_group_count=%" PRIu32 "\n", identity->partition_count,
                 identity->key_group_count);
    text_appendf(out, "created_ms=%" PRId64 "\n", identity->created_ms);
    text_appendf(out, "crc32c=%08" PRIx32 "\n", crc32c(0, out->data, out->size));
}

/* The value of the next line, which must be the one of `key`; false when it is not. */
static bool take_value(Str *rest, const char *key, Str *value) {
    Str line;
    if (!leat_str_split(rest, '\n', &line) || !str_starts_with(line, str_from(key)))
        return false;
    *value = str_slice(line.data + strlen(key), line.size - strlen(key));
    return true;
}

static bool take_text(Str *rest, const char *key, char *out, size_t room) {
    Str value;
    if (!take_value(rest, key, &value) || value.size >= room)
        return false;
    memcpy(out, value.data, value.size);
    out[value.size] = 0;
    return true;
}

static bool take_number(Str *rest, const char *key, int64_t *out) {
    Str value;
    return take_value(rest, key, &value) && str_parse_i64(value, out);
}

static bool take_count(Str *rest, const char *key, uint32_t *out) {
    int64_t value;
    if (!take_number(rest, key, &value) || value < 0 || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

static Status identity_parse(Str text, const char *path, CheckpointIdentity *identity, Error *err) {
    Str rest = text, found_version;
    if (!take_value(&rest, version_word, &found_version))
        return error_set(err, STATUS_CORRUPT, "%s: damaged at byte 0: not the identity of a checkpoint",
                         path);
    /* Before the checksum: a newer format may have another one. A flip of the version's digit is told apart
     * by it. */
    Text again = {0};
    CheckpointIdentity read = {0};
    bool is_whole = take_text(&rest, "id=", read.id, sizeof read.id) &&
                    take_text(&rest, "program=", read.program, sizeof read.program) &&
                    take_number(&rest, "interval_ms=", &read.interval_ms) &&
                    take_number(&rest, "zero_time_ms=", &read.zero_time_ms) &&
                    take_count(&rest, "partition_count=", &read.partition_count) &&
                    take_count(&rest, "key_group_count=", &read.key_group_count) &&
                    take_number(&rest, "created_ms=", &read.created_ms);
    if (is_whole)
        identity_format(&read, &again);
    is_whole = is_whole && leat_str_equal(text_str(&again), text);
    text_deinit(&again);
    int64_t number;
    if (!is_whole && str_parse_i64(found_version, &number) && number > 1)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: format version %" PRId64 ", this program reads version %s", path, number,
                         version);
    if (!is_whole)
        return error_set(err, STATUS_CORRUPT,
                         "%s: damaged: its lines or its checksum are not what was written", path);
    *identity = read;
    return STATUS_OK;
}

static Status identity_read(Checkpoint *checkpoint, bool *exists, Error *err) {
    char *path = env_path_join(checkpoint->directory, identity_name);
    Text text = {0};
    Status st = env_read_file(checkpoint->env, path, FILE_SIZE_MAX, &text, err);
    *exists = st != STATUS_NOT_FOUND;
    if (st == STATUS_NOT_FOUND)
        st = STATUS_OK;
    else if (st == STATUS_INVALID)
        st = error_set(err, STATUS_CORRUPT, "%s: larger than any identity of a checkpoint", path);
    else if (st == STATUS_OK)
        st = identity_parse(text_str(&text), path, &checkpoint->identity, err);
    text_deinit(&text);
    free(path);
    return st;
}

static Status identity_write(Checkpoint *checkpoint, const CheckpointIdentity *wanted, Error *err) {
    uint8_t random[16];
    TRY(env_random_bytes(checkpoint->env, random, sizeof random, err));
    checkpoint->identity = *wanted;
    for (size_t i = 0; i < sizeof random; i++) {
        checkpoint->identity.id[2 * i] = "0123456789abcdef"[random[i] >> 4];
        checkpoint->identity.id[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
    }
    checkpoint->identity.id[32] = 0;
    Text text = {0};
    identity_format(&checkpoint->identity, &text);
    char *path = env_path_join(checkpoint->directory, identity_name);
    Status st = env_write_file_atomically(checkpoint->env, path, text_str(&text), err);
    free(path);
    text_deinit(&text);
    return st;
}

static Status identity_compare(const Checkpoint *checkpoint, const CheckpointIdentity *wanted, Error *err) {
    const CheckpointIdentity *stored = &checkpoint->identity;
    if (strcmp(stored->program, wanted->program) != 0)
        return error_set(
            err, STATUS_INVALID,
            "checkpoint %s belongs to program '%s', this is '%s': give this one a directory of its own",
            checkpoint->directory, stored->program, wanted->program);
    if (stored->interval_ms != wanted->interval_ms)
        return error_set(err, STATUS_INVALID,
                         "checkpoint %s was begun with an interval of %" PRId64 " ms, now it is %" PRId64
                         " ms: start with the old interval or with a new directory",
                         checkpoint->directory, stored->interval_ms, wanted->interval_ms);
    return STATUS_OK;
}

/* ---- the directory ---- */

/* Also where the directory was there already: an earlier start may have been cut short behind making it. */
static Status sync_parent(Checkpoint *checkpoint, Error *err) {
    const char *slash = strrchr(checkpoint->directory, '/');
    char *parent = slash && slash != checkpoint->directory
                       ? xstrdup(str_slice(checkpoint->directory, (size_t)(slash - checkpoint->directory)))
                       : xstrdup(STR("/"));
    Status st = env_sync_directory(checkpoint->env, parent, err);
    free(parent);
    return st;
}

/* C1: a directory with other things in it and no checkpoint file is somebody else's. */
static Status refuse_foreign(Checkpoint *checkpoint, Error *err) {
    Status st = STATUS_OK;
    EnvDir *dir = NULL;
    Text foreign = {0};
    bool has_identity = false;
    TRY(env_dir_open(checkpoint->env, checkpoint->directory, &dir, err));
    for (;;) {
        const char *name = NULL;
        TRY_GOTO(done, env_dir_next(checkpoint->env, dir, &name, err));
        if (!name)
            break;
        if (strcmp(name, identity_name) == 0)
            has_identity = true;
        else if (strcmp(name, temporary_name) != 0 && strcmp(name, lock_name) != 0 && foreign.size == 0)
            text_append_escaped(&foreign, str_from(name));
    }
    if (!has_identity && foreign.size)
        st = error_set(
            err, STATUS_INVALID,
            "%s is not a checkpoint: it holds '%s' and no file '%s'; choose a new or an empty directory",
            checkpoint->directory, foreign.data, identity_name);
done:
    text_deinit(&foreign);
    env_dir_close(checkpoint->env, dir);
    return st;
}

static Status enter_directory(Checkpoint *checkpoint, Error *err) {
    EnvFileInfo info;
    Status st = env_path_info(checkpoint->env, checkpoint->directory, &info, err);
    if (st == STATUS_NOT_FOUND) {
        st = env_make_directory(checkpoint->env, checkpoint->directory, err);
        if (st != STATUS_EXISTS) /* else somebody else was quicker; the lock decides */
            return error_context(err, st, "creating the checkpoint directory");
        st = env_path_info(checkpoint->env, checkpoint->directory, &info, err);
    }
    TRY(st);
    if (!info.is_directory)
        return error_set(err, STATUS_INVALID, "checkpoint %s is not a directory", checkpoint->directory);
    return refuse_foreign(checkpoint, err);
}

static Status take_lock(Checkpoint *checkpoint, Error *err) {
    char *path = env_path_join(checkpoint->directory, lock_name);
    Status st =
        env_file_open(checkpoint->env, path, ENV_READ | ENV_WRITE | ENV_CREATE, &checkpoint->lock, err);
    free(path);
    TRY(error_context(err, st, "checkpoint %s cannot be written", checkpoint->directory));
    st = env_file_lock(checkpoint->env, checkpoint->lock, err);
    if (st == STATUS_UNAVAILABLE)
        return error_set(
            err, STATUS_UNAVAILABLE,
            "checkpoint %s is in use by another process: stop that one or choose another directory",
            checkpoint->directory);
    return st;
}

/* ---- the calls ---- */

static Checkpoint *checkpoint_create(Env *env) {
    Checkpoint *checkpoint = xcalloc(1, sizeof *checkpoint);
    checkpoint->env = env;
    return checkpoint;
}

Status checkpoint_exists(Env *env, const char *directory, bool *exists, Error *err) {
    char *path = env_path_join(directory, identity_name);
    EnvFileInfo info;
    Error own;
    Status st = env_path_info(env, path, &info, &own);
    free(path);
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        if (err)
            *err = own;
        return st;
    }
    *exists = st == STATUS_OK;
    return STATUS_OK;
}

static bool is_one_line(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 32)
            return false;
    return true;
}

Status checkpoint_open(Env *env, const char *directory, const CheckpointIdentity *wanted, Checkpoint **out,
                       Error *err) {
    *out = NULL;
    if (!is_one_line(wanted->program))
        return error_set(err, STATUS_INVALID,
                         "the program's name has a line break or another control character");
    Status st = STATUS_OK;
    Checkpoint *checkpoint = checkpoint_create(env);
    bool exists = false;
    TRY_GOTO(failed, env_absolute_path(env, directory, &checkpoint->directory, err));
    TRY_GOTO(failed, enter_directory(checkpoint, err));
    TRY_GOTO(failed, take_lock(checkpoint, err));
    TRY_GOTO(failed, identity_read(checkpoint, &exists, err)); /* C2 */
    if (exists) {
        TRY_GOTO(failed, identity_compare(checkpoint, wanted, err));
    } else {
        TRY_GOTO(failed, sync_parent(checkpoint, err));
        TRY_GOTO(failed, identity_write(checkpoint, wanted, err));
    }
    checkpoint->is_new = !exists;
    *out = checkpoint;
    return STATUS_OK;
failed:
    checkpoint_close(checkpoint);
    return st;
}

Status checkpoint_open_read_only(Env *env, const char *directory, Checkpoint **out, Error *err) {
    *out = NULL;
    Status st = STATUS_OK;
    Checkpoint *checkpoint = checkpoint_create(env);
    bool exists = false;
    TRY_GOTO(failed, env_absolute_path(env, directory, &checkpoint->directory, err));
    TRY_GOTO(failed, identity_read(checkpoint, &exists, err));
    if (!exists) {
        st = error_set(err, STATUS_NOT_FOUND, "%s is not a checkpoint: it has no file '%s'",
                       checkpoint->directory, identity_name);
        goto failed;
    }
    *out = checkpoint;
    return STATUS_OK;
failed:
    checkpoint_close(checkpoint);
    return st;
}

void checkpoint_close(Checkpoint *checkpoint) {
    if (!checkpoint)
        return;
    env_file_close(checkpoint->env, checkpoint->lock);
    free(checkpoint->directory);
    free(checkpoint);
}

bool checkpoint_is_new(const Checkpoint *checkpoint) {
    return checkpoint->is_new;
}
const CheckpointIdentity *checkpoint_identity(const Checkpoint *checkpoint) {
    return &checkpoint->identity;
}
const char *checkpoint_directory(const Checkpoint *checkpoint) {
    return checkpoint->directory;
}
