/* Each case is a graph in text form with inputs only; its inputs are numbers made from their index, so every run, on
 * every machine, computes the same. The oracle is the reference evaluator over the very program the device ran. Shapes
 * are odd on purpose: the edges of tiles are where drivers and kernels go wrong. Each case runs a few times and must
 * give the same bytes. Results are kept in a file a device and driver, keyed by the hash of the kernels: new kernels or
 * a new driver are tested anew. */
#include "src/device/self_test.h"

#include "graph/base/file.h"
#include "graph/base/hash.h"
#include "graph/tuning.h"
#include "graph/program.h"
#include "src/run/session.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* f32 everywhere, sums of some hundred terms: what is right is far below, what is wrong far above. */
static const double TOLERANCE = 2e-5;

/* clang-format off */
static const struct {
    const char *name, *graph;
} cases[] = {
    {"map", "graph \"map\" {\n"
            "  %x = input \"x\" : f32[7,61]\n"
            "  %s = input \"s\" : f32[61]\n"
            "  %ids = input \"ids\" : i32[19]\n"
            "  %a = mul(%x, %s)\n"
            "  %b = gelu_tanh(%a)\n"
            "  %c = sin(%x)\n"
            "  %d = exp(%c)\n"
            "  %e = add(%b, %d)\n"
            "  %f = less(%x, %s)\n"
            "  %g = select(%f, %e, %a)\n"
            "  output \"y\" %g\n"
            "  %h = take_rows(%g, %ids)\n"
            "  output \"rows\" %h\n"
            "}\n"},
    {"row", "graph \"row\" {\n"
            "  %x = input \"x\" : f32[33,117]\n"
            "  %scale = input \"s\" : f32[117]\n"
            "  %n = layer_norm(%x) eps=1e-6\n"
            "  %m = mul(%n, %scale)\n"
            "  output \"norm\" %m\n"
            "  %p = softmax(%x)\n"
            "  %k = top_k(%p) k=5\n"
            "  output \"top\" %k\n"
            "  %w = take_last(%p, %k)\n"
            "  output \"best\" %w\n"
            "  %r = rms_norm(%x) eps=1e-6\n"
            "  %t = reduce_sum(%r)\n"
            "  output \"sum\" %t\n"
            "}\n"},
    {"selections and sums", "graph \"selections\" {\n"
                            "  %x = input \"x\" : f32[3,301]\n"
                            "  %ids = input \"ids\" : i32[3,77]\n"
                            "  %s = sort(%x) order=1\n"
                            "  output \"order\" %s\n"
                            "  %a = abs(%x)\n"
                            "  %c = cumsum(%a)\n"
                            "  output \"sums\" %c\n"
                            "  %h = histogram(%ids) targets=9\n"
                            "  output \"counts\" %h\n"
                            "  %e = entmax(%x) alpha=1.5\n"
                            "  output \"sparse\" %e\n"
                            "}\n"},
    {"matmul", "graph \"matmul\" {\n"
               "  %x = input \"x\" : f32[77,99]\n"
               "  %w = input \"w\" : f32[131,99]\n"
               "  %b = input \"b\" : f32[131]\n"
               "  %v = input \"v\" : f32[99,66]\n"
               "  %y = matmul(%x, %w) transpose_b=1\n"
               "  %z = add(%y, %b)\n"
               "  %g = gelu_tanh(%z)\n"
               "  output \"y\" %g\n"
               "  %u = matmul(%x, %v)\n"
               "  output \"u\" %u\n"
               "}\n"},
    {"matmul of one row", "graph \"row_matmul\" {\n"
                          "  %x = input \"x\" : f32[1,203]\n"
                          "  %w = input \"w\" : f32[157,203]\n"
                          "  %y = matmul(%x, %w) transpose_b=1\n"
                          "  output \"y\" %y\n"
                          "}\n"},
    {"short rows", "graph \"short_rows\" {\n"
                   "  %x = input \"x\" : f32[70,13]\n"
                   "  %y = softmax(%x)\n"
                   "  output \"y\" %y\n"
                   "}\n"},
    {"large matmul", "graph \"large\" {\n"
                     "  %x = input \"x\" : f32[261,42]\n"
                     "  %w = input \"w\" : f32[42,268]\n"
                     "  %y = matmul(%x, %w)\n"
                     "  output \"y\" %y\n"
                     "}\n"},
    /* Weights that are known when they are loaded: both matmuls are one kernel. */
    {"gate and up", "graph \"gate_up\" {\n"
                    "  %x = input \"x\" : f32[77,60]\n"
                    "  %i = iota axis=0 : f32[2640]\n"
                    "  %a = const 0.37 : f32[1]\n"
                    "  %b = const 0.73 : f32[1]\n"
                    "  %ai = mul(%i, %a)\n"
                    "  %bi = mul(%i, %b)\n"
                    "  %as = sin(%ai)\n"
                    "  %bs = sin(%bi)\n"
                    "  %gate = reshape(%as) : f32[60,44]\n"
                    "  %up = reshape(%bs) : f32[60,44]\n"
                    "  %g = matmul(%x, %gate)\n"
                    "  %u = matmul(%x, %up)\n"
                    "  %s = silu(%g)\n"
                    "  %y = mul(%s, %u)\n"
                    "  output \"y\" %y\n"
                    "}\n"},
    {"gate and up of experts", "graph \"experts_gate_up\" {\n"
                               "  %x = input \"x\" : f32[70,20]\n"
                               "  %l = input \"l\" : f32[70,4]\n"
                               "  %i = iota axis=0 : f32[1920]\n"
                               "  %a = const 0.41 : f32[1]\n"
                               "  %b = const 0.67 : f32[1]\n"
                               "  %ai = mul(%i, %a)\n"
                               "  %bi = mul(%i, %b)\n"
                               "  %as = sin(%ai)\n"
                               "  %bs = sin(%bi)\n"
                               "  %gate = reshape(%as) : f32[4,20,24]\n"
                               "  %up = reshape(%bs) : f32[4,20,24]\n"
                               "  %p = softmax(%l)\n"
                               "  %r = route.top_k(%p) k=2\n"
                               "  %g = grouped_matmul(%x, %gate, %r) gather=1\n"
                               "  %u = grouped_matmul(%x, %up, %r) gather=1\n"
                               "  %s = silu(%g)\n"
                               "  %h = mul(%s, %u)\n"
                               "  %y = combine(%h, %r) weighted=1\n"
                               "  output \"y\" %y\n"
                               "}\n"},
    {"batched matmul", "graph \"batched\" {\n"
                       "  %x = input \"x\" : f32[3,18,47]\n"
                       "  %w = input \"w\" : f32[3,47,21]\n"
                       "  %y = matmul(%x, %w)\n"
                       "  output \"y\" %y\n"
                       "}\n"},
    {"matmul of 16-bit weights", "graph \"half\" {\n"
                                 "  %x = input \"x\" : f32[45,64]\n"
                                 "  %w = input \"w\" : f16[58,64]\n"
                                 "  %v = input \"v\" : bf16[58,64]\n"
                                 "  %y = matmul(%x, %w) transpose_b=1\n"
                                 "  output \"y\" %y\n"
                                 "  %z = matmul(%x, %v) transpose_b=1\n"
                                 "  output \"z\" %z\n"
                                 "}\n"},
    /* Left arguments are numbers that f16 holds: rounding them changes nothing. */
    {"large matmul of half precision", "graph \"large_half\" {\n"
                                       "  %x = input \"x\" : f32[515,83]\n"
                                       "  %w = input \"w\" : f16[83,518]\n"
                                       "  %b = input \"b\" : f32[518]\n"
                                       "  %y = matmul(%x, %w)\n"
                                       "  %z = add(%y, %b)\n"
                                       "  output \"y\" %z\n"
                                       "}\n"},
    {"gate and up of half precision", "graph \"gate_up_half\" {\n"
                                      "  %x = input \"x\" : f32[77,60]\n"
                                      "  %i = iota axis=0 : f32[2640]\n"
                                      "  %a = const 0.37 : f32[1]\n"
                                      "  %b = const 0.73 : f32[1]\n"
                                      "  %ai = mul(%i, %a)\n"
                                      "  %bi = mul(%i, %b)\n"
                                      "  %as = sin(%ai)\n"
                                      "  %bs = sin(%bi)\n"
                                      "  %ar = reshape(%as) : f32[60,44]\n"
                                      "  %br = reshape(%bs) : f32[60,44]\n"
                                      "  %gate = cast(%ar) : f16[60,44]\n"
                                      "  %up = cast(%br) : f16[60,44]\n"
                                      "  %g = matmul(%x, %gate)\n"
                                      "  %u = matmul(%x, %up)\n"
                                      "  %s = silu(%g)\n"
                                      "  %y = mul(%s, %u)\n"
                                      "  output \"y\" %y\n"
                                      "}\n"},
    {"experts of half precision", "graph \"experts_half\" {\n"
                                  "  %x = input \"x\" : f32[90,46]\n"
                                  "  %l = input \"l\" : f32[90,4]\n"
                                  "  %w = input \"w\" : f16[4,46,150]\n"
                                  "  %p = softmax(%l)\n"
                                  "  %r = route.top_k(%p) k=2\n"
                                  "  %o = grouped_matmul(%x, %w, %r) gather=1\n"
                                  "  %y = combine(%o, %r) weighted=1\n"
                                  "  output \"y\" %y\n"
                                  "}\n"},
    {"attention", "graph \"attention\" {\n"
                  "  %q = input \"q\" : f32[2,3,37,24]\n"
                  "  %k = input \"k\" : f32[2,3,53,24]\n"
                  "  %v = input \"v\" : f32[2,3,53,24]\n"
                  "  %y = attention(%q, %k, %v) scale=0.2\n"
                  "  output \"y\" %y\n"
                  "  %few = input \"few\" : f32[2,3,5,24]\n"
                  "  %z = attention(%few, %k, %v) scale=0.2\n"
                  "  output \"z\" %z\n"
                  "}\n"},
    {"attention: grouped queries, a diagonal, a bias", "graph \"masked\" {\n"
                  "  %q = input \"q\" : f32[1,4,37,24]\n"
                  "  %k = input \"k\" : f32[1,2,37,24]\n"
                  "  %v = input \"v\" : f32[1,2,37,23]\n"
                  "  %b = input \"b\" : f32[4,1,37]\n"
                  "  %y = attention(%q, %k, %v, %b) scale=0.2 causal=1\n"
                  "  output \"y\" %y\n"
                  "  %few = input \"few\" : f32[1,4,12,24]\n"
                  "  %z = attention(%few, %k, %v) scale=0.2\n"
                  "  output \"z\" %z\n"
                  "}\n"},
    {"attention of large heads", "graph \"heads\" {\n"
                  "  %q = input \"q\" : f32[1,2,20,104]\n"
                  "  %k = input \"k\" : f32[1,2,24,104]\n"
                  "  %v = input \"v\" : f32[1,2,24,104]\n"
                  "  %y = attention(%q, %k, %v) scale=0.1\n"
                  "  output \"y\" %y\n"
                  "  %ql = input \"ql\" : f32[1,1,9,200]\n"
                  "  %kl = input \"kl\" : f32[1,1,10,200]\n"
                  "  %vl = input \"vl\" : f32[1,1,10,200]\n"
                  "  %z = attention(%ql, %kl, %vl) scale=0.07\n"
                  "  output \"z\" %z\n"
                  "}\n"},
    {"attention over a route", "graph \"routed\" {\n"
                  "  %q = input \"q\" : f32[1,2,40,16]\n"
                  "  %k = input \"k\" : f32[1,2,52,16]\n"
                  "  %v = input \"v\" : f32[1,2,52,16]\n"
                  "  %l = input \"l\" : f32[6,4]\n"
                  "  %r = route.top_k(%l) k=2\n"
                  "  %y = route_attention(%q, %k, %v, %r) scale=0.25 causal=1 block_rows=16 block_keys=16\n"
                  "  output \"y\" %y\n"
                  "  %m = input \"m\" : f32[3,4]\n"
                  "  %t = route.top_k(%m) k=3\n"
                  "  %z = route_attention(%q, %k, %v, %t) scale=2 block_rows=16 block_keys=16 skip=3\n"
                  "  output \"z\" %z\n"
                  "}\n"},
    {"experts", "graph \"experts\" {\n"
                "  %x = input \"x\" : f32[50,40]\n"
                "  %l = input \"l\" : f32[50,7]\n"
                "  %gate = input \"gate\" : f32[7,24,40]\n"
                "  %up = input \"up\" : f32[7,24,40]\n"
                "  %down = input \"down\" : f32[7,40,24]\n"
                "  %p = softmax(%l)\n"
                "  %r = route.top_k(%p) k=2\n"
                "  %g = grouped_matmul(%x, %gate, %r) transpose_b=1 gather=1\n"
                "  %u = grouped_matmul(%x, %up, %r) transpose_b=1 gather=1\n"
                "  %s = silu(%g)\n"
                "  %h = mul(%s, %u)\n"
                "  %o = grouped_matmul(%h, %down, %r) transpose_b=1\n"
                "  %y = combine(%o, %r) weighted=1\n"
                "  %z = add(%x, %y)\n"
                "  output \"y\" %z\n"
                "  %n = route.load(%r)\n"
                "  output \"load\" %n\n"
                "}\n"},
    {"experts of few rows", "graph \"few\" {\n"
                            "  %x = input \"x\" : f32[11,36]\n"
                            "  %l = input \"l\" : f32[11,9]\n"
                            "  %w = input \"w\" : f32[9,36,28]\n"
                            "  %r = route.top_k(%l) k=3 renormalise=1\n"
                            "  %o = grouped_matmul(%x, %w, %r) gather=1\n"
                            "  %y = combine(%o, %r) weighted=1\n"
                            "  output \"y\" %y\n"
                            "}\n"},
    {"experts, all rows to one, with drops", "graph \"drops\" {\n"
                                             "  %x = input \"x\" : f32[96,16]\n"
                                             "  %l = input \"l\" : f32[96,5]\n"
                                             "  %w = input \"w\" : f32[5,16,16]\n"
                                             "  %bias = const [9, 0, 0, 0, 0] : f32[5]\n"
                                             "  %m = add(%l, %bias)\n"
                                             "  %p = softmax(%m)\n"
                                             "  %r = route.top_k(%p) k=1\n"
                                             "  %c = route.capacity(%r) capacity=20 group_rows=48\n"
                                             "  %o = grouped_matmul(%x, %w, %c) gather=1\n"
                                             "  %y = route.scatter(%o, %c, %x)\n"
                                             "  output \"y\" %y\n"
                                             "}\n"},
    {"convolution", "graph \"conv\" {\n"
                    "  %x = input \"x\" : f32[1,33,36,12]\n"
                    "  %skip = input \"skip\" : f32[1,33,36,8]\n"
                    "  %w = input \"w\" : f32[3,3,20,68]\n"
                    "  %b = input \"b\" : f32[68]\n"
                    "  %j = concat(%x, %skip) axis=3\n"
                    "  %y = conv(%j, %w) pad=[1,1] pad_high=[1,1]\n"
                    "  %z = add(%y, %b)\n"
                    "  %s = silu(%z)\n"
                    "  output \"y\" %s\n"
                    "}\n"},
    {"convolution of few pixels", "graph \"few_pixels\" {\n"
                                  "  %x = input \"x\" : f32[1,5,3,14]\n"
                                  "  %w = input \"w\" : f32[3,2,7,22]\n"
                                  "  %y = conv(%x, %w) stride=[2,1] pad=[1,0] pad_high=[1,0] groups=2\n"
                                  "  output \"y\" %y\n"
                                  "}\n"},
    {"convolution to few channels", "graph \"few_channels\" {\n"
                                    "  %x = input \"x\" : f32[2,11,9,24]\n"
                                    "  %w = input \"w\" : f32[3,3,24,3]\n"
                                    "  %y = conv(%x, %w) pad=[1,2] pad_high=[1,2] dilate=[1,2]\n"
                                    "  output \"y\" %y\n"
                                    "}\n"},
    {"transposed convolution", "graph \"transposed\" {\n"
                               "  %x = input \"x\" : f32[1,3,5,4,10]\n"
                               "  %w = input \"w\" : f32[1,3,3,10,18]\n"
                               "  %y = conv(%x, %w) pad=[0,1,1] pad_high=[0,2,2] up=[1,2,2]\n"
                               "  output \"y\" %y\n"
                               "}\n"},
    {"depthwise convolution", "graph \"depthwise\" {\n"
                              "  %x = input \"x\" : f32[1,9,14,38]\n"
                              "  %w = input \"w\" : f32[3,3,1,38]\n"
                              "  %y = conv(%x, %w) pad=[1,1] pad_high=[1,1] groups=38\n"
                              "  output \"y\" %y\n"
                              "}\n"},
    {"images", "graph \"images\" {\n"
               "  %x = input \"x\" : f32[2,9,7,12]\n"
               "  %p = pool(%x) window=[3,2] stride=[2,1] pad=[1,0] pad_high=[1,1]\n"
               "  %m = pool(%x) window=[3,3] pad=[1,1] pad_high=[1,1] mode=1\n"
               "  %r = resize(%m) : f32[2,5,16,12]\n"
               "  %e = pad(%x) pad=[0,2,3,0] pad_high=[0,1,0,0] mode=2\n"
               "  output \"pool\" %p\n"
               "  output \"resize\" %r\n"
               "  output \"pad\" %e\n"
               "}\n"},
    {"statistics of channels", "graph \"channels\" {\n"
                               "  %x = input \"x\" : f32[2,45,20]\n"
                               "  %t = transpose(%x) ints=[0,2,1]\n"
                               "  %m = reduce_mean(%t)\n"
                               "  %d = sub(%t, %m)\n"
                               "  %q = mul(%d, %d)\n"
                               "  %v = reduce_mean(%q)\n"
                               "  %f = rsqrt(%v)\n"
                               "  output \"mean\" %m\n"
                               "  output \"factor\" %f\n"
                               "}\n"},
    {"random numbers", "graph \"random\" {\n"
                       "  %seeds = input \"seeds\" : u32[3]\n"
                       "  %z = random_normal(%seeds) stream=2 : f32[3,1001]\n"
                       "  output \"z\" %z\n"
                       "}\n"},
};

