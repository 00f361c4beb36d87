/* snapshot.c - see snapshot.h.
 *
 * Layout, all numbers little-endian: a file header, pages, and the footer page.
 *
 *     file header, 64 bytes        page header, 24 bytes           payload by kind
 *      0  8  magic "LEATSNAP"       0  4  crc of bytes 4-23         1 section: size of its bytes (8), name
 *      8  4  format version         4  4  crc of the payload        2 data: up to 1 MiB of the section
 *     12  4  epoch                  8  4  payload size              3 footer: pages before it (8),
 *     16  8  batch id              12  4  kind                        sections (8), bytes of all sections (8)
 *     24  8  log sequence          16  8  number of the page, from 0
 *     32 28  zero
 *     60  4  crc of bytes 0-59
 *
 *   S1  A file that has its name was synced before it got it. So whatever is wrong with it is damage.
 *   S2  Nothing is handed out that its page's checksum does not cover; a page carries its number, so that
 *       pages cannot change places; the footer ends the file.
 *
 * A section's size is known only at its end: its page is then written once more, while the file has no
 * name yet.
 */
#include "stream/snapshot.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "stream/numbered_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FORMAT_VERSION = 1,
    FILE_HEADER_SIZE = 64,
    PAGE_HEADER_SIZE = 24,
    PAGE_PAYLOAD_MAX = 1 << 20,
    SECTION_NAME_MAX = 4096,
    FOOTER_PAYLOAD_SIZE = 24,
};

typedef enum PageKind { PAGE_SECTION = 1, PAGE_DATA = 2, PAGE_FOOTER = 3 } PageKind;

static const char magic[8] = {'L', 'E', 'A', 'T', 'S', 'N', 'A', 'P'};
static const FileFamily snapshots = {"snapshot-", ".leat"};
static const FileFamily unfinished = {"snapshot-", ".tmp"};

typedef struct FileHeader {
    char magic[8];
    uint32_t version;
    uint32_t epoch;
    uint64_t batch_id;
    uint64_t log_sequence;
    char zero[28];
    uint32_t crc;
} FileHeader;

typedef struct PageHeader {
    uint32_t header_crc;
    uint32_t payload_crc;
    uint32_t payload_size;
    uint32_t kind;
    uint64_t number;
} PageHeader;

typedef struct Totals {
    uint64_t page_count, section_count, size_bytes;
} Totals;

_Static_assert(sizeof(FileHeader) == FILE_HEADER_SIZE, "as on disk");
_Static_assert(sizeof(PageHeader) == PAGE_HEADER_SIZE, "as on disk");
_Static_assert(sizeof(Totals) == FOOTER_PAYLOAD_SIZE, "as on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian and written by copying");

static uint32_t file_header_crc(const FileHeader *header) {
    return crc32c(0, header, offsetof(FileHeader, crc));
}

static uint32_t page_header_crc(const PageHeader *header) {
    return crc32c(0, (const char *)header + sizeof header->header_crc,
                  sizeof *header - sizeof header->header_crc);
}

/* ---- writing ---- */

struct SnapshotWriter {
    Env *env;
    char *directory, *path, *temporary_path;
    EnvFile *file;
    Error first_error; /* after it nothing is written and finish fails */
    uint64_t offset;   /* in the file, of the page in the making */
    Totals totals;
    char *page; /* header and payload in the making: data of the section begun last */
    size_t payload_size;

    bool has_section;
    Text section_name;
    uint64_t section_offset, section_page_number, section_size_bytes;
};

/* Writes `page` (header room in front) at `offset` under the number given. */
static Status write_page(SnapshotWriter *writer, PageKind kind, uint64_t number, uint64_t offset, char *page,
                         size_t payload_size, Error *err) {
    PageHeader header = {.payload_crc = crc32c(0, page + PAGE_HEADER_SIZE, payload_size),
                         .payload_size = (uint32_t)payload_size,
                         .kind = kind,
                         .number = number};
    header.header_crc = page_header_crc(&header);
    memcpy(page, &header, sizeof header);
    return env_file_write(writer->env, writer->file, offset, page, PAGE_HEADER_SIZE + payload_size, err);
}

