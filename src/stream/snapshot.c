/* snapshot.c - see snapshot.h.
 *
 * Layout, all numbers little-endian: a file header, then pages.
 *
 *     file header, 32 bytes        page header, 24 bytes           payload by kind
 *      0  8  magic "LEATSNAP"       0  4  crc of bytes 4-23         1 section: size of its bytes (8), batch
 *      8  4  format version         4  4  crc of the payload          id (8), log sequence (8), name
 *     12  4  zero                   8  4  payload size              2 data: up to 1 MiB of the section
 *     16  8  number of the file    12  4  kind
 *     24  4  zero                  16  8  number of the page, from 0
 *     28  4  crc of bytes 0-27
 *
 * The checksums of pages are seeded with the number of the file. So a page counts only in its place: neither
 * pages nor files can change places unseen.
 *
 * A section is its page and the data pages behind it; only the last of these may be short.
 */
#include "stream/snapshot.h"

#include "base/bytes.h"
#include "base/map.h"
#include "base/memory.h"
#include "stream/numbered_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FORMAT_VERSION = 2,
    FILE_HEADER_SIZE = 32,
    PAGE_HEADER_SIZE = 24,
    PAGE_PAYLOAD_MAX = 1 << 20,
    SECTION_NAME_MAX = 4096,
    SECTION_FIELDS_SIZE = 24, /* before the name */
};

typedef enum PageKind { PAGE_SECTION = 1, PAGE_DATA = 2 } PageKind;

static const char magic[8] = {'L', 'E', 'A', 'T', 'S', 'N', 'A', 'P'};
static const FileFamily family = {"snapshot-", ".leat"};

typedef struct FileHeader {
    char magic[8];
    uint32_t version;
    uint32_t zero;
    uint64_t number;
    uint32_t zero_too;
    uint32_t crc;
} FileHeader;

typedef struct PageHeader {
    uint32_t header_crc;
    uint32_t payload_crc;
    uint32_t payload_size;
    uint32_t kind;
    uint64_t number;
} PageHeader;

_Static_assert(sizeof(FileHeader) == FILE_HEADER_SIZE, "as on disk");
_Static_assert(sizeof(PageHeader) == PAGE_HEADER_SIZE, "as on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian and written by copying");

static uint32_t file_header_crc(const FileHeader *header) {
    return crc32c(0, header, offsetof(FileHeader, crc));
}
static uint32_t page_seed(uint64_t file_number) {
    return crc32c(0, &file_number, sizeof file_number);
}
static uint32_t page_header_crc(uint32_t seed, const PageHeader *header) {
    return crc32c(seed, (const char *)header + sizeof header->header_crc,
                  sizeof *header - sizeof header->header_crc);
}

/* ---- writing ---- */

struct SnapshotBuilder {
    uint64_t number;
    uint32_t seed;
    uint64_t offset;     /* in the file, of the portion in the making */
    uint64_t page_count; /* of the file */
    Text bytes;          /* of the portion */

    bool has_section, has_page;
    size_t section_at, page_at;  /* in `bytes`: its page, and the data page in the making */
    size_t portion_size_before;  /* the section was begun */
    size_t section_payload_size; /* of its page */
    uint64_t section_page;       /* the number of its page */
    uint64_t section_size_bytes;
};

SnapshotBuilder *snapshot_builder_create(uint64_t number) {
    SnapshotBuilder *builder = xcalloc(1, sizeof *builder);
    builder->number = number;
    builder->seed = page_seed(number);
    return builder;
}

void snapshot_builder_destroy(SnapshotBuilder *builder) {
    if (!builder)
        return;
    text_deinit(&builder->bytes);
    free(builder);
}

/* Before the first section. */
static void put_file_header(SnapshotBuilder *builder) {
    FileHeader header = {.version = FORMAT_VERSION, .number = builder->number};
    memcpy(header.magic, magic, sizeof magic);
    header.crc = file_header_crc(&header);
    text_append(&builder->bytes, str_slice(&header, sizeof header));
}

/* Room for a page's header; returns where it is. */
static size_t begin_page(SnapshotBuilder *builder) {
    char room[PAGE_HEADER_SIZE] = {0};
    size_t at = builder->bytes.size;
    text_append(&builder->bytes, str_slice(room, sizeof room));
    builder->page_count++;
    return at;
}

