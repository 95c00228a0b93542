/*
 * Allocates buffers until the device has no memory left, and prints how much there was.
 *
 *     allocate [CHUNK_MIB [LIMIT_MIB]]        default 16 and 65536
 *
 * A byte of each buffer is written, since a driver may allocate at first use. The device must refuse with
 * CL_MEM_OBJECT_ALLOCATION_FAILURE before the limit; then everything is released, and one more buffer must
 * fit.
 */
#include "program.h"
#include <stdint.h>

enum { CHUNKS_MAX = 65536 };
#define MIB ((size_t)1 << 20)

static cl_mem buffers[CHUNKS_MAX];

static size_t mebibytes(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	if (*end != '\0' || value == 0 || value > 1UL << 24) {
		printf("usage: allocate [CHUNK_MIB [LIMIT_MIB]], whole numbers above 0\n");
		exit(STATUS_USAGE);
	}
	return value;
}

/* Returns the code of the first call that failed; the buffer is NULL then. */
static cl_int allocate(struct device device, size_t bytes, cl_mem *buffer)
{
	cl_int code;
	*buffer = clCreateBuffer(device.context, CL_MEM_READ_WRITE, bytes, NULL, &code);
	if (code == CL_SUCCESS) {
		uint8_t value = 1;
		code = clEnqueueWriteBuffer(device.queue, *buffer, CL_TRUE, bytes - 1, 1, &value, 0, NULL, NULL);
		if (code != CL_SUCCESS) {
			check("clReleaseMemObject", clReleaseMemObject(*buffer));
			*buffer = NULL;
		}
	}
	return code;
}

int main(int argc, char **argv)
{
	size_t chunk_mib = argc > 1 ? mebibytes(argv[1]) : 16;
	size_t limit_mib = argc > 2 ? mebibytes(argv[2]) : 65536;
	struct device device = open_device();
	cl_ulong memory_bytes;
	check("clGetDeviceInfo",
	      clGetDeviceInfo(device.id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory_bytes, &memory_bytes, NULL));
	printf("CL_DEVICE_GLOBAL_MEM_SIZE: %llu MiB\n", (unsigned long long)(memory_bytes / MIB));

	size_t count = 0;
	cl_int code = CL_SUCCESS;
	while (code == CL_SUCCESS && count < CHUNKS_MAX && count * chunk_mib < limit_mib) {
		code = allocate(device, chunk_mib * MIB, &buffers[count]);
		count += code == CL_SUCCESS;
	}
	printf("allocated: %zu MiB in %zu buffers\n", count * chunk_mib, count);
	for (size_t i = 0; i < count; i++) {
		check("clReleaseMemObject", clReleaseMemObject(buffers[i]));
	}
	if (code == CL_SUCCESS) {
		printf("wrong: there was no failure up to the limit of %zu MiB\n", limit_mib);
		return STATUS_WRONG;
	}
	if (code != CL_MEM_OBJECT_ALLOCATION_FAILURE) {
		check("allocate", code);
	}
	printf("then: CL_MEM_OBJECT_ALLOCATION_FAILURE\n");
	if (count > 0) {
		check("allocate again", allocate(device, chunk_mib * MIB, &buffers[0]));
		check("clReleaseMemObject", clReleaseMemObject(buffers[0]));
	}
	close_device(device);
	return 0;
}
