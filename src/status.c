#include "graph/base/error.h"
#include "src/switchyard.h"

/* The public enumerators repeat the internal ones; they must not drift apart. */
_Static_assert((int)SY_OK == (int)SY_CODE_OK, "status");
_Static_assert((int)SY_ERROR_INVALID_ARGUMENT == (int)SY_CODE_INVALID_ARGUMENT, "status");
_Static_assert((int)SY_ERROR_INVALID_FILE == (int)SY_CODE_INVALID_FILE, "status");
_Static_assert((int)SY_ERROR_NOT_FOUND == (int)SY_CODE_NOT_FOUND, "status");
_Static_assert((int)SY_ERROR_UNAVAILABLE == (int)SY_CODE_UNAVAILABLE, "status");
_Static_assert((int)SY_ERROR_OUT_OF_MEMORY == (int)SY_CODE_OUT_OF_MEMORY, "status");
_Static_assert((int)SY_ERROR_IO == (int)SY_CODE_IO, "status");
_Static_assert((int)SY_ERROR_DEVICE == (int)SY_CODE_DEVICE, "status");
_Static_assert((int)SY_ERROR_DEVICE_LOST == (int)SY_CODE_DEVICE_LOST, "status");
_Static_assert((int)SY_ERROR_CANCELLED == (int)SY_CODE_CANCELLED, "status");
_Static_assert((int)SY_ERROR_INTERNAL == (int)SY_CODE_INTERNAL, "status");