static Status append_page(SnapshotWriter *writer, PageKind kind, char *page, size_t payload_size,
                          Error *err) {
    TRY(write_page(writer, kind, writer->totals.page_count, writer->offset, page, payload_size, err));
    writer->totals.page_count++;
    writer->offset += PAGE_HEADER_SIZE + payload_size;
    return STATUS_OK;
}

static Status flush_data(SnapshotWriter *writer, Error *err) {
    if (writer->payload_size == 0)
        return STATUS_OK;
    TRY(append_page(writer, PAGE_DATA, writer->page, writer->payload_size, err));
    writer->payload_size = 0;
    return STATUS_OK;
}

static void make_section_page(const SnapshotWriter *writer, Text *page) {
    char room[PAGE_HEADER_SIZE] = {0};
    text_append(page, str_slice(room, sizeof room));
    bytes_put_u64(page, writer->section_size_bytes);
    text_append(page, text_str(&writer->section_name));
}

static Status end_section(SnapshotWriter *writer, Error *err) {
    if (!writer->has_section)
        return STATUS_OK;
    TRY(flush_data(writer, err));
    Text page = {0};
    make_section_page(writer, &page);
    Status st = write_page(writer, PAGE_SECTION, writer->section_page_number, writer->section_offset,
                           page.data, page.size - PAGE_HEADER_SIZE, err);
    text_deinit(&page);
    writer->totals.size_bytes += writer->section_size_bytes;
    writer->has_section = false;
    return st;
}

static Status begin_section(SnapshotWriter *writer, Str name, Error *err) {
    TRY(end_section(writer, err));
    text_reset(&writer->section_name);
    text_append(&writer->section_name, name);
    writer->section_offset = writer->offset;
    writer->section_page_number = writer->totals.page_count;
    writer->section_size_bytes = 0;
    writer->totals.section_count++;
    writer->has_section = true;
    Text page = {0};
    make_section_page(writer, &page);
    Status st = append_page(writer, PAGE_SECTION, page.data, page.size - PAGE_HEADER_SIZE, err);
    text_deinit(&page);
    return st;
}

static Status write_piece(SnapshotWriter *writer, Str piece, Error *err) {
    writer->section_size_bytes += piece.size;
    while (piece.size) {
        size_t room = PAGE_PAYLOAD_MAX - writer->payload_size, taken = piece.size < room ? piece.size : room;
        memcpy(writer->page + PAGE_HEADER_SIZE + writer->payload_size, piece.data, taken);
        writer->payload_size += taken;
        piece = str_slice(piece.data + taken, piece.size - taken);
        if (writer->payload_size == PAGE_PAYLOAD_MAX)
            TRY(flush_data(writer, err));
    }
    return STATUS_OK;
}

static Status write_footer(SnapshotWriter *writer, Error *err) {
    TRY(end_section(writer, err));
    char page[PAGE_HEADER_SIZE + FOOTER_PAYLOAD_SIZE];
    memcpy(page + PAGE_HEADER_SIZE, &writer->totals, sizeof writer->totals);
    return append_page(writer, PAGE_FOOTER, page, FOOTER_PAYLOAD_SIZE, err);
}

static Status settle(SnapshotWriter *writer, Status st, Error *err) {
    if (st == STATUS_OK)
        return STATUS_OK;
    writer->first_error.status = st;
    if (err)
        *err = writer->first_error;
    return st;
}

static void writer_free(SnapshotWriter *writer) {
    env_file_close(writer->env, writer->file);
    text_deinit(&writer->section_name);
    free(writer->page);
    free(writer->temporary_path);
    free(writer->path);
    free(writer->directory);
    free(writer);
}

