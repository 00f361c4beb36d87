/* env_sim_disk.c - a disk in memory that knows what it would lose.
 *
 *   D1  A node (file or directory) is kept twice: as processes see it (`now`) and as it would be read after a
 *       power cut that loses everything unsynced (`durable`), and beside them stand the operations that lead
 *       from the second to the first, oldest first. A sync applies operations to `durable`; a power cut
 *       applies a part of them and then forgets `now`.
 *   D2  A page that was never given a byte other than zero takes no memory.
 *   D3  Nodes are not counted but swept: what no name, operation or handle leads to is gone.
 */
#include "env/env_sim_parts.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum {
    NAME_SIZE_MAX = 255,
    WALL_BEGIN_S = 1767225600, /* 2026-01-01 00:00 UTC */
    REMOVES_PER_SWEEP = 64,
};

typedef struct SimImage {
    unsigned char **pages; /* NULL: zeros (D2) */
    size_t page_capacity;
    uint64_t size_bytes;
} SimImage;

typedef struct SimName {
    struct SimName *next;
    SimNode *node;
    char *text;
} SimName;

typedef enum SimOpKind { OP_WRITE, OP_TRUNCATE, OP_SET, OP_UNSET, OP_RENAME } SimOpKind;

typedef struct SimOp {
    struct SimOp *next;
    SimOpKind kind;
    uint64_t sequence; /* rises by one within a node */
    /* of a file */
    uint64_t offset, size; /* TRUNCATE: offset is the new size */
    unsigned char *data;   /* NULL: zeros */
    /* of a directory */
    char *name, *to; /* RENAME: the old and the new one */
    SimNode *node;   /* that the name stands for */
} SimOp;

struct SimNode {
    SimNode *next; /* of all */
    uint64_t id;
    bool is_directory, is_marked;
    uint32_t name_count, handle_count;
    const void *lock_holder;
    int64_t modified_us;
    SimOp *first, *last; /* D1 */
    uint64_t sequence;   /* of the newest operation */
    SimImage now, durable;
    SimName *names_now, *names_durable;
    SimNode *parent; /* of a directory */
};

/* ---- images ---- */

static uint64_t pages_of(uint64_t size_bytes) {
    return (size_bytes + SIM_PAGE_SIZE - 1) / SIM_PAGE_SIZE;
}