static void seal_page(SnapshotBuilder *builder, size_t at, PageKind kind, uint64_t number,
                      size_t payload_size) {
    const char *payload = builder->bytes.data + at + PAGE_HEADER_SIZE;
    PageHeader header = {.payload_crc = crc32c(builder->seed, payload, payload_size),
                         .payload_size = (uint32_t)payload_size,
                         .kind = kind,
                         .number = number};
    header.header_crc = page_header_crc(builder->seed, &header);
    memcpy(builder->bytes.data + at, &header, sizeof header);
}

static void end_data_page(SnapshotBuilder *builder) {
    if (builder->has_page)
        seal_page(builder, builder->page_at, PAGE_DATA, builder->page_count - 1,
                  builder->bytes.size - builder->page_at - PAGE_HEADER_SIZE);
    builder->has_page = false;
}

void snapshot_begin_section(SnapshotBuilder *builder, Str name, uint64_t batch_id, uint64_t log_sequence) {
    ASSERT(!builder->has_section && name.size > 0 && name.size <= SECTION_NAME_MAX);
    builder->has_section = true;
    builder->portion_size_before = builder->bytes.size;
    if (builder->offset == 0 && builder->bytes.size == 0)
        put_file_header(builder);
    builder->section_page = builder->page_count;
    builder->section_at = begin_page(builder);
    builder->section_size_bytes = 0;
    bytes_put_u64(&builder->bytes, 0); /* the size: known at the end */
    bytes_put_u64(&builder->bytes, batch_id);
    bytes_put_u64(&builder->bytes, log_sequence);
    text_append(&builder->bytes, name);
    builder->section_payload_size = SECTION_FIELDS_SIZE + name.size;
}

void snapshot_put(SnapshotBuilder *builder, Str piece) {
    ASSERT(builder->has_section);
    builder->section_size_bytes += piece.size;
    while (piece.size) {
        if (!builder->has_page) {
            builder->page_at = begin_page(builder);
            builder->has_page = true;
        }
        size_t room = PAGE_HEADER_SIZE + PAGE_PAYLOAD_MAX - (builder->bytes.size - builder->page_at);
        size_t taken = piece.size < room ? piece.size : room;
        text_append(&builder->bytes, str_slice(piece.data, taken));
        piece = str_slice(piece.data + taken, piece.size - taken);
        if (taken == room)
            end_data_page(builder);
    }
}

bool snapshot_end_section(SnapshotBuilder *builder) {
    ASSERT(builder->has_section);
    builder->has_section = false;
    if (builder->section_size_bytes == 0) {
        builder->page_count = builder->section_page;
        builder->bytes.size = builder->portion_size_before;
        return false;
    }
    end_data_page(builder);
    memcpy(builder->bytes.data + builder->section_at + PAGE_HEADER_SIZE, &builder->section_size_bytes,
           sizeof builder->section_size_bytes);
    seal_page(builder, builder->section_at, PAGE_SECTION, builder->section_page,
              builder->section_payload_size);
    return true;
}

uint64_t snapshot_builder_size_bytes(const SnapshotBuilder *builder) {
    return builder->bytes.size;
}

void snapshot_take_portion(SnapshotBuilder *builder, SnapshotPortion *portion) {
    ASSERT(!builder->has_section);
    Text memory = portion->bytes;
    *portion =
        (SnapshotPortion){.number = builder->number, .offset = builder->offset, .bytes = builder->bytes};
    builder->offset += builder->bytes.size;
    builder->bytes = memory;
    text_reset(&builder->bytes);
}

Status snapshot_write_portion(Env *env, const char *directory, const SnapshotPortion *portion, Error *err) {
    Status st = STATUS_OK;
    EnvFile *file = NULL;
    char *path = numbered_file_path(directory, family, portion->number);
    unsigned flags = ENV_WRITE | (portion->offset == 0 ? ENV_CREATE | ENV_EXCLUSIVE : 0);
    TRY_GOTO(done, env_file_open(env, path, flags, &file, err));
    TRY_GOTO(done, env_file_write(env, file, portion->offset, portion->bytes.data, portion->bytes.size, err));
    TRY_GOTO(done, env_file_sync(env, file, err));
    if (portion->offset == 0)
        TRY_GOTO(done, env_sync_directory(env, directory, err));
done:
    env_file_close(env, file);
    free(path);
    return st;
}

