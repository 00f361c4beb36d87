/* text_output.c - see text_output.h; and leat_save_as_text_files.
 *
 *   run:  clear and make the temporary directory --> parts --> _SUCCESS --> sync it
 *         --> what has the name is renamed to ".<name>.old" --> rename --> sync the parent --> clear the old one
 *
 *   F1  Everything in the temporary directory is durable before it is renamed.
 *   F2  _SUCCESS is written when all parts are there.
 *   F3  Nothing in a directory that has the name is ever removed: it loses the name first. */
#include "connect/file/text_output.h"

#include "dstream/context.h"
#include "dstream/row_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WRITE_BYTES = 256 << 10 };

#define SUCCESS "_SUCCESS"

typedef struct TextOutput {
    Output output;
    const Schema *schema;
    char *prefix, *suffix;
    Text text; /* of the part being written; memory kept */
} TextOutput;

/* ---- names ---- */

/* All zero-terminated. */
typedef struct Place {
    Text parent, target, temporary, old;
} Place;

static void place_of(const TextOutput *output, int64_t batch_time_ms, Place *place) {
    text_append(&place->target, str_from(output->prefix));
    text_appendf(&place->target, "%s%" PRId64, output->prefix[0] ? "-" : "", batch_time_ms);
    text_appendf(&place->target, "%s%s", output->suffix[0] ? "." : "", output->suffix);
    Str target = text_str(&place->target);
    size_t name = target.size; /* where the last step begins */
    while (name > 0 && target.data[name - 1] != '/')
        name--;
    text_append(&place->parent, name == 0   ? STR(".")
                                : name == 1 ? STR("/")
                                            : str_slice(target.data, name - 1));
    text_appendf(&place->temporary, "%.*s.%s.tmp", (int)name, target.data, target.data + name);
    text_appendf(&place->old, "%.*s.%s.old", (int)name, target.data, target.data + name);
}

static void place_deinit(Place *place) {
    text_deinit(&place->parent);
    text_deinit(&place->target);
    text_deinit(&place->temporary);
    text_deinit(&place->old);
}

/* ---- directories ---- */

static char *parent_of(const char *path) {
    Str text = str_from(path);
    while (text.size > 0 && text.data[text.size - 1] != '/')
        text.size--;
    while (text.size > 1 && text.data[text.size - 1] == '/')
        text.size--;
    return xstrdup(text.size ? text : STR("."));
}

/* Makes the directory and those on the way to it, durably. */
CHECKED static Status make_directories(Env *env, const char *path, Error *err) {
    Error ignored = {0};
    Status st = env_make_directory(env, path, &ignored);
    if (st == STATUS_EXISTS)
        return STATUS_OK;
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        if (err)
            *err = ignored;
        return st;
    }
    char *parent = parent_of(path);
    if (st == STATUS_NOT_FOUND) {
        st = make_directories(env, parent, err);
        if (st == STATUS_OK)
            st = env_make_directory(env, path, err);
    }
    if (st == STATUS_OK)
        st = env_sync_directory(env, parent, err);
    free(parent);
    return st;
}

/* The names in a directory, a zero byte behind each. */
CHECKED static Status list_names(Env *env, const char *path, Text *names, Error *err) {
    EnvDir *dir;
    TRY(env_dir_open(env, path, &dir, err));
    const char *name = NULL;
    Status st;
    while ((st = env_dir_next(env, dir, &name, err)) == STATUS_OK && name) {
        text_append(names, str_from(name));
        text_append_byte(names, '\0');
    }
    env_dir_close(env, dir);
    return st;
}

CHECKED static Status remove_in(Env *env, const char *directory, const char *name, Error *err) {
    char *path = env_path_join(directory, name);
    Status st = env_remove(env, path, err);
    free(path);
    return st;
}

static bool is_ours(const char *name) {
    return strcmp(name, SUCCESS) == 0 || strncmp(name, "part-", 5) == 0;
}

/* The names in a directory that a run has made, a zero byte behind each; *is_there false: it is none. */
CHECKED static Status list_ours(Env *env, const char *path, Text *names, bool *is_there, Error *err) {
    Status st = list_names(env, path, names, err);
    *is_there = st == STATUS_OK;
    if (st != STATUS_OK)
        return st == STATUS_NOT_FOUND ? STATUS_OK : st;
    for (const char *name = names->data; name < names->data + names->size; name += strlen(name) + 1)
        if (!is_ours(name))
            return error_set(err, STATUS_EXISTS, "%s: holds '%s', which is none of its files", path, name);
    return STATUS_OK;
}

/* Removes such a directory, or nothing where there is none. */
CHECKED static Status clear_directory(Env *env, const char *path, Error *err) {
    Text names = {0};
    bool is_there;
    Status st = list_ours(env, path, &names, &is_there, err);
    for (size_t at = 0; st == STATUS_OK && at < names.size; at += strlen(names.data + at) + 1)
        st = remove_in(env, path, names.data + at, err);
    if (st == STATUS_OK && is_there)
        st = env_remove(env, path, err);
    text_deinit(&names);
    return st;
}

