/* .npy: what is written reads back, files as NumPy writes them are read, and wrong ones are named. */
#include "graph/import/npy.h"

#include "graph/base/file.h"
#include "tests/check.h"

#include <unistd.h>

/* A file of that version and header text with `data` bytes; free() it. */
static unsigned char *make(int version, const char *header, const void *data, size_t n_data, size_t *size)
{
    size_t n = strlen(header), front = version == 1 ? 10 : 12;
    unsigned char *file = calloc(1, *size = front + n + n_data);
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (unsigned char)version;
    file[8] = (unsigned char)n;
    file[9] = (unsigned char)(n >> 8);
    memcpy(file + front, header, n);
    if (n_data)
        memcpy(file + front + n, data, n_data);
    return file;
}

static void test_wrong(void)
{
    static const char zeros[64];
    static const struct {
        int version;
        const char *header;
        size_t data;
        const char *message;
    } table[] = {
        {4, "{}", 0, "it is not an .npy file of version 1, 2 or 3."},
        {1, "", 2, "the header is not a dictionary."},
        {1, "[1]", 0, "the header is not a dictionary."},
        {1, "{", 1, "the header is not one of descr, fortran_order and shape."},
        {1, "{}", 0, "the header lacks fortran_order or shape."},
        {1, "{'descr': '<i2', 'fortran_order': False, 'shape': (1,), }", 2,
         "elements are '<i2'; little-endian f2, f4, f8, i4, i8 and u4 are read."},
        {1, "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4,
         "elements are '>f4'; little-endian f, i and u of up to 8 bytes are read."},
        {1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4,
         "the header is not one of descr, fortran_order and shape."},
        {1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 4,
         "it is in Fortran order: save a C-contiguous array."},
        {1, "{'descr': '<f4', 'shape': (1,), }", 4, "the header lacks fortran_order or shape."},
        {1, "{'descr': '<f4', 'fortran_order': False}", 4, "the header lacks fortran_order or shape."},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4,
         "the header is not one of descr, fortran_order and shape."},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }", 4,
         "the header is not one of descr, fortran_order and shape."},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1), }", 4,
         "the array has 7 dimensions; 6 are the most."},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4,
         "the header is not one of descr, fortran_order and shape."},
        {1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2147483647,2147483647,2147483647), }", 8,
         "its shape has more elements than there are."},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", 0,
         "the array cannot be used: a dimension is below 1."},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (65536, 65536), }", 4,
         "its shape needs 17179869184 bytes of data, the file has 4."},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 4,
         "its shape needs 8 bytes of data, the file has 4."},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 12,
         "its shape needs 8 bytes of data, the file has 12."},
        {2, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), ", 8,
         "the header is not one of descr, fortran_order and shape."},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        sy_error error = {0};
        sy_npy npy;
        size_t size;
        unsigned char *file = make(table[i].version, table[i].header, zeros, table[i].data, &size);
        CHECK(!sy_npy_from_memory(file, size, &npy, &error) && !npy.data);
        CHECK_TEXT(error.message, table[i].message);
        free(file);
    }
    sy_npy npy;
    CHECK(!sy_npy_from_memory("\x93NUMPY\x01", 7, &npy, NULL));
    CHECK(!sy_npy_from_memory("\x93NUMPY\x01\0\xff\xff{}", 12, &npy, NULL));
}

static void check_reads(int version, const char *header, const void *data, size_t bytes, const char *type,
                        const double *wanted)
{
    sy_error error = {0};
    sy_npy npy;
    char text[96];
    size_t size;
    unsigned char *file = make(version, header, data, bytes, &size);
    CHECK_SAY(sy_npy_from_memory(file, size, &npy, &error), "%s", error.message);
    CHECK_TEXT(sy_type_text(&npy.type, text), type);
    for (uint64_t i = 0; npy.data && i < sy_type_count(&npy.type); i++)
        CHECK_SAY(npy.data[i] == wanted[i], "element %d is %g", (int)i, npy.data[i]);
    sy_npy_free(&npy);
    free(file);
}