Status snapshot_create(Env *env, const char *directory, SnapshotInfo info, SnapshotWriter **out, Error *err) {
    Status st = STATUS_OK;
    SnapshotWriter *writer = xcalloc(1, sizeof *writer);
    *out = NULL;
    writer->env = env;
    writer->directory = xstrdup(str_from(directory));
    writer->path = numbered_file_path(directory, snapshots, info.batch_id);
    writer->temporary_path = numbered_file_path(directory, unfinished, info.batch_id);
    writer->page = xmalloc(PAGE_HEADER_SIZE + PAGE_PAYLOAD_MAX);
    FileHeader header = {.version = FORMAT_VERSION,
                         .epoch = info.epoch,
                         .batch_id = info.batch_id,
                         .log_sequence = info.log_sequence};
    memcpy(header.magic, magic, sizeof magic);
    header.crc = file_header_crc(&header);
    st =
        env_file_open(env, writer->temporary_path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE, &writer->file, err);
    if (st != STATUS_OK) {
        writer_free(writer);
        return st;
    }
    st = env_file_write(env, writer->file, 0, &header, sizeof header, err);
    if (st != STATUS_OK) {
        snapshot_abandon(writer);
        return st;
    }
    writer->offset = FILE_HEADER_SIZE;
    *out = writer;
    return STATUS_OK;
}

Status snapshot_begin_section(SnapshotWriter *writer, Str name, Error *err) {
    ASSERT(name.size > 0 && name.size <= SECTION_NAME_MAX);
    if (writer->first_error.status != STATUS_OK)
        return settle(writer, writer->first_error.status, err);
    return settle(writer, begin_section(writer, name, &writer->first_error), err);
}

Status snapshot_write(SnapshotWriter *writer, Str piece, Error *err) {
    ASSERT(writer->has_section || writer->first_error.status != STATUS_OK);
    if (writer->first_error.status != STATUS_OK)
        return settle(writer, writer->first_error.status, err);
    return settle(writer, write_piece(writer, piece, &writer->first_error), err);
}

Status snapshot_finish(SnapshotWriter *writer, Error *err) {
    Status st = STATUS_OK;
    if (writer->first_error.status != STATUS_OK) {
        st = settle(writer, writer->first_error.status, err);
        goto failed;
    }
    TRY_GOTO(failed, write_footer(writer, err));
    TRY_GOTO(failed, env_file_sync(writer->env, writer->file, err)); /* S1 */
    TRY_GOTO(failed, env_rename(writer->env, writer->temporary_path, writer->path, err));
    st = env_sync_directory(writer->env, writer->directory, err);
    writer_free(writer);
    return st;
failed:
    snapshot_abandon(writer);
    return st;
}

void snapshot_abandon(SnapshotWriter *writer) {
    if (!writer)
        return;
    /* What cannot be removed is harmless: snapshot_remove_before finds it again. */
    Status ignored = env_remove(writer->env, writer->temporary_path, NULL);
    (void)ignored;
    writer_free(writer);
}

/* ---- reading ---- */

struct SnapshotReader {
    Env *env;
    char *path;
    EnvFile *file;
    uint64_t size_bytes; /* of the file */
    uint64_t offset;     /* of the next page */
    bool has_older;
    uint64_t older_batch_id;
    Totals found, promised; /* so far; by the footer */
    char *payload;          /* of the page read last */

    PageHeader next; /* the page at `offset`: its header has been read and checked, its payload has not */
    bool has_next;
    Text section_name;
    uint64_t section_left_bytes; /* not read yet */
};

static Status damaged(const SnapshotReader *reader, uint64_t offset, const char *reason, Error *err) {
    Text older = {0};
    if (reader->has_older)
        text_appendf(&older,
                     "; an older snapshot, of batch %" PRIu64
                     ", is there, but the log that would continue it is not",
                     reader->older_batch_id);
    Status st = error_set(err, STATUS_CORRUPT, "%s: damaged at byte %" PRIu64 ": %s%.*s", reader->path,
                          offset, reason, STR_ARG(text_str(&older)));
    text_deinit(&older);
    return st;
}

static Status read_exactly(SnapshotReader *reader, uint64_t offset, void *out, size_t size, Error *err) {
    size_t read_bytes = 0;
    if (offset > reader->size_bytes || size > reader->size_bytes - offset)
        return damaged(reader, offset, "the file ends too early", err);
    TRY(env_file_read(reader->env, reader->file, offset, out, size, &read_bytes, err));
    return read_bytes == size ? STATUS_OK : damaged(reader, offset, "the file became shorter", err);
}

static Status check_page_header(SnapshotReader *reader, const PageHeader *page, uint64_t offset, Error *err) {
    if (page->header_crc != page_header_crc(page))
        return damaged(reader, offset, "the page's header has a wrong checksum", err);
    if (page->payload_size > PAGE_PAYLOAD_MAX || page->kind < PAGE_SECTION || page->kind > PAGE_FOOTER)
        return damaged(reader, offset, "not a page", err);
    return STATUS_OK;
}

