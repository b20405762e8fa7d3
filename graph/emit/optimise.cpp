/* The one place that needs C++. No exception leaves it. */
#include "graph/emit/optimise.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <spirv-tools/optimizer.hpp>
#include <vector>

extern "C" bool sy_optimise_spirv(const uint32_t *words, size_t n_words, uint32_t **out, size_t *n_out)
{
    try {
        spvtools::Optimizer optimizer(SPV_ENV_VULKAN_1_2);
        optimizer.SetMessageConsumer([](spv_message_level_t, const char *, const spv_position_t &, const char *) {});
        optimizer.RegisterPerformancePasses();
        spvtools::OptimizerOptions options;
        options.set_run_validator(false); /* the emitter validates the result */
        std::vector<uint32_t> result;
        if (!optimizer.Run(words, n_words, &result, options) || result.empty())
            return false;
        *out = static_cast<uint32_t *>(std::malloc(result.size() * sizeof(uint32_t)));
        if (!*out)
            return false;
        std::memcpy(*out, result.data(), result.size() * sizeof(uint32_t));
        *n_out = result.size();
        return true;
    } catch (const std::exception &) {
        return false;
    }
}
