/* safetensors: what is written reads back; every lie a header can tell is found before anything is used. */
#include "graph/import/safetensors.h"

#include "tests/check.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file of a header and `data` bytes of 0, 1, 2, …; free() it. */
static unsigned char *make(const char *header, size_t data, size_t *size)
{
    size_t n = strlen(header);
    unsigned char *file = malloc(*size = 8 + n + data);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)((uint64_t)n >> 8 * i);
    memcpy(file + 8, header, n);
    for (size_t i = 0; i < data; i++)
        file[8 + n + i] = (unsigned char)i;
    return file;
}

static const struct wrong {
    const char *header;
    size_t data;
    const char *message;
} table[] = {
    {"", 0, "its header is not a JSON object of tensors."},
    {"[]", 0, "its header is not a JSON object of tensors."},
    {" {}", 0, "its header is not a JSON object of tensors."},
    {"{\"a\" 3}", 0, "its header is not valid JSON near byte 5."},
    {"{} x", 0, "its header is not valid JSON near byte 3."},
    {"{\"a\":{\"b\":{\"c\":{\"d\":[]}}}}", 0, "its header is not a JSON object of tensors."},
    {"{\"a\":3}", 0, "tensor \"a\": it is not described by an object."},
    {"{\"a\":[3]}", 0, "tensor \"a\": it is not described by an object."},
    {"{\"a\":{}}", 0, "tensor \"a\": it has no dtype."},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor \"a\": it has no dtype."},
    {"{\"a\":{\"dtype\":\"F31\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor \"a\": the dtype \"F31\" is not known."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,4]}}", 4, "tensor \"a\": its shape is not a list."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,6]}}", 6,
     "tensor \"a\": a dimension is not a whole number."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
     "tensor \"a\": a dimension is not a whole number."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,4]}}", 4,
     "tensor \"a\": a dimension is not a whole number."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
     "tensor \"a\": it has more than 8 dimensions."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     "tensor \"a\": its shape has more elements than can be."},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2,
     "tensor \"a\": its elements do not fill whole bytes."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4,
     "tensor \"a\": its data_offsets are not two whole numbers in order."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
     "tensor \"a\": its data_offsets are not two whole numbers in order."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4,
     "tensor \"a\": its data_offsets are not two whole numbers in order."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
     "tensor \"a\": shape and dtype make 8 bytes, its offsets 4."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "tensor \"a\": there is a hole before it."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8,
     "the tensors need 4 bytes of data, the file has 8."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3,
     "the tensors need 4 bytes of data, the file has 3."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
     12, "tensor \"b\": it overlaps another."},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "tensor \"a\": it is there twice."},
    {"{\"__metadata__\":{\"a\":1}}", 0, "metadata \"a\" is not a string."},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is there twice or is not an object."},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is there twice or is not an object."},
};

static void test_lies(void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        sy_error error = {0};
        size_t size;
        unsigned char *bytes = make(table[i].header, table[i].data, &size);
        CHECK(!sy_safetensors_from_memory(bytes, size, 0, &error));
        CHECK_TEXT(error.message, table[i].message);
        CHECK(error.code == SY_CODE_INVALID_FILE);
        free(bytes);
    }
}