/* ---- reading ---- */

typedef struct SnapshotFile {
    SnapshotExtent extent;
    uint32_t seed;
    char *path;
    EnvFile *file;
} SnapshotFile;

struct SnapshotCatalog {
    Env *env;
    SnapshotFile *files;
    size_t file_count;
    SnapshotSection *sections; /* names are owned */
    size_t count, capacity;
    Map newest; /* name -> index into sections, plus 1 */
};

CHECKED static Status damaged(const SnapshotFile *file, uint64_t offset, const char *reason, Error *err) {
    return error_set(err, STATUS_CORRUPT, "%s: damaged at byte %" PRIu64 ": %s", file->path, offset, reason);
}

CHECKED static Status read_exactly(Env *env, const SnapshotFile *file, uint64_t offset, void *out,
                                   size_t size, Error *err) {
    size_t read_bytes = 0;
    if (offset > file->extent.size_bytes || size > file->extent.size_bytes - offset)
        return damaged(file, offset, "its last section is not whole", err);
    TRY(env_file_read(env, file->file, offset, out, size, &read_bytes, err));
    return read_bytes == size ? STATUS_OK : damaged(file, offset, "the file ends too early", err);
}

CHECKED static Status read_page_header(Env *env, const SnapshotFile *file, uint64_t offset, uint64_t number,
                                       PageKind kind, PageHeader *page, Error *err) {
    TRY(read_exactly(env, file, offset, page, sizeof *page, err));
    if (page->header_crc != page_header_crc(file->seed, page))
        return damaged(file, offset, "the page's header has a wrong checksum", err);
    if (page->payload_size == 0 || page->payload_size > PAGE_PAYLOAD_MAX || page->kind != kind ||
        page->number != number)
        return damaged(file, offset, "the page is not the one that belongs here", err);
    return STATUS_OK;
}

CHECKED static Status check_file_header(Env *env, const SnapshotFile *file, Error *err) {
    FileHeader header;
    TRY(read_exactly(env, file, 0, &header, sizeof header, err));
    if (memcmp(header.magic, magic, sizeof magic) != 0)
        return damaged(file, 0, "not a snapshot's header", err);
    /* Version 1 had its checksum elsewhere. */
    if (header.version != 1 && header.crc != file_header_crc(&header))
        return damaged(file, 0, "the header has a wrong checksum", err);
    if (header.version != FORMAT_VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: format version %" PRIu32 ", this program reads version %d", file->path,
                         header.version, FORMAT_VERSION);
    if (header.number != file->extent.number)
        return damaged(file, 0, "the header of another snapshot: a copy or a renamed file", err);
    return STATUS_OK;
}

static void add_section(SnapshotCatalog *catalog, SnapshotSection section) {
    if (catalog->count == catalog->capacity) {
        catalog->capacity = catalog->capacity ? 2 * catalog->capacity : 64;
        catalog->sections = xrealloc(catalog->sections, catalog->capacity * sizeof *catalog->sections);
    }
    section.name = (Str){xstrdup(section.name), section.name.size};
    catalog->sections[catalog->count++] = section;
    map_put(&catalog->newest, section.name, (void *)(uintptr_t)catalog->count);
}

/* The section whose page is at *offset; afterwards *offset is behind its last page. */
CHECKED static Status read_section(SnapshotCatalog *catalog, const SnapshotFile *file, char *payload,
                                   uint64_t *offset, uint64_t *page_number, Error *err) {
    PageHeader page;
    uint64_t begin = *offset;
    TRY(read_page_header(catalog->env, file, begin, *page_number, PAGE_SECTION, &page, err));
    if (page.payload_size <= SECTION_FIELDS_SIZE ||
        page.payload_size > SECTION_FIELDS_SIZE + SECTION_NAME_MAX)
        return damaged(file, begin, "not a section's name", err);
    TRY(read_exactly(catalog->env, file, begin + PAGE_HEADER_SIZE, payload, page.payload_size, err));
    if (page.payload_crc != crc32c(file->seed, payload, page.payload_size))
        return damaged(file, begin, "the page has a wrong checksum", err);
    Reader fields = reader_of(str_slice(payload, page.payload_size));
    SnapshotSection section = {.size_bytes = reader_u64(&fields)};
    section.batch_id = reader_u64(&fields);
    section.log_sequence = reader_u64(&fields);
    section.name = str_slice(payload + fields.offset, fields.size - fields.offset);
    section.number = file->extent.number;
    section.offset = *offset = begin + PAGE_HEADER_SIZE + page.payload_size;
    section.page = *page_number += 1;
    for (uint64_t found = 0; found < section.size_bytes; ++*page_number) {
        TRY(read_page_header(catalog->env, file, *offset, *page_number, PAGE_DATA, &page, err));
        found += page.payload_size;
        if (found > section.size_bytes ||
            (found < section.size_bytes && page.payload_size != PAGE_PAYLOAD_MAX))
            return damaged(file, *offset, "the section has another size than it says", err);
        *offset += PAGE_HEADER_SIZE + page.payload_size;
        if (*offset > file->extent.size_bytes)
            return damaged(file, begin, "its last section is not whole", err);
    }
    if (section.size_bytes == 0)
        return damaged(file, begin, "a section of no size", err);
    add_section(catalog, section);
    return STATUS_OK;
}