static bool is_zero(const unsigned char *data, size_t size) {
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static void image_reserve(SimWorld *world, SimImage *image, uint64_t size_bytes) {
    uint64_t needed = pages_of(size_bytes);
    if (needed <= image->page_capacity)
        return;
    size_t capacity = image->page_capacity ? image->page_capacity : 8;
    while (capacity < needed)
        capacity *= 2;
    unsigned char **pages = sim_alloc(world, capacity * sizeof *pages);
    if (image->page_capacity > 0)
        memcpy(pages, image->pages, image->page_capacity * sizeof *pages);
    sim_free(world, image->pages, image->page_capacity * sizeof *pages);
    image->pages = pages;
    image->page_capacity = capacity;
}

/* data NULL: zeros. */
static void image_write(SimWorld *world, SimImage *image, uint64_t offset, const unsigned char *data,
                        uint64_t size) {
    if (size == 0)
        return;
    image_reserve(world, image, offset + size);
    if (offset + size > image->size_bytes)
        image->size_bytes = offset + size;
    while (size > 0) {
        uint64_t page = offset / SIM_PAGE_SIZE, within = offset % SIM_PAGE_SIZE;
        uint64_t count = SIM_PAGE_SIZE - within < size ? SIM_PAGE_SIZE - within : size;
        unsigned char **at = &image->pages[page];
        if (!*at && data && !is_zero(data, count))
            *at = sim_alloc(world, SIM_PAGE_SIZE);
        if (*at && data)
            memcpy(*at + within, data, count);
        else if (*at)
            memset(*at + within, 0, count);
        data = data ? data + count : NULL;
        offset += count;
        size -= count;
    }
}

/* Behind the end there are zeros, for a file that grows again. */
static void image_truncate(SimWorld *world, SimImage *image, uint64_t size_bytes) {
    if (size_bytes < image->size_bytes) {
        uint64_t first = pages_of(size_bytes), last = pages_of(image->size_bytes);
        for (uint64_t page = first; page < last; page++) {
            sim_free(world, image->pages[page], SIM_PAGE_SIZE);
            image->pages[page] = NULL;
        }
        uint64_t within = size_bytes % SIM_PAGE_SIZE;
        if (within > 0 && image->pages[first - 1])
            memset(image->pages[first - 1] + within, 0, SIM_PAGE_SIZE - within);
    } else {
        image_reserve(world, image, size_bytes);
    }
    image->size_bytes = size_bytes;
}

static void image_free(SimWorld *world, SimImage *image) {
    image_truncate(world, image, 0);
    sim_free(world, image->pages, image->page_capacity * sizeof *image->pages);
    *image = (SimImage){0};
}

static void image_copy(SimWorld *world, SimImage *to, const SimImage *from) {
    image_free(world, to);
    image_truncate(world, to, from->size_bytes);
    for (uint64_t page = 0; page < pages_of(from->size_bytes); page++) {
        if (!from->pages[page])
            continue;
        to->pages[page] = sim_alloc(world, SIM_PAGE_SIZE);
        memcpy(to->pages[page], from->pages[page], SIM_PAGE_SIZE);
    }
}

/* ---- names ---- */

static char *text_copy(SimWorld *world, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = sim_alloc(world, size);
    memcpy(copy, text, size);
    return copy;
}

static void text_free(SimWorld *world, char *text) {
    if (text)
        sim_free(world, text, strlen(text) + 1);
}

static SimName *names_find(SimName *names, const char *text) {
    while (names && strcmp(names->text, text) != 0)
        names = names->next;
    return names;
}

/* The node that stood there, or NULL. */
static SimNode *names_set(SimWorld *world, SimName **names, const char *text, SimNode *node) {
    SimName *name = names_find(*names, text);
    SimNode *old = name ? name->node : NULL;
    if (!name) {
        name = sim_alloc(world, sizeof *name);
        name->text = text_copy(world, text);
        name->next = *names;
        *names = name;
    }
    name->node = node;
    return old;
}

static SimNode *names_unset(SimWorld *world, SimName **names, const char *text) {
    SimName **link = names;
    while (*link && strcmp((*link)->text, text) != 0)
        link = &(*link)->next;
    SimName *name = *link;
    if (!name)
        return NULL;
    SimNode *node = name->node;
    *link = name->next;
    text_free(world, name->text);
    sim_free(world, name, sizeof *name);
    return node;
}

static void names_free(SimWorld *world, SimName **names) {
    while (*names)
        (void)names_unset(world, names, (*names)->text);
}

/* ---- operations ---- */

static SimOp *op_add(SimWorld *world, SimNode *node, SimOpKind kind) {
    SimOp *op = sim_alloc(world, sizeof *op);
    op->kind = kind;
    op->sequence = ++node->sequence;
    if (node->last)
        node->last->next = op;
    else
        node->first = op;
    node->last = op;
    node->modified_us = (int64_t)WALL_BEGIN_S * 1000000 + world->wall_shift_us + world->now_us;
    return op;
}

static void op_drop_first(SimWorld *world, SimNode *node) {
    SimOp *op = node->first;
    node->first = op->next;
    if (!node->first)
        node->last = NULL;
    sim_free(world, op->data, op->size);
    text_free(world, op->name);
    text_free(world, op->to);
    sim_free(world, op, sizeof *op);
}

/* The part of a file's operation that concerns [begin, end). */
static void op_apply_within(SimWorld *world, const SimOp *op, SimImage *image, uint64_t begin, uint64_t end) {
    uint64_t from = op->offset > begin ? op->offset : begin;
    if (op->kind == OP_WRITE) {
        uint64_t to = op->offset + op->size < end ? op->offset + op->size : end;
        if (from < to)
            image_write(world, image, from, op->data ? op->data + (from - op->offset) : NULL, to - from);
    } else if (from < end && from < image->size_bytes) { /* truncated: zeros for whoever grows again */
        uint64_t to = end < image->size_bytes ? end : image->size_bytes;
        if (from < to)
            image_write(world, image, from, NULL, to - from);
    }
}

static uint64_t size_after(const SimOp *op, uint64_t size_bytes) {
    if (op->kind == OP_TRUNCATE)
        return op->offset;
    return op->offset + op->size > size_bytes ? op->offset + op->size : size_bytes;
}

static void op_apply(SimWorld *world, const SimOp *op, SimNode *node) {
    switch (op->kind) {
    case OP_WRITE:
        image_write(world, &node->durable, op->offset, op->data, op->size);
        break;
    case OP_TRUNCATE:
        image_truncate(world, &node->durable, op->offset);
        break;
    case OP_SET:
        (void)names_set(world, &node->names_durable, op->name, op->node);
        break;
    case OP_UNSET:
        (void)names_unset(world, &node->names_durable, op->name);
        break;
    case OP_RENAME:
        (void)names_unset(world, &node->names_durable, op->name);
        (void)names_set(world, &node->names_durable, op->to, op->node);
        break;
    }
}

/* ---- nodes ---- */

static SimNode *node_create(SimWorld *world, bool is_directory) {
    SimNode *node = sim_alloc(world, sizeof *node);
    node->id = ++world->disk.next_id;
    node->is_directory = is_directory;
    node->modified_us = (int64_t)WALL_BEGIN_S * 1000000 + world->wall_shift_us + world->now_us;
    node->next = world->disk.nodes;
    world->disk.nodes = node;
    return node;
}

static void node_free(SimWorld *world, SimNode *node) {
    while (node->first)
        op_drop_first(world, node);
    image_free(world, &node->now);
    image_free(world, &node->durable);
    names_free(world, &node->names_now);
    names_free(world, &node->names_durable);
    sim_free(world, node, sizeof *node);
}

static void mark(SimNode *node) {
    if (!node || node->is_marked)
        return;
    node->is_marked = true;
    for (const SimName *name = node->names_now; name; name = name->next)
        mark(name->node);
    for (const SimName *name = node->names_durable; name; name = name->next)
        mark(name->node);
    for (const SimOp *op = node->first; op; op = op->next)
        mark(op->node);
    mark(node->parent);
}

static void sweep(SimWorld *world) { /* D3 */
    for (SimNode *node = world->disk.nodes; node; node = node->next)
        node->is_marked = false;
    mark(world->disk.root);
    for (SimNode *node = world->disk.nodes; node; node = node->next)
        if (node->handle_count > 0)
            mark(node);
    SimNode **link = &world->disk.nodes;
    while (*link) {
        SimNode *node = *link;
        if (node->is_marked) {
            link = &node->next;
        } else {
            *link = node->next;
            node_free(world, node);
        }
    }
}

void sim_disk_init(SimWorld *world) {
    world->disk = (SimDisk){.limit_pages = UINT64_MAX};
    world->disk.root = node_create(world, true);
}

void sim_disk_forget_handles(SimWorld *world) {
    for (SimNode *node = world->disk.nodes; node; node = node->next) {
        node->handle_count = 0;
        node->lock_holder = NULL;
    }
    sweep(world);
}

/* ---- paths ---- */

/* The next step of a path into `step`; false at its end. */
static int next_step(const char **path, char step[NAME_SIZE_MAX + 1], bool *has_step) {
    const char *at = *path;
    while (*at == '/')
        at++;
    size_t size = strcspn(at, "/");
    *has_step = size > 0;
    if (size > NAME_SIZE_MAX)
        return ENAMETOOLONG;
    memcpy(step, at, size);
    step[size] = '\0';
    at += size;
    while (*at == '/')
        at++;
    *path = at;
    return 0;
}

/* The directory of the last step, and that step ("" for the root); *node is NULL when there is none. */
static int walk(SimWorld *world, const char *path, SimNode **parent, char last[NAME_SIZE_MAX + 1],
                SimNode **node) {
    if (path[0] == '\0')
        return ENOENT;
    *node = world->disk.root;
    *parent = world->disk.root;
    last[0] = '\0';
    for (;;) {
        char step[NAME_SIZE_MAX + 1];
        bool has_step;
        int error = next_step(&path, step, &has_step);
        if (error != 0 || !has_step)
            return error;
        if (!*node)
            return ENOENT;
        if (!(*node)->is_directory)
            return ENOTDIR;
        if (strcmp(step, ".") == 0)
            continue;
        if (strcmp(step, "..") == 0) {
            *node = (*node)->parent ? (*node)->parent : *node;
            continue;
        }
        *parent = *node;
        memcpy(last, step, sizeof step);
        SimName *name = names_find((*node)->names_now, step);
        *node = name ? name->node : NULL;
    }
}

int sim_disk_find(SimWorld *world, const char *path, SimNode **out) {
    char last[NAME_SIZE_MAX + 1];
    SimNode *parent, *node = NULL;
    int error = walk(world, path, &parent, last, &node);
    if (error == 0 && !node)
        error = ENOENT;
    if (error == 0)
        *out = node;
    return error;
}

static void name_now(SimWorld *world, SimNode *directory, const char *text, SimNode *node) {
    SimNode *old = names_set(world, &directory->names_now, text, node);
    node->name_count++;
    if (old)
        old->name_count--;
}

static void add_name(SimWorld *world, SimNode *directory, const char *text, SimNode *node) {
    name_now(world, directory, text, node);
    SimOp *op = op_add(world, directory, OP_SET);
    op->name = text_copy(world, text);
    op->node = node;
}

static void take_name(SimWorld *world, SimNode *directory, const char *text) {
    SimNode *node = names_unset(world, &directory->names_now, text);
    node->name_count--;
    SimOp *op = op_add(world, directory, OP_UNSET);
    op->name = text_copy(world, text);
    if (++world->disk.removed % REMOVES_PER_SWEEP == 0)
        sweep(world);
}

int sim_disk_open(SimWorld *world, const char *path, unsigned flags, SimNode **out) {
    char last[NAME_SIZE_MAX + 1];
    SimNode *parent, *node = NULL;
    int error = walk(world, path, &parent, last, &node);
    if (error != 0)
        return error;
    if (node && (flags & ENV_CREATE) && (flags & ENV_EXCLUSIVE))
        return EEXIST;
    if (!node && !(flags & ENV_CREATE))
        return ENOENT;
    if (node && node->is_directory && (flags & (ENV_WRITE | ENV_CREATE)))
        return EISDIR;
    if (!node) {
        node = node_create(world, false);
        add_name(world, parent, last, node);
    }
    if (flags & ENV_TRUNCATE)
        (void)sim_disk_truncate(world, node, 0);
    node->handle_count++;
    *out = node;
    return 0;
}

void sim_disk_release(SimWorld *world, SimNode *node) {
    (void)world;
    ASSERT(node->handle_count > 0);
    node->handle_count--;
}

int sim_disk_rename(SimWorld *world, const char *from, const char *to) {
    char from_last[NAME_SIZE_MAX + 1], to_last[NAME_SIZE_MAX + 1];
    SimNode *from_parent, *to_parent, *node = NULL, *old = NULL;
    int error = walk(world, from, &from_parent, from_last, &node);
    if (error == 0 && !node)
        error = ENOENT;
    if (error == 0)
        error = walk(world, to, &to_parent, to_last, &old);
    if (error != 0)
        return error;
    if (node == old)
        return 0;
    if (!from_last[0] || !to_last[0])
        return EBUSY;
    if (old && old->is_directory != node->is_directory)
        return old->is_directory ? EISDIR : ENOTDIR;
    if (old && old->is_directory && old->names_now)
        return ENOTEMPTY;
    if (from_parent == to_parent) {
        SimOp *op = op_add(world, from_parent, OP_RENAME);
        op->name = text_copy(world, from_last);
        op->to = text_copy(world, to_last);
        op->node = node;
        (void)names_unset(world, &from_parent->names_now, from_last);
        name_now(world, to_parent, to_last, node);
        node->name_count--;
    } else {
        add_name(world, to_parent, to_last, node);
        take_name(world, from_parent, from_last);
    }
    if (node->is_directory)
        node->parent = to_parent;
    return 0;
}

int sim_disk_remove(SimWorld *world, const char *path) {
    char last[NAME_SIZE_MAX + 1];
    SimNode *parent, *node = NULL;
    int error = walk(world, path, &parent, last, &node);
    if (error != 0)
        return error;
    if (!node)
        return ENOENT;
    if (!last[0])
        return EBUSY;
    if (node->is_directory && node->names_now)
        return ENOTEMPTY;
    take_name(world, parent, last);
    return 0;
}

int sim_disk_make_directory(SimWorld *world, const char *path) {
    char last[NAME_SIZE_MAX + 1];
    SimNode *parent, *node = NULL;
    int error = walk(world, path, &parent, last, &node);
    if (error != 0)
        return error;
    if (node)
        return EEXIST;
    node = node_create(world, true);
    node->parent = parent;
    add_name(world, parent, last, node);
    return 0;
}

char *sim_disk_names(const SimNode *directory) {
    Text names = {0};
    for (const SimName *name = directory->names_now; name; name = name->next) {
        text_append(&names, str_from(name->text));
        text_append_byte(&names, '\0');
    }
    text_append_byte(&names, '\0');
    return names.data;
}

/* ---- files ---- */

size_t sim_disk_read(SimNode *node, uint64_t offset, void *out, size_t size) {
    const SimImage *image = &node->now;
    if (offset >= image->size_bytes)
        return 0;
    if (size > image->size_bytes - offset)
        size = image->size_bytes - offset;
    for (size_t have = 0; have < size;) {
        uint64_t at = offset + have, within = at % SIM_PAGE_SIZE;
        size_t count = SIM_PAGE_SIZE - within < size - have ? SIM_PAGE_SIZE - within : size - have;
        const unsigned char *page = image->pages[at / SIM_PAGE_SIZE];
        if (page)
            memcpy((char *)out + have, page + within, count);
        else
            memset((char *)out + have, 0, count);
        have += count;
    }
    return size;
}

static uint64_t free_pages(const SimWorld *world) {
    uint64_t used = 0;
    for (const SimNode *node = world->disk.nodes; node; node = node->next)
        if (node->name_count > 0 || node->handle_count > 0)
            used += pages_of(node->now.size_bytes);
    return used < world->disk.limit_pages ? world->disk.limit_pages - used : 0;
}

int sim_disk_write(SimWorld *world, SimNode *node, uint64_t offset, const void *data, size_t size,
                   size_t *done) {
    if (offset + size > node->now.size_bytes && world->disk.limit_pages != UINT64_MAX) {
        uint64_t room = (pages_of(node->now.size_bytes) + free_pages(world)) * SIM_PAGE_SIZE;
        if (size > 0 && offset >= room)
            return ENOSPC;
        size = size < room - offset ? size : room - offset;
    }
    *done = size;
    if (size == 0)
        return 0;
    SimOp *op = op_add(world, node, OP_WRITE);
    op->offset = offset;
    op->size = size;
    if (!is_zero(data, size)) {
        op->data = sim_alloc(world, size);
        memcpy(op->data, data, size);
    }
    image_write(world, &node->now, offset, op->data, size);
    return 0;
}

int sim_disk_truncate(SimWorld *world, SimNode *node, uint64_t size_bytes) {
    if (node->is_directory)
        return EISDIR;
    SimOp *op = op_add(world, node, OP_TRUNCATE);
    op->offset = size_bytes;
    image_truncate(world, &node->now, size_bytes);
    return 0;
}

uint64_t sim_disk_sync_begin(SimWorld *world, SimNode *node) {
    (void)world;
    return node->sequence;
}

void sim_disk_sync_end(SimWorld *world, SimNode *node, uint64_t upto) {
    while (node->first && node->first->sequence <= upto) {
        op_apply(world, node->first, node);
        op_drop_first(world, node);
    }
}

void sim_disk_sync_failed(SimWorld *world, SimNode *node, uint64_t upto) {
    while (node->first && node->first->sequence <= upto)
        op_drop_first(world, node); /* clean pages that nobody will write again */
}

EnvFileInfo sim_disk_info(const SimNode *node) {
    return (EnvFileInfo){
        .size_bytes = node->is_directory ? SIM_PAGE_SIZE : node->now.size_bytes,
        .modified_us = node->modified_us,
        .is_file = !node->is_directory,
        .is_directory = node->is_directory,
    };
}

bool sim_disk_lock(SimNode *node, const void *holder) {
    if (node->lock_holder && node->lock_holder != holder)
        return false;
    node->lock_holder = holder;
    return true;
}

void sim_disk_unlock(SimNode *node, const void *holder) {
    if (node->lock_holder == holder)
        node->lock_holder = NULL;
}

bool sim_disk_is_directory(const SimNode *node) {
    return node->is_directory;
}

/* ---- power cuts ---- */

/* Each unit of a file has got the first so many of its operations, all units as many or each for itself. */
static void crash_file(SimWorld *world, SimNode *node, SimCrash crash, Random *random) {
    uint64_t count = 0, end = node->durable.size_bytes, size_bytes = end;
    for (const SimOp *op = node->first; op; op = op->next) {
        count++;
        end = size_after(op, end) > end ? size_after(op, end) : end;
    }
    if (crash == SIM_CRASH_ALL_LOST || count == 0)
        return;
    uint64_t sized = crash == SIM_CRASH_ZEROED ? count : random_below(random, count + 1), n = 0;
    for (const SimOp *op = node->first; op && n < sized; op = op->next, n++)
        size_bytes = size_after(op, size_bytes);
    uint64_t unit = crash == SIM_CRASH_SECTORS  ? SIM_SECTOR_SIZE
                    : crash == SIM_CRASH_PREFIX ? (end > 0 ? end : 1)
                                                : SIM_PAGE_SIZE;
    image_truncate(world, &node->durable, end); /* room for what may come */
    for (uint64_t begin = 0; begin < end; begin += unit) {
        uint64_t applied = crash == SIM_CRASH_PREFIX ? sized : random_below(random, count + 1);
        n = 0;
        for (const SimOp *op = node->first; op && n < applied; op = op->next, n++)
            op_apply_within(world, op, &node->durable, begin, begin + unit);
    }
    image_truncate(world, &node->durable, size_bytes);
}

static void crash_directory(SimWorld *world, SimNode *node, SimCrash crash, Random *random) {
    uint64_t count = 0, n = 0;
    for (const SimOp *op = node->first; op; op = op->next)
        count++;
    uint64_t kept = crash == SIM_CRASH_ALL_LOST ? 0 : random_below(random, count + 1);
    for (const SimOp *op = node->first; op; op = op->next, n++) {
        bool is_kept = crash == SIM_CRASH_PREFIX || crash == SIM_CRASH_ALL_LOST
                           ? n < kept
                           : random_below(random, 2) == 0;
        if (is_kept)
            op_apply(world, op, node);
    }
}

void sim_disk_crash(SimWorld *world, SimCrash crash, Random *random) {
    for (SimNode *node = world->disk.nodes; node; node = node->next) {
        if (node->is_directory)
            crash_directory(world, node, crash, random);
        else
            crash_file(world, node, crash, random);
        while (node->first)
            op_drop_first(world, node);
        node->name_count = 0;
    }
    for (SimNode *node = world->disk.nodes; node; node = node->next) {
        image_copy(world, &node->now, &node->durable);
        names_free(world, &node->names_now);
        for (const SimName *name = node->names_durable; name; name = name->next)
            name_now(world, node, name->text, name->node);
    }
    sim_disk_forget_handles(world);
}
