/*
 * Simulates a CUDA driver on the processor: one device, whose only kernel multiplies numbers. It says on standard
 * error which calls it got, with their arguments.
 */
#include "cuda.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Where the device's memory seems to be; nothing of the process is there. */
#define MEMORY_FIRST 0x700000000000ULL
#define MEMORY_SIZE 65536U

static uint8_t memory[MEMORY_SIZE];
static size_t memory_used;

struct cuda_context {
	int number;
};
struct cuda_module {
	int number;
};
struct cuda_function {
	int number;
};
struct cuda_stream {
	int number;
};
struct cuda_event {
	int number;
	bool over;
};

static struct cuda_context context = {1};
static struct cuda_module module = {1};
static struct cuda_function scale = {1};
static struct cuda_stream streams[4];
static struct cuda_event events[4];
static int stream_count, event_count;
static CUcontext current;

static uint8_t *at(CUdeviceptr address)
{
	return memory + (address - MEMORY_FIRST);
}

static unsigned long long offset(CUdeviceptr address)
{
	return address - MEMORY_FIRST;
}

static int stream_number(CUstream stream)
{
	return stream ? stream->number : 0;
}

/* Says what was called, and that there is no current context where there is none. */
#define CALLED(...)                                                                                                    \
	do {                                                                                                           \
		fprintf(stderr, "%s", __func__);                                                                       \
		fprintf(stderr, " " __VA_ARGS__);                                                                      \
		fprintf(stderr, "\n");                                                                                 \
	} while (0)
#define CALLED_IN_CONTEXT(...)                                                                                         \
	do {                                                                                                           \
		CALLED(__VA_ARGS__);                                                                                   \
		if (!current)                                                                                          \
			return CUDA_ERROR_INVALID_CONTEXT;                                                             \
	} while (0)