/* clang-format on */

const char *sy_self_test_graph(uint32_t index, const char **name)
{
    if (index >= sizeof cases / sizeof *cases)
        return NULL;
    *name = cases[index].name;
    return cases[index].graph;
}

/* ---- inputs ---- */

static uint32_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

/* Floats in -1…1 in steps that every stored type holds exactly; integers small enough to be row numbers. */
static void fill(void *data, const sy_type *type, uint32_t seed)
{
    uint64_t n = sy_type_count(type);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits = mix((uint64_t)seed << 40 | i), bits32;
        float x = (float)(int32_t)(bits >> 25) / 64 - 1; /* 7 bits: fits bf16 */
        memcpy(&bits32, &x, 4);
        if (type->dtype == SY_F32) {
            ((float *)data)[i] = x;
        } else if (type->dtype == SY_BF16) {
            ((uint16_t *)data)[i] = (uint16_t)(bits32 >> 16);
        } else if (type->dtype == SY_F16) {
            /* Exact, and no subnormals: |x| is 0 or at least 1/64. */
            uint32_t half =
                x == 0 ? 0 : (bits32 >> 16 & 0x8000) | ((bits32 >> 23 & 0xff) - 112) << 10 | (bits32 >> 13 & 0x3ff);
            ((uint16_t *)data)[i] = (uint16_t)half;
        } else {
            ((uint32_t *)data)[i] = bits % 7;
        }
    }
}

