/* Numbers that the specifications of the networks give: time features, positions, gates; and prompts. */
#include "graph/ops/eval.h"
#include "graph/zoo/dit_shell.h"
#include "graph/import/safetensors.h"
#include "tests/check.h"

#include <math.h>

static bool read_time(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    (void)leaf;
    (void)error;
    memcpy(out, context, 3 * sizeof *out);
    return true;
}

static void check_near(double got, double wanted, double tolerance, const char *what)
{
    CHECK_SAY(fabs(got - wanted) <= tolerance, "%s: got %.9f, wanted %.9f", what, got, wanted);
}

static void check_time_features(void)
{
    double times[3] = {999, 0.62, 0};
    sy_error error = {0};
    sy_eval eval = {0};
    sy_graph *g = sy_graph_create("time");
    REQUIRE(g);
    sy_value f = sy_dit_time_features(g, sy_input(g, "t", SY_T(SY_F32, 3)), 256);
    sy_output(g, "features", f);
    REQUIRE(sy_graph_check(g, &error) && sy_eval_init(&eval, g, &error));
    eval.read = read_time;
    eval.context = times;
    REQUIRE(sy_eval_value(&eval, f, &error));
    const double *x = eval.tensor[f];
    static const double cosines[] = {0.99965, 0.96378, -0.39899}, sines[] = {-0.02646, -0.26669, -0.91695};
    for (int i = 0; i < 3; i++) {
        check_near(x[i], cosines[i], 5e-6, "cosine at 999");
        check_near(x[128 + i], sines[i], 5e-6, "sine at 999");
    }
    check_near(x[127], 0.994243, 5e-7, "last cosine at 999");
    check_near(x[255], 0.107147, 5e-7, "last sine at 999");
    for (int row = 0; row < 3; row++)
        for (int i = 0; i < 128; i++) {
            double angle = times[row] * pow(10000, -i / 128.0);
            check_near(x[row * 256 + i], cos(angle), 1e-12, "cosine");
            check_near(x[row * 256 + 128 + i], sin(angle), 1e-12, "sine");
        }
    sy_eval_free(&eval);
    sy_graph_destroy(&g);
}

static void check_positions(void)
{
    enum { GRID = 16, WIDTH = 1152 };
    sy_error error = {0};
    sy_eval eval = {0};
    sy_graph *g = sy_graph_create("positions");
    REQUIRE(g);
    sy_value p = sy_dit_positions(g, GRID, WIDTH);
    sy_output(g, "positions", p);
    REQUIRE(sy_graph_check(g, &error) && sy_eval_init(&eval, g, &error));
    CHECK(g->nodes[p].load_time);
    REQUIRE(sy_eval_value(&eval, p, &error));
    const double *x = eval.tensor[p], *row0_col3 = x + 3 * WIDTH, *row2_col5 = x + (2 * GRID + 5) * WIDTH;
    check_near(row0_col3[0], 0.14112, 5e-6, "sine of the column");
    check_near(row0_col3[288], -0.98999, 5e-6, "cosine of the column");
    check_near(row0_col3[576], 0, 1e-15, "sine of the row");
    check_near(row0_col3[864], 1, 1e-15, "cosine of the row");
    check_near(row2_col5[1], sin(5 * pow(10000, -1 / 288.0)), 1e-12, "sine of column 5");
    check_near(row2_col5[577], sin(2 * pow(10000, -1 / 288.0)), 1e-12, "sine of row 2");
    sy_eval_free(&eval);
    sy_graph_destroy(&g);
}

/* A file of metadata alone. */
static sy_safetensors *file_with(const char *metadata, char bytes[512])
{
    sy_error error = {0};
    int n = snprintf(bytes + 8, 504, "{\"__metadata__\":{%s}}", metadata);
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)((uint64_t)n >> (8 * i) & 255);
    sy_safetensors *file = sy_safetensors_from_memory(bytes, (size_t)n + 8, SY_SAFETENSORS_HEADER_ONLY, &error);
    CHECK_SAY(file, "%s", error.message);
    REQUIRE(file);
    return file;
}

static void check_prompts(void)
{
    char bytes[512], unknown[64];
    sy_error error = {0};
    int32_t ids[4];
    float weights[4];
    sy_safetensors *file = file_with(
        "\"switchyard.vocabulary\":\"[\\\"cat\\\",\\\"face\\\",\\\"piñata\\\",\\\"s\\\",\\\"woman\\\"]\"", bytes);
    sy_vocabulary *v = sy_vocabulary_from_file(file, &error);
    CHECK_SAY(v, "%s", error.message);
    REQUIRE(v);
    CHECK(sy_vocabulary_count(v) == 5);
    CHECK_TEXT(sy_vocabulary_word(v, 1), "face");
    CHECK(!sy_vocabulary_word(v, 5) && !sy_vocabulary_word(v, -1));

    CHECK(sy_vocabulary_prompt(v, "Cat-FACE, cat!", ids, weights, 4, unknown) == 3);
    CHECK(ids[0] == 0 && ids[1] == 1 && ids[2] == 0 && ids[3] == -1);
    CHECK(weights[0] == 1.0f / 3 && weights[2] == 1.0f / 3 && weights[3] == 0 && !*unknown);

    CHECK(sy_vocabulary_prompt(v, "a PIÑATA \xf0\x9f\x98\x80 woman\xe2\x80\x99s", ids, weights, 4, unknown) == 3);
    CHECK(ids[0] == 2 && ids[1] == 4 && ids[2] == 3);
    CHECK_TEXT(unknown, "a");

    for (int i = 0; i < 3; i++) { /* nothing that is known: the null row alone */
        CHECK(sy_vocabulary_prompt(v, ((const char *[]){NULL, " \xff\xc3 ", "dog"})[i], ids, weights, 4, NULL) == 0);
        CHECK(ids[0] == 5 && weights[0] == 1 && ids[1] == -1 && weights[1] == 0);
    }
    CHECK(sy_vocabulary_prompt(v, "cat cat cat cat cat", ids, weights, 2, NULL) == 2);
    sy_vocabulary_destroy(&v);
    CHECK(!v);
    sy_safetensors_close(&file);

    static const char *const broken[] = {"\"switchyard.vocabulary\":\"[1,2]\"", "\"switchyard.vocabulary\":\"[\"",
                                         "\"switchyard.vocabulary\":\"{}\"",
                                         "\"switchyard.vocabulary\":\"[\\\"\\\"]\""};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        error = (sy_error){0};
        file = file_with(broken[i], bytes);
        CHECK(!sy_vocabulary_from_file(file, &error) && error.code == SY_CODE_INVALID_FILE);
        sy_safetensors_close(&file);
    }
    error = (sy_error){0};
    file = file_with("", bytes);
    CHECK(!sy_vocabulary_from_file(file, &error) && error.code == SY_CODE_OK);
    sy_safetensors_close(&file);
}

int main(void)
{
    check_time_features();
    check_positions();
    check_prompts();
    return check_done();
}