/* Fills reader->next. */
static Status peek_page(SnapshotReader *reader, Error *err) {
    if (reader->has_next)
        return STATUS_OK;
    TRY(read_exactly(reader, reader->offset, &reader->next, sizeof reader->next, err));
    TRY(check_page_header(reader, &reader->next, reader->offset, err));
    if (reader->next.number != reader->found.page_count)
        return damaged(reader, reader->offset, "the page is not the one that belongs here", err);
    reader->has_next = true;
    return STATUS_OK;
}

/* Reads the payload of reader->next, which is done with then. */
static Status take_page(SnapshotReader *reader, Str *payload, Error *err) {
    size_t size = reader->next.payload_size;
    TRY(read_exactly(reader, reader->offset + PAGE_HEADER_SIZE, reader->payload, size, err));
    if (reader->next.payload_crc != crc32c(0, reader->payload, size))
        return damaged(reader, reader->offset, "the page has a wrong checksum", err);
    reader->offset += PAGE_HEADER_SIZE + size;
    reader->found.page_count++;
    reader->has_next = false;
    *payload = str_slice(reader->payload, size);
    return STATUS_OK;
}

static Status check_footer(SnapshotReader *reader, Error *err) {
    const Totals *found = &reader->found, *promised = &reader->promised;
    if (reader->offset != reader->size_bytes - PAGE_HEADER_SIZE - FOOTER_PAYLOAD_SIZE)
        return damaged(reader, reader->offset, "a footer before the end", err);
    if (found->page_count != promised->page_count || found->section_count != promised->section_count ||
        found->size_bytes != promised->size_bytes)
        return damaged(reader, reader->offset, "the footer counts otherwise", err);
    return STATUS_OK;
}

/* The header and the footer; pages are checked as they are read. */
static Status reader_begin(SnapshotReader *reader, SnapshotInfo *info, Error *err) {
    EnvFileInfo file_info;
    FileHeader header;
    TRY(env_file_info(reader->env, reader->file, &file_info, err));
    reader->size_bytes = file_info.size_bytes;
    TRY(read_exactly(reader, 0, &header, sizeof header, err));
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.crc != file_header_crc(&header))
        return damaged(reader, 0, "not a snapshot's header", err);
    if (header.version != FORMAT_VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: format version %" PRIu32 ", this program reads version %d", reader->path,
                         header.version, FORMAT_VERSION);
    if (header.batch_id != info->batch_id)
        return damaged(reader, 0, "the snapshot of another batch: a copy or a renamed file", err);
    if (reader->size_bytes < FILE_HEADER_SIZE + PAGE_HEADER_SIZE + FOOTER_PAYLOAD_SIZE)
        return damaged(reader, FILE_HEADER_SIZE, "the file ends too early", err);

    uint64_t footer_offset = reader->size_bytes - PAGE_HEADER_SIZE - FOOTER_PAYLOAD_SIZE;
    char footer[PAGE_HEADER_SIZE + FOOTER_PAYLOAD_SIZE];
    PageHeader page;
    TRY(read_exactly(reader, footer_offset, footer, sizeof footer, err));
    memcpy(&page, footer, sizeof page);
    TRY(check_page_header(reader, &page, footer_offset, err));
    if (page.kind != PAGE_FOOTER || page.payload_size != FOOTER_PAYLOAD_SIZE ||
        page.payload_crc != crc32c(0, footer + PAGE_HEADER_SIZE, FOOTER_PAYLOAD_SIZE))
        return damaged(reader, footer_offset, "the footer is not where it should be", err);
    memcpy(&reader->promised, footer + PAGE_HEADER_SIZE, sizeof reader->promised);
    reader->offset = FILE_HEADER_SIZE;
    info->epoch = header.epoch;
    info->log_sequence = header.log_sequence;
    return STATUS_OK;
}