/* F3 */
CHECKED static Status take_name(Env *env, const Place *place, Error *err) {
    Text names = {0};
    bool is_there;
    Status st = list_ours(env, place->target.data, &names, &is_there, err);
    text_deinit(&names);
    TRY(st);
    if (is_there)
        TRY(env_rename(env, place->target.data, place->old.data, err));
    TRY(env_rename(env, place->temporary.data, place->target.data, err));
    return env_sync_directory(env, place->parent.data, err);
}

/* ---- files ---- */

CHECKED static Status write_rows(TextOutput *output, Env *env, const BatchPartition *partition, EnvFile *file,
                                 Error *err) {
    RowText how = {.env = env, .style = ROW_TEXT_SCALA};
    uint64_t offset = 0;
    text_reset(&output->text);
    for (uint32_t c = 0; c < partition->chunk_count; c++) {
        const Chunk *chunk = shared_chunk_view(partition->chunks[c]);
        for (uint32_t i = 0; i < chunk->selected_count; i++) {
            row_text(&how, output->schema, chunk->columns, chunk_row(chunk, i), &output->text);
            text_append_byte(&output->text, '\n');
            if (output->text.size < WRITE_BYTES)
                continue;
            TRY(env_file_write(env, file, offset, output->text.data, output->text.size, err));
            offset += output->text.size;
            text_reset(&output->text);
        }
    }
    return output->text.size ? env_file_write(env, file, offset, output->text.data, output->text.size, err)
                             : STATUS_OK;
}

/* partition NULL: an empty file. */
CHECKED static Status write_file(TextOutput *output, Env *env, const char *directory, const char *name,
                                 const BatchPartition *partition, Error *err) {
    char *path = env_path_join(directory, name);
    EnvFile *file = NULL;
    Status st = STATUS_OK;
    TRY_GOTO(done, env_file_open(env, path, ENV_WRITE | ENV_CREATE | ENV_EXCLUSIVE, &file, err));
    if (partition)
        TRY_GOTO(done, write_rows(output, env, partition, file, err));
    TRY_GOTO(done, env_file_sync(env, file, err)); /* F1 */
done:
    env_file_close(env, file);
    free(path);
    return st;
}

CHECKED static Status write_directory(TextOutput *output, Env *env, const char *path, const BatchData *batch,
                                      Error *err) {
    TRY(env_make_directory(env, path, err));
    for (uint32_t p = 0; p < batch->partition_count; p++) {
        char name[32];
        snprintf(name, sizeof name, "part-%05" PRIu32, p);
        TRY(write_file(output, env, path, name, &batch->partitions[p], err));
    }
    TRY(write_file(output, env, path, SUCCESS, NULL, err)); /* F2 */
    return env_sync_directory(env, path, err);              /* F1 */
}

/* ---- the output ---- */

CHECKED static Status save(TextOutput *output, Env *env, const Place *place, const BatchData *batch,
                           Error *err) {
    TRY(make_directories(env, place->parent.data, err));
    TRY(clear_directory(env, place->temporary.data, err));
    TRY(clear_directory(env, place->old.data, err));
    Status st = write_directory(output, env, place->temporary.data, batch, err);
    if (st != STATUS_OK) {
        Status ignored = clear_directory(env, place->temporary.data, NULL); /* the next run does it else */
        (void)ignored;
        return st;
    }
    TRY(take_name(env, place, err));
    return clear_directory(env, place->old.data, err);
}

CHECKED static Status text_output_run(Output *base, Env *env, const BatchData *batch, int64_t batch_time_ms,
                                      Error *err) {
    TextOutput *output = (TextOutput *)base;
    Place place = {0};
    place_of(output, batch_time_ms, &place);
    Status st = save(output, env, &place, batch, err);
    place_deinit(&place);
    return st;
}

static void text_output_destroy(Output *base) {
    TextOutput *output = (TextOutput *)base;
    text_deinit(&output->text);
    free(output->prefix);
    free(output->suffix);
    free(output);
}

static const OutputClass text_output_class = {
    .kind = "save_as_text_files", .run = text_output_run, .destroy = text_output_destroy};

Output *text_output_create(const Schema *schema, const char *prefix, const char *suffix) {
    TextOutput *output = xcalloc(1, sizeof *output);
    output->output.class = &text_output_class;
    output->schema = schema;
    output->prefix = xstrdup(str_from(prefix ? prefix : ""));
    output->suffix = xstrdup(str_from(suffix ? suffix : ""));
    return &output->output;
}

void leat_save_as_text_files(LeatStream *stream, const char *prefix, const char *suffix) {
    const char *call = "leat_save_as_text_files";
    if (!stream)
        return;
    if (suffix && strchr(suffix, '/')) {
        context_refuse(stream->context, STATUS_INVALID, "%s: the suffix '%s' has a '/'", call, suffix);
        return;
    }
    stream_to_output(stream, call, text_output_create(stream->schema, prefix, suffix), 0);
}
