/* split.h - one part of a batch's input, read by exactly one worker.
 *
 * Sources make splits when a batch is planned; exec opens, reads and closes each once. A text split gives
 * pieces of bytes that are whole lines; a row split gives chunks. The same split opened again (a batch that
 * is run again) gives the same rows.
 */
#ifndef LEAT_EXEC_SPLIT_H
#define LEAT_EXEC_SPLIT_H

#include "column/chunk.h"

typedef struct Split Split;

typedef struct TextPiece {
    /* Shared: released by the split at the next call or close; NULL: the split is at its end. */
    Buffer *buffer;
    size_t begin, end;
    bool skip_lf; /* a LF at `begin` belongs to the CR that ended the piece before */
} TextPiece;

typedef struct SplitClass {
    CHECKED Status (*open)(Split *split, Budget *budget, Error *err);
    CHECKED Status (*next_piece)(Split *split, TextPiece *piece, Error *err); /* text splits */
    /* Row splits: scratch until the next. */
    CHECKED Status (*next_chunk)(Split *split, Chunk *chunk, bool *has, Error *err);
    void (*close)(Split *split); /* after open succeeded */
    void (*destroy)(Split *split);
} SplitClass;

/* First member of the source's own struct. */
struct Split {
    const SplitClass *class;
    uint64_t size_bytes; /* estimate: a batch that is small in all runs on the caller's thread */
};

/* The splits of one source in one batch, in order. Zero-initialise. */
typedef struct SplitList {
    Split **splits; /* owned */
    uint32_t count, capacity;
} SplitList;

void split_list_add(SplitList *list, Split *split); /* takes */
void split_list_reset(SplitList *list);             /* destroys the splits */
void split_list_deinit(SplitList *list);

#endif
