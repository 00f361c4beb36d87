/* view.h - string views as Apache Arrow lays them out (D1): 16 bytes, up to 12 inline, else a 4-byte prefix,
 * the index of a buffer and an offset into it. Unused inline bytes are zero, so two short views are equal
 * exactly when their 16 bytes are. */
#ifndef LEAT_COLUMN_VIEW_H
#define LEAT_COLUMN_VIEW_H

#include "base/str.h"

enum { VIEW_INLINE_MAX = 12 };

typedef struct View {
    uint32_t size; /* bytes */
    union {
        char inlined[VIEW_INLINE_MAX];
        struct {
            char prefix[4];
            uint32_t buffer; /* index into the column's buffers */
            uint32_t offset;
        };
    };
} View;

_Static_assert(sizeof(View) == 16, "Arrow's variable-size binary view");

/* Bytes of a view. `bases[i]` is where buffer i begins. The result borrows from *view when it is short. */
static inline Str view_str(const View *view, const char *const *bases) {
    return (Str){view->size <= VIEW_INLINE_MAX ? view->inlined : bases[view->buffer] + view->offset,
                 view->size};
}

/* A view of bytes that stand at `offset` in buffer `buffer`. */
static inline View view_of(Str bytes, uint32_t buffer, uint32_t offset) {
    View view = {.size = (uint32_t)bytes.size};
    if (bytes.size <= VIEW_INLINE_MAX) {
        if (bytes.size)
            memcpy(view.inlined, bytes.data, bytes.size);
    } else {
        memcpy(view.prefix, bytes.data, 4);
        view.buffer = buffer;
        view.offset = offset;
    }
    return view;
}

#endif
