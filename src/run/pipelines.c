/* Pipelines: one a kernel. Drivers take from a millisecond to seconds for each, so they are made by several threads;
 * each has a stack of its own size, for the compilers in some drivers need more than a thread gets by default. */
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

/* What the threads share: each takes the next kernel until there is none, or one has failed. */
typedef struct job {
    sy_device_session *d;
    const sy_pipelines *p;
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
        if (i >= j->p->n || atomic_load(&j->failed))
            return NULL;
        bool in_parts = j->p->in_parts && j->p->in_parts[i];
        if (pipeline_of(j->d, &j->p->kernels[i], in_parts, j->p->layouts[i], &j->p->pipelines[i], &error))
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
    wanted = wanted > j->p->n ? j->p->n : wanted;
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

bool sy_pipelines_make(sy_device_session *d, const sy_pipelines *p, sy_error *error)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (!layouts_of(d, &p->kernels[i], &p->set_layouts[i], &p->layouts[i], error))
            return false;
    job j = {.d = d, .p = p, .lock = PTHREAD_MUTEX_INITIALIZER, .error = error};
    work_together(&j);
    d->session->stats.pipelines += p->n;
    return !atomic_load(&j.failed);
}
