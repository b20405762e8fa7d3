/* Switchyard: routed neural networks on any Vulkan device. The whole public interface.
 *
 *   1. sy_context_create        one per thread or shared: see "Thread safety"
 *   2. sy_device_list / sy_device_open
 *   3. sy_model_open            a .safetensors file; sy_graph_file_open for the text form of a graph
 *   4. sy_pipeline_create       model + device + sampler settings -> compiled, weights uploaded
 *   5. sy_generate              prompts and seeds in, pictures and taps out; progress and cancel by callback
 *
 * Every params struct is zero-initialised for defaults: zero means "the default" in every field. Out-parameters
 * come last. Functions return a status; the message of the last failure is sy_context_message. Nothing prints,
 * nothing exits. Handles are made by _create/_open and given back by _destroy, which takes the handle's address and nulls it.
 *
 * Thread safety: a context and everything opened from it belong to one thread at a time; different contexts
 * may be used by different threads at once. There is no global state. */
#ifndef SWITCHYARD_H
#define SWITCHYARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SY_VERSION_MAJOR 0
#define SY_VERSION_MINOR 1
#define SY_VERSION_PATCH 0

typedef enum sy_status {
    SY_OK,
    SY_ERROR_INVALID_ARGUMENT, /* something passed in can never work */
    SY_ERROR_INVALID_FILE,     /* a file's content is not what it should be */
    SY_ERROR_NOT_FOUND,        /* a file, tensor, device or name does not exist */
    SY_ERROR_UNAVAILABLE,      /* this machine or device cannot do it; not a fault */
    SY_ERROR_OUT_OF_MEMORY,
    SY_ERROR_IO,
    SY_ERROR_DEVICE,
    SY_ERROR_DEVICE_LOST,
    SY_ERROR_CANCELLED,
    SY_ERROR_INTERNAL          /* always a bug of ours: please report it */
} sy_status;

#ifdef __cplusplus
}
#endif
#endif