CUresult cuInit(unsigned int Flags)
{
	CALLED("%u", Flags);
	return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *driverVersion)
{
	CALLED();
	*driverVersion = 12040;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
	CALLED("%d", ordinal);
	*device = ordinal;
	return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetCount(int *count)
{
	CALLED();
	*count = 1;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
	CALLED("%d of %d", len, dev);
	snprintf(name, (size_t)len, "Simulated device");
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)
{
	CALLED("%d of %d", (int)attrib, dev);
	*pi = 3;
	return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
	CALLED("of %d", dev);
	*bytes = MEMORY_SIZE;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
	CALLED("%d", dev);
	*pctx = &context;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
	CALLED("%d", dev);
	current = NULL;
	return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
	CALLED("%d", ctx->number);
	current = ctx;
	return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
	CALLED_IN_CONTEXT();
	return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule *loaded, const void *image)
{
	CALLED_IN_CONTEXT("\"%s\"", (const char *)image);
	*loaded = &module;
	return strncmp(image, "module ", 7) == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

CUresult cuModuleUnload(CUmodule hmod)
{
	CALLED("%d", hmod->number);
	return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name)
{
	CALLED_IN_CONTEXT("%s of %d", name, hmod->number);
	*hfunc = &scale;
	return strcmp(name, "scale") == 0 ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *dptr, size_t *bytes, CUmodule hmod, const char *name)
{
	CALLED_IN_CONTEXT("%s of %d", name, hmod->number);
	*dptr = MEMORY_FIRST + MEMORY_SIZE - sizeof(float);
	*bytes = sizeof(float);
	return strcmp(name, "bias") == 0 ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncGetAttribute(int *pi, CUfunction_attribute attrib, CUfunction hfunc)
{
	CALLED_IN_CONTEXT("%d of %d", (int)attrib, hfunc->number);
	*pi = 32;
	return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction func, size_t paramIndex, size_t *paramOffset, size_t *paramSize)
{
	static const size_t layout[3][2] = {{0, 8}, {8, 1}, {12, 4}};
	CALLED("%zu of %d", paramIndex, func->number);
	if (paramIndex >= 3)
		return CUDA_ERROR_INVALID_VALUE;
	*paramOffset = layout[paramIndex][0];
	*paramSize = layout[paramIndex][1];
	return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ,
			unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ,
			unsigned int sharedMemBytes, CUstream hStream, void **kernelParams, void **extra)
{
	CUdeviceptr data;
	uint8_t factor;
	uint32_t count;
	memcpy(&data, kernelParams[0], sizeof(data));
	memcpy(&factor, kernelParams[1], sizeof(factor));
	memcpy(&count, kernelParams[2], sizeof(count));
	CALLED_IN_CONTEXT(
		"%d: grid %u %u %u, block %u %u %u, shared %u, stream %d, extra %d; %u numbers at %llu times %u",
		f->number, gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes,
		stream_number(hStream), extra != NULL, count, offset(data), factor);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number;
		memcpy(&number, at(data) + 4 * i, sizeof(number));
		number *= factor;
		memcpy(at(data) + 4 * i, &number, sizeof(number));
	}
	return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
	CALLED_IN_CONTEXT("%zu", bytesize);
	if (bytesize > MEMORY_SIZE - memory_used)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*dptr = MEMORY_FIRST + memory_used;
	memory_used += bytesize;
	return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr dptr)
{
	CALLED_IN_CONTEXT("%llu", offset(dptr));
	return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
	CALLED_IN_CONTEXT("%zu to %llu", ByteCount, offset(dstDevice));
	memcpy(at(dstDevice), srcHost, ByteCount);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoH_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
	CALLED_IN_CONTEXT("%zu from %llu", ByteCount, offset(srcDevice));
	memcpy(dstHost, at(srcDevice), ByteCount);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount)
{
	CALLED_IN_CONTEXT("%zu from %llu to %llu", ByteCount, offset(srcDevice), offset(dstDevice));
	memmove(at(dstDevice), at(srcDevice), ByteCount);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream)
{
	CALLED_IN_CONTEXT("%zu to %llu, stream %d", ByteCount, offset(dstDevice), stream_number(hStream));
	memcpy(at(dstDevice), srcHost, ByteCount);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)
{
	CALLED_IN_CONTEXT("%zu from %llu, stream %d", ByteCount, offset(srcDevice), stream_number(hStream));
	memcpy(dstHost, at(srcDevice), ByteCount);
	return CUDA_SUCCESS;
}

CUresult cuMemsetD8_v2(CUdeviceptr dstDevice, unsigned char uc, size_t N)
{
	CALLED_IN_CONTEXT("%zu of %#x at %llu", N, uc, offset(dstDevice));
	memset(at(dstDevice), uc, N);
	return CUDA_SUCCESS;
}

CUresult cuMemsetD32Async(CUdeviceptr dstDevice, unsigned int ui, size_t N, CUstream hStream)
{
	CALLED_IN_CONTEXT("%zu of %u at %llu, stream %d", N, ui, offset(dstDevice), stream_number(hStream));
	for (size_t i = 0; i < N; i++)
		memcpy(at(dstDevice) + 4 * i, &ui, sizeof(ui));
	return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *phStream, unsigned int Flags)
{
	CALLED_IN_CONTEXT("%u", Flags);
	*phStream = &streams[stream_count++];
	(*phStream)->number = stream_count;
	return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream hStream)
{
	CALLED_IN_CONTEXT("%d", stream_number(hStream));
	return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned int Flags)
{
	CALLED_IN_CONTEXT("%d for %d, %u", stream_number(hStream), hEvent->number, Flags);
	return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream hStream)
{
	CALLED("%d", stream_number(hStream));
	return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *phEvent, unsigned int Flags)
{
	CALLED_IN_CONTEXT("%u", Flags);
	*phEvent = &events[event_count++];
	(*phEvent)->number = event_count;
	return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent hEvent, CUstream hStream)
{
	CALLED_IN_CONTEXT("%d, stream %d", hEvent->number, stream_number(hStream));
	hEvent->over = false;
	return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent hEvent)
{
	CALLED("%d", hEvent->number);
	return hEvent->over ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent hEvent)
{
	CALLED_IN_CONTEXT("%d", hEvent->number);
	hEvent->over = true;
	return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *pMilliseconds, CUevent hStart, CUevent hEnd)
{
	CALLED_IN_CONTEXT("%d to %d", hStart->number, hEnd->number);
	*pMilliseconds = 0.25F;
	return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent hEvent)
{
	CALLED("%d", hEvent->number);
	return CUDA_SUCCESS;
}
