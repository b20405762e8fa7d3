/* Pipelines: one a kernel, unless the session's store has it. Drivers take from a millisecond to seconds for each, so
 * they are made by several threads; each has a stack of its own size, for the compilers in some drivers need more than a
 * thread gets by default. */
#include "src/run/device_session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MOST_THREADS = 8, STACK_BYTES = 16 << 20 };

static bool layouts_of(sy_device_session *d, const sy_kernel *k, VkDescriptorSetLayout *set, VkPipelineLayout *layout,
                       sy_error *error)
{
    sy_vk_device *v = d->device;
    VkDescriptorSetLayoutBinding bindings[32];
    if (k->n_bindings > 32)
        return sy_fail(error, SY_CODE_INTERNAL, "kernel %s has %u bindings", k->name, k->n_bindings);
    for (uint32_t i = 0; i < k->n_bindings; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                     .descriptorType = k->texel_bindings >> i & 1
                                                                           ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                                                           : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                     .descriptorCount = 1,
                                                     .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set_info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                                .bindingCount = k->n_bindings,
                                                .pBindings = bindings};
    if (!sy_vk_check(v->vk.vkCreateDescriptorSetLayout(v->handle, &set_info, NULL, set), error, k->name))
        return false;
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = 4 * k->push_words};
    VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount = 1,
                                       .pSetLayouts = set,
                                       .pushConstantRangeCount = k->push_words ? 1 : 0,
                                       .pPushConstantRanges = &push};
    return sy_vk_check(v->vk.vkCreatePipelineLayout(v->handle, &info, NULL, layout), error, k->name);
}

static bool pipeline_of(sy_device_session *d, const sy_kernel *k, bool in_parts, VkPipelineLayout layout,
                        VkPipeline *pipeline, sy_error *error)
{
    sy_vk_device *v = d->device;
    VkShaderModule module;
    VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = 4 * (size_t)k->n_spirv, .pCode = k->spirv};
    if (!sy_vk_check(v->vk.vkCreateShaderModule(v->handle, &code, NULL, &module), error, k->name))
        return false;
    VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                        .flags = in_parts ? VK_PIPELINE_CREATE_DISPATCH_BASE : 0,
                                        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                  .flags = k->full_subgroups ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT : 0,
                                                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                  .module = module,
                                                  .pName = "main"},
                                        .layout = layout};
    bool ok = sy_vk_check(v->vk.vkCreateComputePipelines(v->handle, d->cache.handle, 1, &info, NULL, pipeline), error,
                          k->name);
    v->vk.vkDestroyShaderModule(v->handle, module, NULL);
    if (!ok)
        return sy_fail_context(error, "compiling kernel %s", k->name);
    sy_vk_name(v, VK_OBJECT_TYPE_PIPELINE, (uint64_t)*pipeline, k->name);
    return true;
}

/* A kernel that has to be made. */
typedef struct fresh {
    const sy_kernel *kernel;
    bool in_parts;
    sy_stored_kernel *stored;
} fresh;

/* What the threads share: each takes the next kernel until there is none, or one has failed. */
typedef struct job {
    sy_device_session *d;
    fresh *list;
    uint32_t n;
    atomic_uint next;
    atomic_bool failed;
    pthread_mutex_t lock;
    sy_error *error;
} job;

static void *work(void *context)
{
    job *j = context;
    for (;;) {
        uint32_t i = atomic_fetch_add(&j->next, 1);
        sy_error error = {0};
        if (i >= j->n || atomic_load(&j->failed))
            return NULL;
        const fresh *f = &j->list[i];
        if (pipeline_of(j->d, f->kernel, f->in_parts, f->stored->layout, &f->stored->pipeline, &error))
            continue;
        pthread_mutex_lock(&j->lock);
        if (!atomic_exchange(&j->failed, true) && j->error)
            *j->error = error;
        pthread_mutex_unlock(&j->lock);
        return NULL;
    }
}

static void work_together(job *j)
{
    pthread_t threads[MOST_THREADS];
    pthread_attr_t attributes;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t wanted = processors < 1 ? 1 : processors > MOST_THREADS ? MOST_THREADS : (uint32_t)processors, n = 0;
    wanted = wanted > j->n ? j->n : wanted;
    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        while (n < wanted && pthread_create(&threads[n], &attributes, work, j) == 0)
            n++;
        pthread_attr_destroy(&attributes);
    }
    if (n == 0) /* no thread to be had: here, then */
        work(j);
    for (uint32_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* All that makes a pipeline what it is. */
static sy_hash key_of(const sy_kernel *k, bool in_parts)
{
    sy_hash code = sy_hash_bytes(k->spirv, 4 * (size_t)k->n_spirv, 0);
    uint64_t words[] = {code.lo, code.hi, k->n_bindings, k->push_words, k->texel_bindings, in_parts};
    return sy_hash_bytes(words, sizeof words, 1);
}

/* One user more; the session lets go of it at its end. */
static sy_stored_kernel *use(sy_device_session *d, sy_hash key, bool *is_fresh)
{
    sy_kernel_use *u = sy_arena_alloc(&d->session->arena, sizeof *u);
    sy_stored_kernel *k = u ? sy_store_kernel(d->store, key, is_fresh) : NULL;
    if (k) {
        *u = (sy_kernel_use){k, d->kernels};
        d->kernels = u;
    }
    return k;
}

bool sy_pipelines_make(sy_device_session *d, const sy_pipelines *p, sy_error *error)
{
    job j = {.d = d, .lock = PTHREAD_MUTEX_INITIALIZER, .error = error};
    sy_stored_kernel **stored = sy_arena_array(&d->session->arena, (size_t)p->n + 1, sizeof(sy_stored_kernel *));
    j.list = sy_arena_array(&d->session->arena, (size_t)p->n + 1, sizeof *j.list);
    if (!stored || !j.list)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for pipelines");
    for (uint32_t i = 0; i < p->n; i++) {
        bool is_fresh, in_parts = p->in_parts && p->in_parts[i];
        sy_stored_kernel *k = stored[i] = use(d, key_of(&p->kernels[i], in_parts), &is_fresh);
        if (!k)
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for pipelines");
        if (is_fresh) {
            if (!layouts_of(d, &p->kernels[i], &k->set_layout, &k->layout, error))
                return false;
            j.list[j.n++] = (fresh){&p->kernels[i], in_parts, k};
        }
    }
    work_together(&j);
    for (uint32_t i = 0; i < p->n; i++) {
        p->set_layouts[i] = stored[i]->set_layout;
        p->layouts[i] = stored[i]->layout;
        p->pipelines[i] = stored[i]->pipeline;
    }
    d->session->stats.pipelines += j.n;
    return !atomic_load(&j.failed);
}
