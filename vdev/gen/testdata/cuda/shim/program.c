/* A program that calls the driver's API as the shim has it, and says on standard error what it got. */
#include "calls.h"

#include <stdio.h>

#define COUNT 6

static void tell(const char *call, CUresult status)
{
	fprintf(stderr, "%s = %d\n", call, (int)status);
}

static void ask_device(void)
{
	int version = 0, count = 0, attribute = 0;
	CUdevice device = -1;
	char name[24] = "";
	size_t total = 0;
	tell("cuInit", sl_cuInit(0));
	tell("cuDriverGetVersion", sl_cuDriverGetVersion(&version));
	tell("cuDeviceGetCount", sl_cuDeviceGetCount(&count));
	tell("cuDeviceGet of a device that is not there", sl_cuDeviceGet(&device, 7));
	tell("cuDeviceGet", sl_cuDeviceGet(&device, 0));
	tell("cuDeviceGetName", sl_cuDeviceGetName(name, (int)sizeof(name), device));
	tell("cuDeviceGetAttribute",
	     sl_cuDeviceGetAttribute(&attribute, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device));
	tell("cuDeviceTotalMem_v2", sl_cuDeviceTotalMem_v2(&total, device));
	fprintf(stderr, "version %d, %d devices, \"%s\", attribute %d, %zu bytes\n", version, count, name, attribute,
		total);
}

static void use_memory(CUdeviceptr *data)
{
	const unsigned char bytes[4] = {1, 2, 3, 4};
	unsigned char back[8] = {0};
	tell("cuMemAlloc_v2 without a current context", sl_cuMemAlloc_v2(data, 4096));
	CUcontext context = NULL, again = NULL;
	tell("cuDevicePrimaryCtxRetain", sl_cuDevicePrimaryCtxRetain(&context, 0));
	tell("cuDevicePrimaryCtxRetain again", sl_cuDevicePrimaryCtxRetain(&again, 0));
	fprintf(stderr, "%s context\n", context == again ? "the same" : "another");
	tell("cuCtxSetCurrent", sl_cuCtxSetCurrent(context));
	tell("cuMemAlloc_v2 of too much", sl_cuMemAlloc_v2(data, (size_t)1 << 40));
	tell("cuMemAlloc_v2", sl_cuMemAlloc_v2(data, 4096));
	tell("cuMemsetD8_v2", sl_cuMemsetD8_v2(*data, 0xab, 4096));
	tell("cuMemcpyHtoD_v2", sl_cuMemcpyHtoD_v2(*data + 2, bytes, sizeof(bytes)));
	tell("cuMemcpyDtoD_v2", sl_cuMemcpyDtoD_v2(*data + 4, *data + 3, 2));
	tell("cuMemcpyDtoH_v2", sl_cuMemcpyDtoH_v2(back, *data, sizeof(back)));
	for (size_t i = 0; i < sizeof(back); i++)
		fprintf(stderr, "%02x ", back[i]);
	fprintf(stderr, "\n");
	tell("cuMemcpyHtoD_v2 over the end", sl_cuMemcpyHtoD_v2(*data + 4093, bytes, sizeof(bytes)));
	tell("cuMemcpyDtoH_v2 at nothing of the lease's", sl_cuMemcpyDtoH_v2(back, 0x1000, sizeof(back)));
	tell("cuMemsetD32Async over the end", sl_cuMemsetD32Async(*data, 0, 1025, NULL));
	tell("cuMemsetD32Async of more than there can be", sl_cuMemsetD32Async(*data, 0, (size_t)1 << 62, NULL));
}

/* A kernel's parameters of 8, 1 and 4 bytes, with a gap before the last. */
static void launch(CUmodule module, CUstream stream, CUdeviceptr data)
{
	CUfunction function = NULL;
	size_t offset = 0, size = 0;
	int registers = 0;
	tell("cuModuleGetFunction of none", sl_cuModuleGetFunction(&function, module, "none"));
	tell("cuModuleGetFunction", sl_cuModuleGetFunction(&function, module, "scale"));
	for (size_t i = 0; sl_cuFuncGetParamInfo(function, i, &offset, &size) == CUDA_SUCCESS; i++)
		fprintf(stderr, "parameter %zu: %zu bytes at %zu\n", i, size, offset);
	tell("cuFuncGetParamInfo behind the last", sl_cuFuncGetParamInfo(function, 3, &offset, &size));
	tell("cuFuncGetAttribute", sl_cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function));
	fprintf(stderr, "%d registers\n", registers);
	unsigned int values[COUNT] = {0}, count = COUNT - 1;
	unsigned char factor = 7;
	CUdeviceptr second = data + sizeof(values[0]);
	void *parameters[] = {&second, &factor, &count}, *extra[] = {NULL};
	tell("cuMemsetD32Async", sl_cuMemsetD32Async(data, 6, COUNT, stream));
	tell("cuLaunchKernel", sl_cuLaunchKernel(function, 1, 2, 3, 4, 5, 6, 7, stream, parameters, NULL));
	tell("cuLaunchKernel without parameters", sl_cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	tell("cuLaunchKernel with extra", sl_cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, extra));
	tell("cuMemcpyDtoHAsync_v2", sl_cuMemcpyDtoHAsync_v2(values, data, sizeof(values), stream));
	for (size_t i = 0; i < COUNT; i++)
		fprintf(stderr, "%u ", values[i]);
	fprintf(stderr, "\n");
}