static void test_reads(void)
{
    const double f8[2] = {0.1, -1e300};
    const float f4[2] = {0.5f, -3};
    const uint16_t f2[2] = {0x3800, 0xc200};
    const int64_t i8[2] = {-2147483648LL, 7}, too_large[1] = {1LL << 31};
    const uint32_t u4[2] = {4294967295u, 7};
    check_reads(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }   \n", f8, 16, "f32[2]", f8);
    check_reads(2, "{'shape':(1,2),'fortran_order':False,'descr':\"<f4\"}", f4, 8, "f32[1,2]", (double[]){0.5, -3});
    check_reads(3, "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 1), }", f2, 4, "f16[2,1]",
                (double[]){0.5, -3});
    check_reads(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", i8, 16, "i32[2]",
                (double[]){-2147483648.0, 7});
    check_reads(1, "{'descr': '<u4', 'fortran_order': False, 'shape': (2,), }", u4, 8, "u32[2]",
                (double[]){4294967295.0, 7});
    check_reads(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", f4, 4, "f32[1]", (double[]){0.5});
    sy_npy npy;
    size_t size;
    unsigned char *file = make(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", too_large, 8, &size);
    sy_error error = {0};
    CHECK(!sy_npy_from_memory(file, size, &npy, &error));
    CHECK_TEXT(error.message, "element 0 is 2147483648, which 32 bits cannot hold.");
    free(file);
}

static void test_writes(void)
{
    char path[] = "/tmp/switchyard-test-XXXXXX.npy";
    int fd = mkstemps(path, 4);
    REQUIRE(fd >= 0);
    close(fd);
    for (sy_dtype dtype = 0; dtype < SY_DTYPE_COUNT; dtype++) {
        sy_type type = {.dtype = dtype, .rank = 3, .dim = {2, 1, 3}};
        const double data[6] = {1, 2, 3, 40, 5, 6};
        sy_error error = {0};
        sy_npy npy;
        CHECK_SAY(sy_npy_write(path, &type, data, &error), "%s", error.message);
        CHECK_SAY(sy_npy_read(path, &npy, &error), "%s", error.message);
        CHECK(npy.type.rank == 3 && npy.type.dim[2] == 3 && npy.type.dtype == (dtype == SY_BF16 ? SY_F32 : dtype));
        CHECK(npy.data && !memcmp(npy.data, data, sizeof data));
        sy_npy_free(&npy);
    }
    sy_type type = {.dtype = SY_U32, .rank = 1, .dim = {1}};
    sy_error error = {0};
    CHECK(!sy_npy_write(path, &type, (double[]){-1}, &error) && strstr(error.message, "element 0, -1, is no u32"));
    sy_npy npy;
    CHECK(sy_npy_read(path, &npy, NULL) && sy_type_count(&npy.type) == 6); /* the old file is still whole */
    sy_npy_free(&npy);
    static const char *const raws[] = {"|u1", "<i2", "<u8", "<f2", "<f8"};
    static const uint32_t sizes[] = {1, 2, 8, 2, 8};
    for (size_t i = 0; i < sizeof raws / sizeof *raws; i++) { /* bytes as they are, of any rank */
        static const char bytes[] = "forty-eight bytes, whatever they may stand for: ";
        sy_npy_raw raw = {.element_bytes = sizes[i], .rank = 2, .dim = {48 / sizes[i] / 2, 2}, .count = 48 / sizes[i], .data = bytes}, back;
        sy_error raw_error = {0};
        size_t size;
        memcpy(raw.descr, raws[i], 4);
        CHECK_SAY(sy_npy_write_raw(path, &raw, &raw_error), "%s", raw_error.message);
        char *file = sy_file_load(path, 4096, &size, &raw_error);
        REQUIRE(file && sy_npy_look(file, size, &back, &raw_error));
        CHECK(back.count == raw.count && back.rank == 2 && back.dim[0] == raw.dim[0] && !strcmp(back.descr, raws[i]) && !memcmp(back.data, bytes, 48));
        free(file);
    }
    unlink(path);
    error = (sy_error){0};
    CHECK(!sy_npy_read(path, &npy, &error) && error.code == SY_CODE_NOT_FOUND);
}

int main(void)
{
    test_wrong();
    test_reads();
    test_writes();
    return check_done();
}
