#include "base/suggest.h"
#include "check.h"

static const char *const words[] = {"memory", "max-line", "partitions", "status", "demo", NULL};

static const char *word_at(const void *self, size_t i) {
    return ((const char *const *)self)[i];
}

static const char *nearest(const char *wrong) {
    const char *word = suggest(str_from(wrong), word_at, words);
    return word ? word : "(none)";
}

TEST(slips_of_the_keyboard) {
    CHECK_STR(nearest("memroy"), "memory"); /* swapped */
    CHECK_STR(nearest("memor"), "memory");  /* left out */
    CHECK_STR(nearest("maxline"), "max-line");
    CHECK_STR(nearest("partition"), "partitions");
    CHECK_STR(nearest("sttaus"), "status");
    CHECK_STR(nearest("dmeo"), "demo");
    CHECK_STR(nearest("status"), "status");
}

TEST(another_word_is_no_slip) {
    CHECK_STR(nearest("interval"), "(none)");
    CHECK_STR(nearest(""), "(none)");
    CHECK_STR(nearest("d"), "(none)");
    char endless[1000];
    memset(endless, 'a', sizeof endless);
    CHECK(suggest(str_slice(endless, sizeof endless), word_at, words) == NULL);
    CHECK_STR(nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "(none)");
}

TEST_MAIN()