static void use_module(CUstream stream, CUdeviceptr data)
{
	CUmodule module = NULL;
	CUdeviceptr global = 0;
	size_t size = 0;
	float bias = 2.5F, back = 0;
	tell("cuModuleLoadData of nonsense", sl_cuModuleLoadData(&module, "nonsense"));
	tell("cuModuleLoadData", sl_cuModuleLoadData(&module, "module scale bias"));
	tell("cuModuleGetGlobal_v2", sl_cuModuleGetGlobal_v2(&global, &size, module, "bias"));
	tell("cuModuleGetGlobal_v2 without its size", sl_cuModuleGetGlobal_v2(&global, NULL, module, "bias"));
	fprintf(stderr, "a global of %zu bytes\n", size);
	tell("cuMemcpyHtoDAsync_v2", sl_cuMemcpyHtoDAsync_v2(global, &bias, sizeof(bias), stream));
	tell("cuMemcpyHtoDAsync_v2 over the end, for which nobody waits",
	     sl_cuMemcpyHtoDAsync_v2(global + 1, &bias, sizeof(bias), stream));
	tell("cuMemcpyDtoH_v2", sl_cuMemcpyDtoH_v2(&back, global, sizeof(back)));
	fprintf(stderr, "bias %.1f\n", (double)back);
	launch(module, stream, data);
	tell("cuModuleUnload", sl_cuModuleUnload(module));
}

static void use_events(CUstream stream)
{
	CUevent begin = NULL, end = NULL;
	float elapsed = 0;
	tell("cuEventCreate", sl_cuEventCreate(&begin, 0));
	tell("cuEventCreate", sl_cuEventCreate(&end, 1));
	tell("cuEventRecord", sl_cuEventRecord(begin, NULL));
	tell("cuStreamWaitEvent", sl_cuStreamWaitEvent(stream, begin, 0));
	tell("cuEventRecord", sl_cuEventRecord(end, stream));
	tell("cuEventQuery", sl_cuEventQuery(end));
	tell("cuEventSynchronize", sl_cuEventSynchronize(end));
	tell("cuEventQuery", sl_cuEventQuery(end));
	tell("cuEventElapsedTime", sl_cuEventElapsedTime(&elapsed, begin, end));
	fprintf(stderr, "%.2f ms\n", (double)elapsed);
	tell("cuEventRecord of a stream", sl_cuEventRecord((CUevent)(void *)stream, NULL));
	tell("cuEventDestroy_v2", sl_cuEventDestroy_v2(begin));
	tell("cuEventDestroy_v2", sl_cuEventDestroy_v2(end));
}

int main(void)
{
	CUdeviceptr data = 0;
	CUstream stream = NULL;
	ask_device();
	use_memory(&data);
	tell("cuStreamCreate", sl_cuStreamCreate(&stream, 1));
	use_module(stream, data);
	use_events(stream);
	tell("cuStreamSynchronize", sl_cuStreamSynchronize(stream));
	tell("cuStreamDestroy_v2", sl_cuStreamDestroy_v2(stream));
	tell("cuMemFree_v2", sl_cuMemFree_v2(data));
	tell("cuMemFree_v2 again", sl_cuMemFree_v2(data));
	tell("cuCtxSynchronize", sl_cuCtxSynchronize());
	tell("cuDevicePrimaryCtxRelease_v2", sl_cuDevicePrimaryCtxRelease_v2(0));
	tell("cuDevicePrimaryCtxRelease_v2", sl_cuDevicePrimaryCtxRelease_v2(0));
	tell("cuCtxSynchronize without a current context", sl_cuCtxSynchronize());
	return 0;
}
