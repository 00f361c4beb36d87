/* Record batches of other producers: the input says what the structs of the C data interface say, and fills
 * buffers that are as large as the structs make them. What is accepted is read, exported, and read again as
 * the same rows. */
#include "column/arrow.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHILDREN_MAX = 3, DEPTH_MAX = 4, BYTES_SIZE = 256, FORMAT_SIZE = 12 };

typedef struct Input {
    const uint8_t *data;
    size_t size, at;
} Input;

static uint8_t take(Input *in) {
    return in->at < in->size ? in->data[in->at++] : 0;
}

static bool one_of(Input *in, int n) {
    return take(in) % n == n - 1;
}

static void no_schema(struct ArrowSchema *schema) {
    (void)schema;
}
static void no_array(struct ArrowArray *array) {
    (void)array;
}

static const char *const formats[] = {"b",  "c",  "s",  "i",  "l",  "f",   "g",       "d:5,2", "d:38,0,128",
                                      "u",  "U",  "vu", "z",  "Z",  "vz",  "tdD",     "tsu:",  "tsu:UTC",
                                      "+l", "+s", "+m", "+s", "+l", "tsn", "+w:2147", "n",     "+ud:0,1"};

/* In blocks of their own, so that a read past one is seen; freed by free_all. */
static void *blocks[4000];
static size_t block_count;

static void *block(size_t size_bytes) {
    ASSERT(block_count < ARRAY_COUNT(blocks));
    return blocks[block_count++] = xcalloc(1, size_bytes ? size_bytes : 1);
}

static void free_all(void) {
    while (block_count > 0)
        free(blocks[--block_count]);
}

static const void *filled(Input *in, size_t size_bytes) {
    uint8_t *bytes = block(size_bytes);
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = take(in);
    return bytes;
}

/* Where strings begin: mostly within BYTES_SIZE, which is all that a reader can know. */
static const void *string_offsets(Input *in, size_t count, size_t width) {
    char *offsets = block(count * width);
    for (size_t i = 0; i < count; i++) {
        int64_t offset = take(in);
        if (offset == 255)
            offset = -1;
        memcpy(offsets + i * width, &offset, width);
    }
    return offsets;
}

/* The buffers of `slots` slots. */
static int64_t make_buffers(Input *in, const char *format, size_t slots, const void **buffers) {
    static const struct {
        const char *format;
        size_t width;
    } widths[] = {{"c", 1}, {"s", 2}, {"i", 4}, {"l", 8}, {"f", 4}, {"g", 8}, {"tdD", 4}};
    buffers[0] = one_of(in, 3) ? filled(in, (slots + 7) / 8) : NULL;
    if (format[0] == 'u' || format[0] == 'z' || format[0] == 'U' || format[0] == 'Z') {
        buffers[1] = string_offsets(in, slots + 1, format[0] > 'Z' ? sizeof(int32_t) : sizeof(int64_t));
        buffers[2] = block(BYTES_SIZE);
        return 3;
    }
    if (format[0] == 'v') {
        int64_t *sizes = block(2 * sizeof *sizes);
        buffers[1] = filled(in, slots * sizeof(View));
        for (int i = 0; i < 2; i++) {
            sizes[i] = take(in);
            buffers[2 + i] = filled(in, (size_t)sizes[i]);
        }
        buffers[4] = sizes;
        return 5;
    }
    if (format[0] == '+' && format[1] == 's')
        return 1;
    if (format[0] == '+') {
        buffers[1] = filled(in, (slots + 1) * sizeof(int32_t));
        return 2;
    }
    size_t width = format[0] == 'd' ? 16 : 8;
    for (size_t i = 0; i < ARRAY_COUNT(widths); i++)
        if (strcmp(widths[i].format, format) == 0)
            width = widths[i].width;
    buffers[1] = filled(in, slots * width);
    return 2;
}

/* Something that the structs say, and that is not so. */
static void spoil(Input *in, struct ArrowSchema *schema, struct ArrowArray *array) {
    switch (take(in) % 16) {
    case 0:
        array->n_buffers += (int8_t)take(in);
        break;
    case 1:
        array->n_children += (int8_t)take(in);
        break;
    case 2:
        schema->n_children = (int8_t)take(in);
        if (schema->n_children > CHILDREN_MAX)
            schema->n_children = 0;
        break;
    case 3:
        array->buffers[take(in) % 3] = NULL;
        break;
    case 4:
        array->buffers = NULL;
        break;
    case 5:
        array->children = NULL;
        break;
    case 6:
        schema->children[take(in) % CHILDREN_MAX] = NULL;
        break;
    case 7:
        array->release = NULL;
        break;
    case 8:
        schema->format = NULL;
        break;
    case 9:
        array->length = -1;
        break;
    case 10:
        array->offset = INT64_MAX - take(in);
        break;
    case 11:
        array->null_count = (int8_t)take(in);
        break;
    default: /* a text that is no format, or one */
        schema->format = filled(in, FORMAT_SIZE);
        ((char *)(uintptr_t)schema->format)[FORMAT_SIZE - 1] = 0;
        array->length = array->offset = 0; /* its buffers are of another size */
    }
}