static bool write_inputs(sy_session *session, const sy_program *program, sy_error *error)
{
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        uint64_t bytes = sy_type_bytes(&program->inputs[i].type);
        void *data = calloc(1, bytes);
        if (!data)
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory for the self-test.");
        fill(data, &program->inputs[i].type, i + 1);
        bool ok = sy_session_write(session, program->inputs[i].name, data, bytes, error);
        free(data);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- one case ---- */

/* Integers must be equal; floats close in the L2 norm, and finite. */
static bool compare(const sy_session_result *got, const sy_session_result *wanted, sy_self_test_case *test)
{
    uint64_t n = sy_type_count(&wanted->type);
    double difference = 0, size = 0;
    if (wanted->type.dtype != SY_F32) {
        if (!memcmp(got->data, wanted->data, wanted->bytes))
            return true;
        snprintf(test->message, sizeof test->message, "Output \"%s\" (whole numbers) is not what it should be.",
                 wanted->name);
        return false;
    }
    const float *a = got->data, *b = wanted->data;
    for (uint64_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    double error = sqrt(difference / (size > 0 ? size : 1));
    if (!(error <= test->error)) /* true for NaN as well */
        test->error = error;
    if (error <= TOLERANCE)
        return true;
    snprintf(test->message, sizeof test->message, "Output \"%s\" is off by %.2g of its size; %.2g is allowed.",
             wanted->name, error, TOLERANCE);
    return false;
}

static bool run(sy_vk_device *device, const sy_program *program, sy_session **session, const char *cache,
                sy_error *error)
{
    sy_session_params params = {.device = device, .step = program, .cache_directory = cache};
    *session = sy_session_create(&params, error);
    return *session && write_inputs(*session, program, error) && sy_session_run(*session, NULL, NULL, error);
}

/* The bytes of all outputs, one after another; free them. */
static unsigned char *copy_outputs(const sy_session *session, const sy_program *program, size_t *size, sy_error *error)
{
    sy_session_result result;
    unsigned char *bytes = NULL;
    *size = 0;
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        if (!sy_session_read(session, program->outputs[i].name, &result, error)) {
            free(bytes);
            return NULL;
        }
        unsigned char *more = realloc(bytes, *size + result.bytes);
        if (!more) {
            sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory for the self-test.");
            free(bytes);
            return NULL;
        }
        bytes = more;
        memcpy(bytes + *size, result.data, result.bytes);
        *size += result.bytes;
    }
    return bytes;
}

/* The same inputs give the same bytes, whatever ran before and in whatever order the device did its work. */
static bool repeat(sy_session *session, const sy_program *program, sy_self_test_case *test, sy_error *error)
{
    enum { TIMES = 4 };
    size_t size = 0, again = 0;
    unsigned char *first = copy_outputs(session, program, &size, error);
    bool ok = first != NULL;
    for (int i = 0; i < TIMES && ok; i++) {
        ok = sy_session_run(session, NULL, NULL, error);
        unsigned char *bytes = ok ? copy_outputs(session, program, &again, error) : NULL;
        ok = bytes != NULL;
        if (ok && (again != size || memcmp(first, bytes, size))) {
            snprintf(test->message, sizeof test->message, "Two runs with the same inputs gave different results.");
            ok = false;
        }
        free(bytes);
    }
    free(first);
    return ok;
}

static void run_case(sy_vk_device *device, const sy_program *program, const char *cache, sy_self_test_case *test)
{
    sy_error error = {0};
    sy_session *here = NULL, *reference = NULL;
    sy_session_result got, wanted;
    bool ok = run(device, program, &here, cache, &error) && run(NULL, program, &reference, NULL, &error);
    for (uint32_t i = 0; ok && i < program->n_outputs; i++)
        ok = sy_session_read(here, program->outputs[i].name, &got, &error) &&
             sy_session_read(reference, program->outputs[i].name, &wanted, &error) && compare(&got, &wanted, test);
    test->passed = ok && repeat(here, program, test, &error);
    if (error.code != SY_CODE_OK)
        snprintf(test->message, sizeof test->message, "%.299s", error.message);
    sy_session_destroy(&here);
    sy_session_destroy(&reference);
}

static void describe(const sy_program *program, sy_self_test_case *test)
{
    uint64_t seed = 0;
    sy_hash hash = {0, 0};
    for (uint32_t i = 0; i < program->n_kernels; i++) {
        const sy_kernel *k = &program->kernels[i];
        size_t used = strlen(test->kernels);
        hash = sy_hash_bytes(k->spirv, (size_t)k->n_spirv * 4, seed);
        seed = hash.lo ^ hash.hi;
        if (!strstr(test->kernels, k->name))
            snprintf(test->kernels + used, sizeof test->kernels - used, "%s%s", used ? " " : "", k->name);
    }
    sy_hash_text(hash, test->hash);
}

static sy_program *compile(const sy_vk_device *device, const char *text, const sy_self_test_params *wishes,
                           sy_error *error)
{
    sy_graph *graph = sy_graph_parse(text, strlen(text), error);
    if (!graph)
        return NULL;
    sy_tuning tuning = {.only = wishes->variant};
    sy_compile_params params = {
        .limits = &device->plan->limits, .tuning = &tuning, .half = true, .cache_directory = wishes->cache_directory};
    sy_program *program = sy_compile(graph, &params, error);
    sy_graph_destroy(&graph);
    return program;
}

/* ---- stored results ---- */

static bool result_path(const sy_vk_device *device, const char *cache, char *path, size_t room)
{
    char key[900], hash[33];
    const sy_device_snapshot *s = device->snapshot;
    if (!cache)
        return false;
    snprintf(key, sizeof key, "%s/%x/%x/%s/%s/%x/%s", s->name, s->vendor_id, s->device_id, s->driver_name,
             s->driver_info, s->driver_version, s->cache_uuid);
    sy_hash_text(sy_hash_bytes(key, strlen(key), 0), hash);
    int n = snprintf(path, room, "%s/self-test-%s.json", cache, hash);
    return n > 0 && (size_t)n < room;
}

/* NULL when there is nothing usable: the tests are run then. */
static cJSON *load_results(const char *path)
{
    size_t size = 0;
    char *text = path ? sy_file_load(path, 1 << 20, &size, NULL) : NULL;
    cJSON *json = text ? cJSON_ParseWithLength(text, size) : NULL;
    free(text);
    if (!cJSON_IsObject(json)) {
        cJSON_Delete(json);
        json = cJSON_CreateObject();
    }
    return json;
}

/* True when the stored result is of the same kernels; *known says whether there was one at all. */
static bool take_stored(const cJSON *results, const char *key, sy_self_test_case *test, bool *known, bool *passed)
{
    const cJSON *row = cJSON_GetObjectItemCaseSensitive(results, key);
    const cJSON *hash = cJSON_GetObjectItemCaseSensitive(row, "kernels");
    const cJSON *ok = cJSON_GetObjectItemCaseSensitive(row, "passed"),
                *error = cJSON_GetObjectItemCaseSensitive(row, "error");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(row, "message");
    *known = cJSON_IsBool(ok);
    *passed = cJSON_IsTrue(ok);
    if (!*known || !cJSON_IsString(hash) || strcmp(hash->valuestring, test->hash) || !cJSON_IsNumber(error))
        return false;
    test->passed = *passed;
    test->error = error->valuedouble;
    if (cJSON_IsString(message))
        snprintf(test->message, sizeof test->message, "%.299s", message->valuestring);
    return true;
}

/* A result that cannot be kept is worked out again next time: no error. */
static void store(cJSON *results, const char *key, const sy_self_test_case *test)
{
    cJSON *row = cJSON_CreateObject();
    if (!row)
        return;
    cJSON_AddStringToObject(row, "kernels", test->hash);
    cJSON_AddBoolToObject(row, "passed", test->passed);
    cJSON_AddNumberToObject(row, "error", isfinite(test->error) ? test->error : 1e9);
    cJSON_AddStringToObject(row, "message", test->message);
    cJSON_DeleteItemFromObjectCaseSensitive(results, key);
    cJSON_AddItemToObject(results, key, row);
}

static void save_results(const char *directory, const char *path, const cJSON *results)
{
    char *text = cJSON_Print(results);
    mkdir(directory, 0777); /* the first to use the cache makes it */
    sy_new_file *file = text ? sy_file_begin(path, NULL) : NULL;
    if (file) {
        sy_file_put(file, text, strlen(text));
        sy_file_end(&file, true, NULL);
    }
    cJSON_free(text);
}

static bool has_kernel(const sy_program *program, const char *variant)
{
    for (uint32_t i = 0; i < program->n_kernels; i++)
        if (!strcmp(program->kernels[i].name, variant))
            return true;
    return false;
}

/* False: the case has nothing for the variant that is asked about. */
static bool test_one(sy_vk_device *device, const sy_self_test_params *params, cJSON *results, const char *graph,
                     sy_self_test_case *test)
{
    sy_error error = {0};
    char key[128];
    bool known = false, before = false;
    sy_program *program = compile(device, graph, params, &error);
    snprintf(key, sizeof key, "%s%s%s", test->name, params->variant ? ", " : "", params->variant ? params->variant : "");
    if (!program) {
        snprintf(test->message, sizeof test->message, "It does not compile: %.270s", error.message);
        return true;
    }
    if (params->variant && !has_kernel(program, params->variant)) {
        sy_program_destroy(&program);
        return false;
    }
    describe(program, test);
    bool stored = take_stored(results, key, test, &known, &before);
    if (stored && test->passed && !params->again) { /* a failure is looked at again: it may have been something else */
        test->reused = true;
    } else {
        test->message[0] = '\0';
        test->error = 0;
        run_case(device, program, params->cache_directory, test);
        test->changed = known && before != test->passed;
        store(results, key, test);
    }
    sy_program_destroy(&program);
    return true;
}

bool sy_self_test(sy_vk_device *device, const sy_self_test_params *params, sy_self_test_report *report, sy_error *error)
{
    static const sy_self_test_params defaults;
    char path[1200];
    _Static_assert(sizeof cases / sizeof *cases <= SY_SELF_TEST_CASES, "room in the report");
    if (!params)
        params = &defaults;
    *report = (sy_self_test_report){0};
    bool keep = result_path(device, params->cache_directory, path, sizeof path);
    cJSON *results = load_results(keep ? path : NULL);
    if (!results)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory for the self-test.");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sy_self_test_case *test = &report->cases[report->n_cases];
        *test = (sy_self_test_case){.name = cases[i].name};
        if (!test_one(device, params, results, cases[i].graph, test))
            continue;
        report->n_cases++;
        report->n_failed += !test->passed;
        if (params->done)
            params->done(params->context, test);
    }
    if (keep)
        save_results(params->cache_directory, path, results);
    cJSON_Delete(results);
    return true;
}