Status snapshot_open(Env *env, const char *directory, SnapshotReader **out, SnapshotInfo *info, Error *err) {
    *out = NULL;
    uint64_t *ids = NULL;
    size_t count = 0;
    TRY(numbered_files_list(env, directory, snapshots, &ids, &count, err));
    if (count == 0) {
        free(ids);
        return error_set(err, STATUS_NOT_FOUND, "%s: no snapshot", directory);
    }
    Status st = STATUS_OK;
    SnapshotReader *reader = xcalloc(1, sizeof *reader);
    SnapshotInfo newest = {.batch_id = ids[count - 1]};
    reader->env = env;
    reader->path = numbered_file_path(directory, snapshots, newest.batch_id);
    reader->has_older = count > 1;
    reader->older_batch_id = count > 1 ? ids[count - 2] : 0;
    reader->payload = xmalloc(PAGE_PAYLOAD_MAX);
    free(ids);
    TRY_GOTO(failed, env_file_open(env, reader->path, ENV_READ, &reader->file, err));
    TRY_GOTO(failed, reader_begin(reader, &newest, err));
    *info = newest;
    *out = reader;
    return STATUS_OK;
failed:
    snapshot_close(reader);
    return st;
}

static Status read_section_page(SnapshotReader *reader, Str *name, uint64_t *size_bytes, Error *err) {
    uint64_t page_offset = reader->offset;
    Str payload;
    TRY(take_page(reader, &payload, err));
    Reader fields = reader_of(payload);
    *size_bytes = reader_u64(&fields);
    *name = str_slice(payload.data + fields.offset, payload.size - fields.offset);
    if (fields.failed || name->size == 0 || name->size > SECTION_NAME_MAX)
        return damaged(reader, page_offset, "not a section's name", err);
    text_reset(&reader->section_name);
    text_append(&reader->section_name, *name);
    *name = text_str(&reader->section_name);
    reader->section_left_bytes = *size_bytes;
    reader->found.section_count++;
    reader->found.size_bytes += *size_bytes;
    return STATUS_OK;
}

Status snapshot_next_section(SnapshotReader *reader, Str *name, uint64_t *size_bytes, Error *err) {
    for (Str piece = STR(" "); piece.size;)
        TRY(snapshot_read(reader, &piece, err));
    *name = STR("");
    *size_bytes = 0;
    TRY(peek_page(reader, err));
    if (reader->next.kind == PAGE_FOOTER)
        return check_footer(reader, err);
    if (reader->next.kind != PAGE_SECTION)
        return damaged(reader, reader->offset, "bytes of no section", err);
    return read_section_page(reader, name, size_bytes, err);
}

Status snapshot_read(SnapshotReader *reader, Str *piece, Error *err) {
    *piece = STR("");
    if (reader->section_left_bytes == 0)
        return STATUS_OK;
    TRY(peek_page(reader, err));
    size_t size = reader->next.payload_size;
    if (reader->next.kind != PAGE_DATA || size == 0 || size > reader->section_left_bytes)
        return damaged(reader, reader->offset, "the section has another size than it says", err);
    Str payload;
    TRY(take_page(reader, &payload, err));
    reader->section_left_bytes -= size;
    *piece = payload;
    return STATUS_OK;
}

void snapshot_close(SnapshotReader *reader) {
    if (!reader)
        return;
    env_file_close(reader->env, reader->file);
    text_deinit(&reader->section_name);
    free(reader->payload);
    free(reader->path);
    free(reader);
}

/* ---- removing ---- */

static Status remove_family(Env *env, const char *directory, FileFamily family, uint64_t before,
                            size_t *removed, Error *err) {
    Status st = STATUS_OK;
    uint64_t *ids = NULL;
    size_t count = 0;
    TRY(numbered_files_list(env, directory, family, &ids, &count, err));
    for (size_t i = 0; i < count && ids[i] < before; i++) {
        char *path = numbered_file_path(directory, family, ids[i]);
        st = env_remove(env, path, err);
        free(path);
        if (st != STATUS_OK)
            break;
        ++*removed;
    }
    free(ids);
    return st;
}

Status snapshot_remove_before(Env *env, const char *directory, uint64_t batch_id, Error *err) {
    size_t removed = 0;
    TRY(remove_family(env, directory, unfinished, UINT64_MAX, &removed, err));
    TRY(remove_family(env, directory, snapshots, batch_id, &removed, err));
    return removed ? env_sync_directory(env, directory, err) : STATUS_OK;
}
