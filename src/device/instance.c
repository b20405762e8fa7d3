/* The Vulkan instance: loader, validation, and a look at every device. The loader library is loaded once a process, and
 * volk keeps its entry points in globals: each is written once, under the lock that every instance takes before it
 * reads them. They are the loader's own, the same for all drivers; everything else belongs to the instance. */
#include "src/device/device.h"
#include "src/device/snapshot_read.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t loader_lock = PTHREAD_MUTEX_INITIALIZER;

static bool load(void)
{
    pthread_mutex_lock(&loader_lock);
    bool ok = vkCreateInstance || (volkInitialize() == VK_SUCCESS && vkCreateInstance);
    pthread_mutex_unlock(&loader_lock);
    return ok;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL receive(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                              VkDebugUtilsMessageTypeFlagsEXT types,
                                              const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    sy_vk_instance *instance = user;
    sy_severity level = severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT     ? SY_SEVERITY_ERROR
                        : severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT ? SY_SEVERITY_WARNING
                                                                                     : SY_SEVERITY_INFO;
    (void)types;
    if (level != SY_SEVERITY_INFO)
        instance->messages++;
    if (instance->params.message)
        instance->params.message(instance->params.user, level, data->pMessage ? data->pMessage : "");
    return VK_FALSE; /* the call goes on as it would without the layer */
}

static bool has_layer(const char *name)
{
    uint32_t n = 0;
    bool found = false;
    if (vkEnumerateInstanceLayerProperties(&n, NULL) != VK_SUCCESS || !n)
        return false;
    VkLayerProperties *list = calloc(n, sizeof *list);
    if (list && vkEnumerateInstanceLayerProperties(&n, list) >= 0)
        for (uint32_t i = 0; i < n && !found; i++)
            found = !strcmp(list[i].layerName, name);
    free(list);
    return found;
}

static bool has_instance_extension(const char *layer, const char *name)
{
    uint32_t n = 0;
    bool found = false;
    if (vkEnumerateInstanceExtensionProperties(layer, &n, NULL) != VK_SUCCESS || !n)
        return false;
    VkExtensionProperties *list = calloc(n, sizeof *list);
    if (list && vkEnumerateInstanceExtensionProperties(layer, &n, list) >= 0)
        for (uint32_t i = 0; i < n && !found; i++)
            found = !strcmp(list[i].extensionName, name);
    free(list);
    return found;
}

static bool wants_validation(const sy_vk_instance_params *params)
{
    const char *text = getenv("SWITCHYARD_VALIDATION");
    return (params && params->validation) || (text && *text && strcmp(text, "0") != 0);
}

/* Only what validation finds: the loader's own remarks on other drivers' files are doctor's business. */
static VkDebugUtilsMessengerCreateInfoEXT messenger_info(sy_vk_instance *instance)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = receive,
        .pUserData = instance,
    };
}