CHECKED static Status read_file(SnapshotCatalog *catalog, const SnapshotFile *file, Error *err) {
    char payload[SECTION_FIELDS_SIZE + SECTION_NAME_MAX];
    EnvFileInfo info;
    TRY(check_file_header(catalog->env, file, err));
    TRY(env_file_info(catalog->env, file->file, &info, err));
    if (info.size_bytes < file->extent.size_bytes)
        return damaged(file, info.size_bytes, "the file ends too early", err);
    uint64_t page_number = 0;
    for (uint64_t offset = FILE_HEADER_SIZE; offset < file->extent.size_bytes;)
        TRY(read_section(catalog, file, payload, &offset, &page_number, err));
    return STATUS_OK;
}

CHECKED static Status open_file(SnapshotCatalog *catalog, SnapshotFile *file, Error *err) {
    Status st = env_file_open(catalog->env, file->path, ENV_READ, &file->file, err);
    if (st == STATUS_NOT_FOUND)
        return error_set(err, STATUS_CORRUPT, "%s: the file is missing; the batch log needs it", file->path);
    return st;
}

Status snapshot_catalog_open(Env *env, const char *directory, const SnapshotExtent *extents,
                             size_t extent_count, SnapshotCatalog **out, Error *err) {
    *out = NULL;
    Status st = STATUS_OK;
    SnapshotCatalog *catalog = xcalloc(1, sizeof *catalog);
    catalog->env = env;
    catalog->files = xcalloc(extent_count ? extent_count : 1, sizeof *catalog->files);
    for (; catalog->file_count < extent_count; catalog->file_count++) {
        SnapshotFile *file = &catalog->files[catalog->file_count];
        file->extent = extents[catalog->file_count];
        file->seed = page_seed(file->extent.number);
        file->path = numbered_file_path(directory, family, file->extent.number);
        if (st == STATUS_OK)
            st = open_file(catalog, file, err);
        if (st == STATUS_OK)
            st = read_file(catalog, file, err);
    }
    if (st != STATUS_OK) {
        snapshot_catalog_close(catalog);
        return st;
    }
    *out = catalog;
    return STATUS_OK;
}

size_t snapshot_catalog_count(const SnapshotCatalog *catalog) {
    return catalog->count;
}

const SnapshotSection *snapshot_catalog_section(const SnapshotCatalog *catalog, size_t index) {
    ASSERT(index < catalog->count);
    return &catalog->sections[index];
}

const SnapshotSection *snapshot_catalog_find(const SnapshotCatalog *catalog, Str name) {
    uintptr_t found = (uintptr_t)map_find(&catalog->newest, name);
    return found ? &catalog->sections[found - 1] : NULL;
}

void snapshot_catalog_close(SnapshotCatalog *catalog) {
    if (!catalog)
        return;
    for (size_t i = 0; i < catalog->file_count; i++) {
        env_file_close(catalog->env, catalog->files[i].file);
        free(catalog->files[i].path);
    }
    for (size_t i = 0; i < catalog->count; i++)
        free((char *)(uintptr_t)catalog->sections[i].name.data);
    map_deinit(&catalog->newest);
    free(catalog->sections);
    free(catalog->files);
    free(catalog);
}

struct SnapshotReader {
    Env *env;
    const SnapshotFile *file;
    uint64_t offset, page, left_bytes;
    char *payload; /* of the page read last */
};