static void make_tree(Input *in, const char *format, int depth, struct ArrowSchema *schema,
                      struct ArrowArray *array) {
    size_t length = take(in) % 12, offset = take(in) % 3;
    int child_count = format[0] != '+' || depth == DEPTH_MAX ? 0
                      : format[1] == 's'                     ? 1 + take(in) % CHILDREN_MAX
                                                             : 1;
    const void **buffers = block(8 * sizeof *buffers);
    struct ArrowSchema **schemas = block(CHILDREN_MAX * sizeof *schemas);
    struct ArrowArray **arrays = block(CHILDREN_MAX * sizeof *arrays);
    *schema =
        (struct ArrowSchema){.format = format, .name = "n", .n_children = child_count, .release = no_schema};
    *array = (struct ArrowArray){.length = (int64_t)length, .offset = (int64_t)offset, .release = no_array};
    array->n_buffers = make_buffers(in, format, length + offset, buffers);
    array->null_count = buffers[0] ? -1 : 0;
    array->n_children = child_count;
    array->buffers = buffers;
    array->children = arrays;
    schema->children = schemas;
    for (int i = 0; i < child_count; i++) {
        schemas[i] = block(sizeof **schemas);
        arrays[i] = block(sizeof **arrays);
        const char *child = format[1] == 'm' ? "+s" : formats[take(in) % ARRAY_COUNT(formats)];
        make_tree(in, child, depth + 1, schemas[i], arrays[i]);
    }
    if (one_of(in, 32))
        spoil(in, schema, array);
}

/* The rows of a batch into the builder; at most one chunk. Their text. */
static void read_rows(const ArrowReader *reader, Builder *builder, Chunk *chunk, Text *shown) {
    for (uint64_t row = 0; row < arrow_reader_row_count(reader); row++) {
        Status st = arrow_reader_put(reader, row, builder, NULL);
        ASSERT(st == STATUS_OK);
        builder_end_row(builder);
    }
    builder_chunk(builder, chunk);
    chunk_verify(chunk);
    chunk_format(chunk, shown);
}

static void export_again(const Chunk *chunk, Str shown) {
    ChunkReader *chunk_reader;
    LeatChunk bound;
    struct ArrowSchema schema;
    struct ArrowArray array;
    ArrowReader *reader;
    Builder *builder;
    Chunk again;
    Text shown_again = {0};
    Status st = chunk_reader_create(chunk->schema, NULL, "fuzz", &chunk_reader, NULL);
    ASSERT(st == STATUS_OK);
    st = chunk_reader_bind(chunk_reader, chunk, &bound, NULL);
    ASSERT(st == STATUS_OK);
    ArrowExport *export = arrow_export_create(chunk->schema, NULL);
    st = arrow_export_add(export, &bound, NULL);
    ASSERT(st == STATUS_OK);
    arrow_export_finish(export, &schema, &array);
    st = arrow_reader_create(&schema, &array, &reader, NULL);
    ASSERT(st == STATUS_OK);
    st = builder_create(arrow_reader_schema(reader), NULL, "fuzz", &builder, NULL);
    ASSERT(st == STATUS_OK);
    read_rows(reader, builder, &again, &shown_again);
    ASSERT(str_equal(shown, text_str(&shown_again)));
    text_deinit(&shown_again);
    builder_destroy(builder);
    arrow_reader_destroy(reader);
    schema.release(&schema);
    array.release(&array);
    chunk_reader_destroy(chunk_reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Input in = {data, size, 0};
    struct ArrowSchema schema;
    struct ArrowArray array;
    ArrowReader *reader;
    Error err = {0};
    make_tree(&in, "+s", 0, &schema, &array);
    Status st = arrow_reader_create(&schema, &array, &reader, &err);
    ASSERT((st == STATUS_OK) == (reader != NULL));
    ASSERT(st == STATUS_OK || ((st == STATUS_INVALID || st == STATUS_UNSUPPORTED) && err.message[0]));
    if (reader) {
        Builder *builder;
        Chunk chunk;
        Text shown = {0};
        st = builder_create(arrow_reader_schema(reader), NULL, "fuzz", &builder, NULL);
        ASSERT(st == STATUS_OK);
        read_rows(reader, builder, &chunk, &shown);
        export_again(&chunk, text_str(&shown));
        text_deinit(&shown);
        builder_destroy(builder);
        arrow_reader_destroy(reader);
    }
    free_all();
    return 0;
}
