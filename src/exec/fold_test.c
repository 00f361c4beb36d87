#include "exec/fold.h"
#include "base/random.h"
#include "check.h"

#include <math.h>

static uint64_t f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static const FoldOp words[] = {FOLD_SUM_I64, FOLD_SUM_F32, FOLD_SUM_F64, FOLD_MIN_I64, FOLD_MAX_I64,
                               FOLD_MIN_F32, FOLD_MAX_F32, FOLD_MIN_F64, FOLD_MAX_F64};

TEST(identities_change_nothing) {
    Random random;
    random_init(&random, check_seed());
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        bool is_f32 = words[i] == FOLD_SUM_F32 || words[i] == FOLD_MIN_F32 || words[i] == FOLD_MAX_F32;
        for (int round = 0; round < 1000; round++) {
            uint64_t bits = is_f32 ? (uint32_t)random_u64(&random) : random_u64(&random);
            double f64;
            memcpy(&f64, &bits, sizeof f64);
            if (is_f32 ? (bits & INT32_MAX) > 0x7f800000 : f64 != f64)
                continue;                                                       /* of NaN there is one */
            CHECK_EQ(fold_word(words[i], fold_identity(words[i]), bits), bits); /* F1 */
        }
    }
    CHECK_EQ(fold_word(FOLD_SUM_F32, fold_identity(FOLD_SUM_F32), f32(-0.0f)), f32(-0.0f));
}

TEST(floats_are_in_total_order) {
    CHECK_EQ(fold_word(FOLD_SUM_F32, f32(0.1f), f32(0.2f)), f32(0.1f + 0.2f));
    CHECK_EQ(fold_word(FOLD_SUM_F32, f32(16777216.0f), f32(1.0f)), f32(16777216.0f)); /* in float */
    CHECK_EQ(fold_word(FOLD_MIN_F32, f32(0.0f), f32(-0.0f)), f32(-0.0f));
    CHECK_EQ(fold_word(FOLD_MAX_F32, f32(-0.0f), f32(0.0f)), f32(0.0f));
    CHECK_EQ(fold_word(FOLD_MIN_F32, f32(-1.0f), f32(-2.0f)), f32(-2.0f));
    CHECK_EQ(fold_word(FOLD_MAX_F32, f32(-INFINITY), f32(-2.0f)), f32(-2.0f));
    CHECK_EQ(fold_word(FOLD_MAX_F32, f32(INFINITY), 0xffc12345), 0x7fc00000); /* the one NaN */
    CHECK_EQ(fold_word(FOLD_MIN_F32, 0x7fc00000, f32(1.0f)), f32(1.0f));
}

static const Field amount = {.name = "amount", .type = {.kind = LEAT_DECIMAL, .precision = 38, .scale = 2}};

static Column decimals(const LeatDecimal *values) {
    return (Column){.type = &amount.type, .data = values};
}

/* The sum of rows [begin, end) in one cell. */
static Cell fold_range(FoldOp op, const Column *column, uint32_t begin, uint32_t end) {
    Cell cell = {0};
    Cell *cells[100];
    uint16_t selection[100];
    CellContext context = {.who = "test"};
    Error err = {0};
    for (uint32_t i = begin; i < end; i++) {
        cells[i - begin] = &cell;
        selection[i - begin] = (uint16_t)i;
    }
    Chunk chunk = {.row_count = 100, .selected_count = end - begin, .selection = selection};
    CHECK_OK(fold_cells(op, cells, 0, column, &chunk, &context, &err), err);
    return cell;
}

/* F4: however the rows are cut, and wherever it wraps around in between. */
TEST(sums_of_decimals_are_exact) {
    Random random;
    random_init(&random, check_seed());
    LeatDecimal largest = 1;
    for (int i = 0; i < 38; i++)
        largest *= 10;
    for (int round = 0; round < 200; round++) {
        LeatDecimal values[100];
        for (uint32_t i = 0; i < 50; i++) { /* each of them and what takes it away again */
            values[i] = random_below(&random, 2) ? largest - 1 : (LeatDecimal)random_u64(&random);
            values[i] = random_below(&random, 4) ? values[i] : -values[i];
            values[99 - i] = -values[i];
        }
        values[0] += 7 - (values[0] > 0 ? 14 : 0); /* stays within 38 digits */
        LeatDecimal wanted = values[0] + values[99];
        Column column = decimals(values);
        uint32_t cut = (uint32_t)random_below(&random, 101);
        Cell a = fold_range(FOLD_SUM_DECIMAL, &column, 0, cut),
             b = fold_range(FOLD_SUM_DECIMAL, &column, cut, 100);
        CellContext context = {.who = "test"};
        Error err = {0};
        CHECK_OK(fold_cell(FOLD_SUM_DECIMAL, &a, &b, &context, &err), err);
        CHECK(a.has && a.carry == 0 && a.value.decimal == wanted);
        CHECK_OK(cell_check(&a, &amount, "test", &err), err);
    }
    const LeatDecimal twice[] = {largest - 1, largest - 1, -(largest - 1), -(largest - 1), -(largest - 1)};
    Column column = decimals(twice);
    Error err = {0};
    Cell too_large = fold_range(FOLD_SUM_DECIMAL, &column, 0, 2);
    CHECK_EQ(cell_check(&too_large, &amount, "test", &err), STATUS_INVALID);
    CHECK_STR(err.message, "test: the sum of column 'amount' has more digits than DECIMAL(38, 2)");
    too_large = fold_range(FOLD_SUM_DECIMAL, &column, 2, 5);
    CHECK_EQ(cell_check(&too_large, &amount, "test", &err), STATUS_INVALID);
    Cell all = fold_range(FOLD_SUM_DECIMAL, &column, 0, 5);
    CHECK_OK(cell_check(&all, &amount, "test", &err), err);
    CHECK(all.value.decimal == -(largest - 1));
}

TEST(least_and_greatest_decimals) {
    const LeatDecimal values[] = {3, -((LeatDecimal)1 << 100), 5, (LeatDecimal)1 << 90};
    Column column = decimals(values);
    CHECK(fold_range(FOLD_MIN_DECIMAL, &column, 0, 4).value.decimal == values[1]);
    CHECK(fold_range(FOLD_MAX_DECIMAL, &column, 0, 4).value.decimal == values[3]);
    CHECK(!fold_range(FOLD_MAX_DECIMAL, &column, 2, 2).has);
}

TEST_MAIN()