SnapshotReader *snapshot_open(const SnapshotCatalog *catalog, const SnapshotSection *section) {
    SnapshotReader *reader = xcalloc(1, sizeof *reader);
    const SnapshotFile *file = catalog->files;
    while (file->extent.number != section->number)
        file++;
    *reader = (SnapshotReader){.env = catalog->env,
                               .file = file,
                               .offset = section->offset,
                               .page = section->page,
                               .left_bytes = section->size_bytes};
    reader->payload =
        xmalloc(section->size_bytes < PAGE_PAYLOAD_MAX ? section->size_bytes : PAGE_PAYLOAD_MAX);
    return reader;
}

Status snapshot_read(SnapshotReader *reader, Str *piece, Error *err) {
    *piece = STR("");
    if (reader->left_bytes == 0)
        return STATUS_OK;
    PageHeader page;
    TRY(read_page_header(reader->env, reader->file, reader->offset, reader->page, PAGE_DATA, &page, err));
    if (page.payload_size > reader->left_bytes)
        return damaged(reader->file, reader->offset, "the section has another size than it says", err);
    TRY(read_exactly(reader->env, reader->file, reader->offset + PAGE_HEADER_SIZE, reader->payload,
                     page.payload_size, err));
    if (page.payload_crc != crc32c(reader->file->seed, reader->payload, page.payload_size))
        return damaged(reader->file, reader->offset, "the page has a wrong checksum", err);
    reader->offset += PAGE_HEADER_SIZE + page.payload_size;
    reader->page++;
    reader->left_bytes -= page.payload_size;
    *piece = str_slice(reader->payload, page.payload_size);
    return STATUS_OK;
}

void snapshot_close(SnapshotReader *reader) {
    if (!reader)
        return;
    free(reader->payload);
    free(reader);
}

/* ---- the directory ---- */

CHECKED static Status refuse_other_format(Env *env, const char *directory, uint64_t number, Error *err) {
    FileHeader header;
    size_t read_bytes = 0;
    EnvFile *file = NULL;
    Status st = STATUS_OK;
    char *path = numbered_file_path(directory, family, number);
    TRY_GOTO(done, env_file_open(env, path, ENV_READ, &file, err));
    TRY_GOTO(done, env_file_read(env, file, 0, &header, sizeof header, &read_bytes, err));
    bool is_one = read_bytes == sizeof header && memcmp(header.magic, magic, sizeof magic) == 0;
    if (is_one && header.version != FORMAT_VERSION &&
        (header.version == 1 || header.crc == file_header_crc(&header)))
        st = error_set(err, STATUS_UNSUPPORTED,
                       "%s: format version %" PRIu32 ", this program reads version %d", path, header.version,
                       FORMAT_VERSION);
done:
    env_file_close(env, file);
    free(path);
    return st;
}

Status snapshot_survey(Env *env, const char *directory, uint64_t *newest, Error *err) {
    Status st = STATUS_OK;
    uint64_t *numbers = NULL;
    size_t count = 0;
    *newest = 0;
    TRY(numbered_files_list(env, directory, family, &numbers, &count, err));
    for (size_t i = 0; i < count && st == STATUS_OK; i++)
        st = refuse_other_format(env, directory, numbers[i], err);
    if (st == STATUS_OK && count > 0)
        *newest = numbers[count - 1];
    free(numbers);
    return st;
}

static bool is_listed(const SnapshotExtent *extents, size_t extent_count, uint64_t number) {
    for (size_t i = 0; i < extent_count; i++)
        if (extents[i].number == number)
            return true;
    return false;
}

Status snapshot_remove_others(Env *env, const char *directory, const SnapshotExtent *extents,
                              size_t extent_count, uint64_t newest, Error *err) {
    Status st = STATUS_OK;
    uint64_t *numbers = NULL;
    size_t count = 0, removed = 0;
    TRY(numbered_files_list(env, directory, family, &numbers, &count, err));
    for (size_t i = 0; i < count && numbers[i] <= newest && st == STATUS_OK; i++) {
        if (is_listed(extents, extent_count, numbers[i]))
            continue;
        char *path = numbered_file_path(directory, family, numbers[i]);
        st = env_remove(env, path, err);
        free(path);
        removed++;
    }
    free(numbers);
    if (st == STATUS_OK && removed)
        st = env_sync_directory(env, directory, err);
    return st;
}
