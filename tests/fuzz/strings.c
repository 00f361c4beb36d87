/* Everything in base that reads text or bytes of unknown origin: numbers, sizes, UTF-8,
 * log levels, the Reader. */
#include "base/bytes.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Str input = str_slice(data, size);
    int64_t i64;
    double f64;
    uint64_t size_bytes;
    if (str_parse_i64(input, &i64))
        ASSERT(str_parse_f64(input, &f64)); /* every integer is a decimal too */
    if (str_parse_f64(input, &f64))
        ASSERT(f64 - f64 == 0); /* finite */
    (void)str_parse_size_bytes(input, &size_bytes);

    Text escaped = {0};
    text_append_escaped(&escaped, input);
    ASSERT(str_is_utf8(text_str(&escaped)));
    for (size_t i = 0; i < escaped.size; i++)
        ASSERT((unsigned char)escaped.data[i] >= 0x20 && escaped.data[i] != 0x7f);
    text_deinit(&escaped);

    if (size < 64 && log_configure(input, NULL) == STATUS_OK) /* short: a configuration is kept for ever */
        (void)log_enabled("area", LOG_DEBUG);

    Reader reader = reader_of(input);
    while (!reader_at_end(&reader)) {
        size_t before = reader.offset;
        switch (reader_u8(&reader) % 4) {
        case 0:
            (void)reader_u32(&reader);
            break;
        case 1:
            (void)reader_u64(&reader);
            break;
        case 2:
            (void)reader_varint(&reader);
            break;
        default:
            (void)reader_str(&reader);
            break;
        }
        ASSERT(reader.offset > before && reader.offset <= size);
    }
    return 0;
}
