/* The emitter's two caches, strict rejection of damaged entries, the bound, and errors with the line of the source. */
#include "graph/emit/cache.h"
#include "graph/emit/spirv.h"
#include "graph/passes/plan.h"
#include "tests/check.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/switchyard-cache-XXXXXX";
static const char kernel[] =
    "#version 450\nlayout(local_size_x = 8) in;\nlayout(set = 0, binding = 0) buffer B { float d[]; } b;\n"
    "void main()\n{\n    b.d[gl_GlobalInvocationID.x] *= %d.0;\n}\n";

static bool emit(struct sy_emitter *emitter, int number, const uint32_t **words, uint32_t *n, bool *cached,
                 sy_error *error)
{
    char text[512];
    snprintf(text, sizeof text, kernel, number);
    return sy_emit_spirv(emitter, "test", text, words, n, cached, error);
}

/* Path of the folder's only entry. */
static unsigned entries(char path[512])
{
    DIR *d = opendir(folder);
    unsigned n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strstr(e->d_name, ".spv")) {
            snprintf(path, 512, "%s/%s", folder, e->d_name);
            n++;
        }
    closedir(d);
    return n;
}

static void test_cache(void)
{
    sy_error error = {0};
    sy_compile_params params = {.cache_directory = folder};
    const uint32_t *words, *again;
    uint32_t n, m;
    bool cached;
    char path[512];
    struct sy_emitter *emitter = sy_emitter_create(&params, NULL, &error);
    REQUIRE(emitter && emit(emitter, 1, &words, &n, &cached, &error));
    CHECK(!cached && n > 20 && words[0] == 0x07230203);
    CHECK(emit(emitter, 1, &again, &m, &cached, &error) && cached && again == words && m == n);
    CHECK(entries(path) == 1);
    uint32_t *copy = malloc(4 * n);
    memcpy(copy, words, 4 * n);
    sy_emitter_destroy(&emitter);
    /* a second start compiles nothing and gets the same words */
    emitter = sy_emitter_create(&params, NULL, &error);
    CHECK(emit(emitter, 1, &words, &m, &cached, &error) && cached && m == n && !memcmp(words, copy, 4 * n));
    sy_emitter_destroy(&emitter);
    /* every damaged byte of head and words is a miss, and so is every shorter file */
    struct stat info;
    REQUIRE(stat(path, &info) == 0);
    size_t size = (size_t)info.st_size;
    unsigned char *whole = malloc(size + 1);
    FILE *file = fopen(path, "rb");
    REQUIRE(whole && file && fread(whole, 1, size, file) == size);
    fclose(file);
    sy_hash key;
    memcpy(&key.lo, whole + 8, 8);
    memcpy(&key.hi, whole + 16, 8);
    size_t n_got;
    uint32_t *got = sy_cache_get(folder, key, &n_got);
    CHECK(got && n_got == n);
    free(got);
    for (size_t i = 0; i < 2 * size; i += i < 64 ? 1 : 61) {
        file = fopen(path, "wb");
        REQUIRE(file);
        whole[i % size] ^= i < size ? 0x10 : 0;
        fwrite(whole, 1, i < size ? size : i - size, file);
        whole[i % size] ^= i < size ? 0x10 : 0;
        fclose(file);
        got = sy_cache_get(folder, key, &n_got);
        CHECK_SAY(!got, "a damaged entry (%zu) was taken", i);
        free(got);
    }
    emitter = sy_emitter_create(&params, NULL, &error);
    CHECK(emit(emitter, 1, &words, &m, &cached, &error) && !cached && m == n && !memcmp(words, copy, 4 * n));
    sy_emitter_destroy(&emitter);
    free(whole);
    free(copy);
}

static void test_bound(void)
{
    sy_error error = {0};
    sy_compile_params params = {.cache_directory = folder, .cache_bytes = 3000};
    const uint32_t *words;
    uint32_t n;
    bool cached;
    char path[512];
    struct sy_emitter *emitter = sy_emitter_create(&params, NULL, &error);
    for (int i = 10; i < 20; i++) {
        CHECK(emit(emitter, i, &words, &n, &cached, &error) && !cached);
        usleep(12000); /* file times have a grain */
    }
    CHECK(entries(path) > 3);
    sy_emitter_destroy(&emitter);
    unsigned left = entries(path);
    CHECK_SAY(left >= 1 && left <= 3, "%u entries are left", left);
    emitter = sy_emitter_create(&params, NULL, &error);
    CHECK(emit(emitter, 19, &words, &n, &cached, &error) && cached);  /* the newest stays */
    CHECK(emit(emitter, 10, &words, &n, &cached, &error) && !cached); /* the oldest went */
    sy_emitter_destroy(&emitter);
    /* a folder that cannot be: no cache, no failure */
    params.cache_directory = "/proc/none/here";
    emitter = sy_emitter_create(&params, NULL, &error);
    CHECK(emitter && emit(emitter, 1, &words, &n, &cached, &error) && !cached);
    sy_emitter_destroy(&emitter);
}

static void test_errors(void)
{
    sy_error error = {0};
    struct sy_emitter *emitter = sy_emitter_create(NULL, NULL, &error);
    const uint32_t *words;
    uint32_t n;
    bool cached;
    REQUIRE(emitter);
    CHECK(!sy_emit_spirv(emitter, "bad", "#version 450\nvoid main()\n{\n    float x = nothing;\n}\n", &words, &n,
                         &cached, &error));
    CHECK_SAY(strstr(error.message, "bad, line 4") && strstr(error.message, "float x = nothing;"), "%s", error.message);
    sy_emitter_destroy(&emitter);
}

static void *compile_some(void *context)
{
    sy_error error = {0};
    const uint32_t *words;
    uint32_t n;
    bool cached, *ok = context;
    struct sy_emitter *emitter = sy_emitter_create(NULL, NULL, &error);
    *ok = emitter != NULL;
    for (int i = 0; i < 6 && *ok; i++)
        *ok = emit(emitter, i, &words, &n, &cached, &error) && !cached;
    sy_emitter_destroy(&emitter);
    return NULL;
}

/* The compiler's process state is shared by emitters that come and go in several threads. */
static void test_threads(void)
{
    pthread_t threads[4];
    bool ok[4] = {0};
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, compile_some, &ok[i]) == 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK(ok[i]);
    }
}

int main(void)
{
    char path[512];
    REQUIRE(mkdtemp(folder));
    test_cache();
    test_bound();
    test_errors();
    test_threads();
    while (entries(path))
        unlink(path);
    CHECK(rmdir(folder) == 0);
    return check_done();
}
