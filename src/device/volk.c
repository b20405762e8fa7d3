/* The one place that compiles volk's implementation. Only its loader part is used, and its tables of device functions.
 */
#define VOLK_IMPLEMENTATION
#include <volk.h>
