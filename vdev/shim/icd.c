/* What the installable client driver loader looks for: cl_khr_icd. */
#include "gen/calls.h"
#include "trace.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint num_entries, cl_platform_id *platforms,
						 cl_uint *num_platforms);
EXPORT cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id platform, cl_platform_info param_name,
					    size_t param_value_size, void *param_value, size_t *param_value_size_ret);
EXPORT void *CL_API_CALL clGetExtensionFunctionAddress(const char *func_name);

cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint num_entries, cl_platform_id *platforms, cl_uint *num_platforms)
{
	return sl_calls->clGetPlatformIDs(num_entries, platforms, num_platforms);
}

cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id platform, cl_platform_info param_name, size_t param_value_size,
				     void *param_value, size_t *param_value_size_ret)
{
	return sl_calls->clGetPlatformInfo(platform, param_name, param_value_size, param_value, param_value_size_ret);
}

/* The loader asks for clIcdGetPlatformIDsKHR here; a program gets the shim's own functions, never the driver's. */
void *CL_API_CALL sl_clGetExtensionFunctionAddress(const char *func_name)
{
	if (!func_name)
		return NULL;
	if (strcmp(func_name, "clIcdGetPlatformIDsKHR") == 0)
		return (void *)(uintptr_t)clIcdGetPlatformIDsKHR;
	void *pointer = NULL;
	for (const struct sl_function *f = sl_functions; f->name; f++)
		if (strcmp(f->name, func_name) == 0)
			memcpy(&pointer, (const char *)sl_calls + f->offset, sizeof(pointer));
	return pointer;
}

void *CL_API_CALL sl_clGetExtensionFunctionAddressForPlatform(cl_platform_id platform, const char *func_name)
{
	return sl_find(platform, SL_PLATFORM) ? sl_clGetExtensionFunctionAddress(func_name) : NULL;
}

void *CL_API_CALL clGetExtensionFunctionAddress(const char *func_name)
{
	return sl_calls->clGetExtensionFunctionAddress(func_name);
}