static void test_prefix(void)
{
    static const struct {
        unsigned char bytes[10];
        size_t size;
        const char *message;
    } prefixes[] = {
        {{2, 0, 0, 0, 0, 0, 0}, 7, "7 bytes are too few for a safetensors file."},
        {{3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, 10, "its header should have 3 bytes, but the file ends after 2."},
        {{2, 0, 0, 0, 0, 0, 0, 128, '{', '}'},
         10,
         "it says its header has 9223372036854775810 bytes; at most 16777216 are read. Is it a safetensors file?"},
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        sy_error error = {0};
        CHECK(!sy_safetensors_from_memory(prefixes[i].bytes, prefixes[i].size, 0, &error));
        CHECK_TEXT(error.message, prefixes[i].message);
    }
}

static void test_reads(void)
{
    static const char header[] = "{\"w.bias\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[8,24]},\"__metadata__"
                                 "\":{\"k\":\"v\\\"\",\"l\":\"\"},"
                                 "\"w.weight\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
                                 "\"none\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[8,8]},"
                                 "\"one\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[24,28]}}    ";
    sy_error error = {0};
    size_t size;
    unsigned char *bytes = make(header, 28, &size);
    sy_safetensors *file = sy_safetensors_from_memory(bytes, size, 0, &error);
    CHECK_SAY(file, "%s", error.message);
    REQUIRE(file);
    CHECK(sy_safetensors_count(file) == 4 && !sy_safetensors_at(file, 4));
    CHECK_TEXT(sy_safetensors_at(file, 0)->name, "w.bias");
    CHECK_TEXT(sy_safetensors_metadata(file, "k"), "v\"");
    CHECK_TEXT(sy_safetensors_metadata(file, "l"), "");
    CHECK(!sy_safetensors_metadata(file, "m") && sy_safetensors_metadata_count(file) == 2);

    const sy_stored_tensor *w = sy_safetensors_need(file, "w.weight", &error), *b = sy_safetensors_find(file, "w.bias");
    sy_type type;
    double values[4];
    CHECK(w && w->count == 4 && w->bytes == 8 && (const unsigned char *)w->data == bytes + 8 + strlen(header));
    CHECK(sy_stored_type(w, &type, &error) && type.rank == 2 && type.dim[1] == 2 && type.dtype == SY_BF16);
    CHECK(sy_stored_read(w, values, 4, &error));
    CHECK(values[1] == 0x1.04p-121); /* bytes 2, 3: 0x0302, exponent 6, mantissa 2/128 */
    CHECK(!sy_stored_read(w, values, 3, NULL));
    type = (sy_type){0};
    CHECK(sy_stored_type(sy_safetensors_find(file, "one"), &type, &error) && type.rank == 1 && type.dim[0] == 1);
    CHECK(sy_stored_read(sy_safetensors_find(file, "one"), values, 1, &error) && values[0] == 0x1b1a1918);
    CHECK(!sy_stored_type(b, &type, &error));
    CHECK_TEXT(error.message, "tensor \"w.bias\" is I64; F32, F16, BF16, I32 and U32 can be used: convert the file.");
    error = (sy_error){0};
    CHECK(!sy_stored_type(sy_safetensors_find(file, "none"), &type, &error));
    CHECK_TEXT(error.message, "tensor \"none\": a dimension is below 1.");
    error = (sy_error){0};
    CHECK(!sy_safetensors_need(file, "w.weigth", &error) && error.code == SY_CODE_NOT_FOUND);
    CHECK_TEXT(error.message, "no tensor \"w.weigth\"; nearest: \"w.weight\".");
    error = (sy_error){0};
    CHECK(!sy_safetensors_need(file, "something else entirely", &error));
    CHECK_TEXT(error.message, "no tensor \"something else entirely\" among 4.");
    sy_safetensors_close(&file);
    sy_safetensors_close(&file);

    /* Without data: shapes only. */
    file = sy_safetensors_from_memory(bytes, size - 28, SY_SAFETENSORS_HEADER_ONLY, NULL);
    REQUIRE(file);
    w = sy_safetensors_find(file, "w.weight");
    CHECK(w && !w->data && sy_stored_type(w, &type, NULL) && !sy_stored_read(w, values, 4, NULL));
    sy_safetensors_close(&file);
    CHECK(!sy_safetensors_from_memory(bytes, size - 28, 0, NULL));
    free(bytes);
}

static int files_in(const char *folder)
{
    DIR *directory = opendir(folder);
    int n = -2; /* . and .. */
    while (directory && readdir(directory))
        n++;
    closedir(directory);
    return n;
}

static void test_writes(void)
{
    char folder[] = "/tmp/switchyard-test-XXXXXX", path[64], bad[64];
    REQUIRE(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
    snprintf(bad, sizeof bad, "%s/none/a.safetensors", folder);
    const float w[6] = {1, -2.5f, 3, 4, 5, 6};
    const uint16_t h[3] = {0x3c00, 0xc000, 0x7bff};
    const sy_safetensors_item items[] = {
        {"w \"1\"", {.rank = 2, .dtype = SY_F32, .dim = {2, 3}}, w},
        {"half", {.rank = 1, .dtype = SY_F16, .dim = {3}}, h},
    };
    const sy_safetensors_text metadata[] = {{"note", "a\nb"}, {"é", "ü"}};
    sy_error error = {0};
    CHECK_SAY(sy_safetensors_write(path, items, 2, metadata, 2, &error), "%s", error.message);
    CHECK(files_in(folder) == 1);
    struct stat facts;
    CHECK(!stat(path, &facts) && facts.st_mode & S_IRUSR && (facts.st_size - 30) % 8 == 0);

    sy_safetensors *file = sy_safetensors_open(path, 0, &error);
    CHECK_SAY(file, "%s", error.message);
    REQUIRE(file);
    double values[6];
    const sy_stored_tensor *t = sy_safetensors_find(file, "w \"1\"");
    CHECK(t && t->rank == 2 && sy_stored_read(t, values, 6, &error) && values[1] == -2.5 && values[5] == 6);
    t = sy_safetensors_find(file, "half");
    CHECK(t && t->dtype == SY_F16 && sy_stored_read(t, values, 3, &error) && values[1] == -2 && values[2] == 65504);
    CHECK_TEXT(sy_safetensors_metadata(file, "note"), "a\nb");
    CHECK_TEXT(sy_safetensors_metadata(file, "é"), "ü");
    sy_safetensors_close(&file);

    error = (sy_error){0};
    CHECK(!sy_safetensors_write(bad, items, 2, NULL, 0, &error) && error.code == SY_CODE_NOT_FOUND);
    CHECK(strstr(error.message, bad));
    CHECK(files_in(folder) == 1);
    error = (sy_error){0};
    CHECK(!sy_safetensors_open(bad, 0, &error) && error.code == SY_CODE_NOT_FOUND);
    error = (sy_error){0};
    CHECK(!sy_safetensors_open(folder, 0, &error) && error.code == SY_CODE_INVALID_FILE);
    /* an empty list is a file, too */
    CHECK(sy_safetensors_write(path, NULL, 0, NULL, 0, NULL));
    file = sy_safetensors_open(path, 0, NULL);
    CHECK(file && sy_safetensors_count(file) == 0);
    sy_safetensors_close(&file);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    test_lies();
    test_prefix();
    test_reads();
    test_writes();
    return check_done();
}