static bool load_functions(sy_vk_instance *instance, sy_error *error)
{
    sy_vk_instance_functions *vk = &instance->vk;
#define X(name)                                                                                                        \
    vk->name = (PFN_##name)vkGetInstanceProcAddr(instance->handle, #name);                                             \
    if (!vk->name)                                                                                                     \
        return sy_fail(error, SY_CODE_DEVICE, "The Vulkan loader has no %s.", #name);
    SY_VK_INSTANCE_FUNCTIONS(X)
#undef X
#define X(name) vk->name = (PFN_##name)vkGetInstanceProcAddr(instance->handle, #name);
    SY_VK_INSTANCE_OPTIONAL_FUNCTIONS(X)
#undef X
    pthread_mutex_lock(&loader_lock);
    if (!vkGetDeviceProcAddr) /* volk fills its device tables through this one */
        vkGetDeviceProcAddr = vk->vkGetDeviceProcAddr;
    pthread_mutex_unlock(&loader_lock);
    return true;
}

/* The extensions wished for that there are; room for as many and some more in *all, which is to be freed. */
static bool list_extensions(sy_vk_instance *instance, const char ***all, uint32_t *n, sy_error *error)
{
    enum { OURS = 3 };
    uint32_t wished = instance->params.n_instance_extensions;
    *all = calloc((size_t)wished + OURS, sizeof **all);
    instance->extensions = calloc((size_t)wished + 1, sizeof *instance->extensions);
    if (!*all || !instance->extensions) {
        free(*all);
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory starting Vulkan.");
    }
    for (uint32_t i = 0; i < wished; i++) {
        const char *name = instance->params.instance_extensions[i];
        bool known = !has_instance_extension(NULL, name);
        for (uint32_t k = 0; k < instance->n_extensions && !known; k++)
            known = !strcmp(instance->extensions[k], name);
        if (known)
            continue;
        instance->extensions[instance->n_extensions++] = name;
        if (strcmp(name, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) != 0 &&
            strcmp(name, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME) != 0) /* these two are enabled anyway */
            (*all)[(*n)++] = name;
    }
    return true;
}

static bool create_handle(sy_vk_instance *instance, sy_error *error)
{
    static const char validation_layer[] = "VK_LAYER_KHRONOS_validation";
    const char *layers[1], **extensions;
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(instance);
    VkValidationFeatureEnableEXT enables[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = enables,
    };
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "switchyard",
        .pEngineName = "switchyard",
        .apiVersion = VK_API_VERSION_1_2,
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
        .ppEnabledLayerNames = layers,
    };
    if (volkGetInstanceVersion() < VK_API_VERSION_1_1)
        application.apiVersion =
            VK_API_VERSION_1_0; /* such a loader refuses anything else; its devices are refused by the plan */
    if (instance->validated && !has_layer(validation_layer))
        return sy_fail(error, SY_CODE_UNAVAILABLE,
                       "Validation was asked for, but %s is not installed (Debian: vulkan-validationlayers).",
                       validation_layer);
    if (!list_extensions(instance, &extensions, &info.enabledExtensionCount, error))
        return false;
    info.ppEnabledExtensionNames = extensions;
    if (instance->validated) {
        layers[info.enabledLayerCount++] = validation_layer;
        if (has_instance_extension(validation_layer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME)) {
            extensions[info.enabledExtensionCount++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
            features.pNext = info.pNext;
            info.pNext = &features;
        }
    }
    instance->labels =
        has_instance_extension(NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) ||
        (instance->validated && has_instance_extension(validation_layer, VK_EXT_DEBUG_UTILS_EXTENSION_NAME));
    if (instance->labels) {
        extensions[info.enabledExtensionCount++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        if (instance->validated) { /* chained: covers creation and destruction of the instance itself */
            messenger.pNext = info.pNext;
            info.pNext = &messenger;
        }
    }
    if (has_instance_extension(NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        extensions[info.enabledExtensionCount++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    VkResult result = vkCreateInstance(&info, NULL, &instance->handle);
    free(extensions);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) { /* no driver at all */
        instance->handle = VK_NULL_HANDLE;
        return true;
    }
    return sy_vk_check(result, error, "starting Vulkan");
}

static bool create_messenger(sy_vk_instance *instance, sy_error *error)
{
    VkDebugUtilsMessengerCreateInfoEXT info = messenger_info(instance);
    if (!instance->validated || !instance->vk.vkCreateDebugUtilsMessengerEXT)
        return true;
    return sy_vk_check(instance->vk.vkCreateDebugUtilsMessengerEXT(instance->handle, &info, NULL, &instance->messenger),
                       error, "listening to validation");
}

/* Usable before refused; then what is likely faster; then more memory. */
static bool better(const sy_vk_physical *a, const sy_vk_physical *b)
{
    static const int by_type[] = {[SY_DEVICE_UNKNOWN] = 1,  [SY_DEVICE_OTHER] = 1,   [SY_DEVICE_INTEGRATED] = 3,
                                  [SY_DEVICE_DISCRETE] = 4, [SY_DEVICE_VIRTUAL] = 2, [SY_DEVICE_CPU] = 0};
    if (a->plan.usable != b->plan.usable)
        return a->plan.usable;
    if (by_type[a->snapshot.type] != by_type[b->snapshot.type])
        return by_type[a->snapshot.type] > by_type[b->snapshot.type];
    return a->plan.heap_bytes > b->plan.heap_bytes;
}

/* Insertion: devices are few, and equals keep the driver's order. */
static void sort_devices(sy_vk_instance *instance)
{
    for (uint32_t i = 1; i < instance->n_physicals; i++)
        for (uint32_t at = i; at > 0 && better(&instance->physicals[at], &instance->physicals[at - 1]); at--) {
            sy_vk_physical moved = instance->physicals[at];
            instance->physicals[at] = instance->physicals[at - 1];
            instance->physicals[at - 1] = moved;
        }
}

static bool look_at_devices(sy_vk_instance *instance, sy_error *error)
{
    uint32_t n = 0;
    VkResult result = instance->vk.vkEnumeratePhysicalDevices(instance->handle, &n, NULL);
    if (result == VK_ERROR_INITIALIZATION_FAILED || (result == VK_SUCCESS && !n))
        return true; /* drivers without a device of theirs */
    if (!sy_vk_check(result, error, "listing devices"))
        return false;
    VkPhysicalDevice *handles = calloc(n, sizeof(VkPhysicalDevice));
    instance->physicals = calloc(n, sizeof *instance->physicals);
    bool ok = handles && instance->physicals;
    if (!ok)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory listing devices.");
    if (ok) {
        result = instance->vk.vkEnumeratePhysicalDevices(instance->handle, &n, handles);
        ok = result == VK_INCOMPLETE || sy_vk_check(result, error, "listing devices");
    }
    for (uint32_t i = 0; i < n && ok; i++) {
        sy_vk_physical *physical = &instance->physicals[instance->n_physicals];
        physical->handle = handles[i];
        ok = sy_snapshot_read(instance, handles[i], &physical->snapshot, error);
        if (ok) {
            sy_plan_make(&physical->snapshot, &physical->plan);
            instance->n_physicals++;
        }
    }
    free(handles);
    sort_devices(instance);
    return ok;
}

sy_vk_instance *sy_vk_instance_create(const sy_vk_instance_params *params, sy_error *error)
{
    if (!load()) {
        sy_fail(
            error, SY_CODE_UNAVAILABLE,
            "The Vulkan loader libvulkan.so.1 cannot be loaded (Debian: libvulkan1). \"switchyard doctor\" says more.");
        return NULL;
    }
    sy_vk_instance *instance = calloc(1, sizeof *instance);
    if (!instance) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "Out of memory starting Vulkan.");
        return NULL;
    }
    if (params)
        instance->params = *params;
    instance->validated = wants_validation(params);
    bool ok = create_handle(instance, error);
    if (ok && instance->handle)
        ok = load_functions(instance, error) && create_messenger(instance, error) && look_at_devices(instance, error);
    if (!ok)
        sy_vk_instance_destroy(&instance);
    return instance;
}

void sy_vk_instance_destroy(sy_vk_instance **instance)
{
    sy_vk_instance *i = *instance;
    *instance = NULL;
    if (!i)
        return;
    if (i->messenger)
        i->vk.vkDestroyDebugUtilsMessengerEXT(i->handle, i->messenger, NULL);
    if (i->handle && i->vk.vkDestroyInstance)
        i->vk.vkDestroyInstance(i->handle, NULL);
    free(i->physicals);
    free(i->extensions);
    free(i);
}
