/* cogroup.c - the schemas of PLAN_COGROUP and of lists of rows. */
#include "plan/plan.h"

/* One type for the values of an input: a STRUCT of them, or if there is only one its own. */
static Type type_of_values(const Schema *input, uint32_t key_count) {
    uint32_t count = input->column_count - key_count;
    const Field *values = input->fields + key_count;
    return count == 1 ? values[0].type : (Type){.kind = LEAT_STRUCT, .field_count = count, .fields = values};
}

static Type list_of(Arena *arena, const Schema *input, uint32_t key_count) {
    Field *element = arena_alloc(arena, sizeof *element);
    *element = (Field){.name = "element", .type = type_of_values(input, key_count)};
    return (Type){.kind = LEAT_ARRAY, .field_count = 1, .fields = element};
}

static Type option_of(const Schema *input, uint32_t key_count) {
    return (Type){.kind = LEAT_STRUCT,
                  .field_count = input->column_count - key_count,
                  .fields = input->fields + key_count,
                  .is_option = true};
}

Schema *plan_cogroup_schema(Arena *arena, PlanCogroup mode, const Schema *const *inputs, uint32_t input_count,
                            uint32_t key_count) {
    static const char *const sides[] = {"left", "right"};
    const bool may_lack[] = {mode == COGROUP_RIGHT || mode == COGROUP_FULL,
                             mode == COGROUP_LEFT || mode == COGROUP_FULL};
    uint32_t column_count_max = key_count, count = 0;
    for (uint32_t k = 0; k < input_count; k++)
        column_count_max += inputs[k]->column_count;
    Schema *schema = arena_alloc(arena, sizeof *schema);
    Field *fields = arena_alloc(arena, column_count_max * sizeof *fields);
    for (uint32_t c = 0; c < key_count; c++)
        fields[count++] = inputs[0]->fields[c];
    for (uint32_t k = 0; k < input_count; k++) {
        if (mode == COGROUP_LISTS)
            fields[count++] = (Field){.name = input_count == 1 ? "values" : sides[k],
                                      .type = list_of(arena, inputs[k], key_count)};
        else if (may_lack[k])
            fields[count++] = (Field){.name = sides[k], .type = option_of(inputs[k], key_count)};
        else
            for (uint32_t c = key_count; c < inputs[k]->column_count; c++)
                fields[count++] = inputs[k]->fields[c];
    }
    *schema = (Schema){.fields = fields, .column_count = count, .key_count = key_count};
    return schema;
}

Schema *plan_list_schema(Arena *arena, const Schema *input) {
    Schema *schema = arena_alloc(arena, sizeof *schema);
    Field *field = arena_alloc(arena, sizeof *field);
    *field = (Field){.name = "values", .type = list_of(arena, input, 0)};
    *schema = (Schema){.fields = field, .column_count = 1};
    return schema;
}
