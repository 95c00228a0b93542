/*
 * What the example programs share: opening a device, building a kernel, and ending with a message
 * that names the error. Plain OpenCL 1.2.
 *
 * Exit statuses: 0 success, 1 wrong result or unexpected behaviour, 2 bad arguments, 3 an OpenCL error.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>

enum { STATUS_WRONG = 1, STATUS_USAGE = 2, STATUS_OPENCL = 3 };

struct device {
	cl_device_id id;
	cl_context context;
	cl_command_queue queue;
};

static inline const char *error_name(cl_int code)
{
	switch (code) {
	case CL_DEVICE_NOT_FOUND:
		return "CL_DEVICE_NOT_FOUND";
	case CL_DEVICE_NOT_AVAILABLE:
		return "CL_DEVICE_NOT_AVAILABLE";
	case CL_MEM_OBJECT_ALLOCATION_FAILURE:
		return "CL_MEM_OBJECT_ALLOCATION_FAILURE";
	case CL_OUT_OF_RESOURCES:
		return "CL_OUT_OF_RESOURCES";
	case CL_OUT_OF_HOST_MEMORY:
		return "CL_OUT_OF_HOST_MEMORY";
	case CL_BUILD_PROGRAM_FAILURE:
		return "CL_BUILD_PROGRAM_FAILURE";
	case CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
		return "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST";
	case CL_INVALID_VALUE:
		return "CL_INVALID_VALUE";
	case CL_INVALID_BUFFER_SIZE:
		return "CL_INVALID_BUFFER_SIZE";
	case CL_INVALID_OPERATION:
		return "CL_INVALID_OPERATION";
	case -1001:
		return "CL_PLATFORM_NOT_FOUND_KHR";
	default:
		return "OpenCL error";
	}
}

/* Ends the program with STATUS_OPENCL unless the code is CL_SUCCESS. */
static inline void check(const char *call, cl_int code)
{
	if (code == CL_SUCCESS) {
		return;
	}
	printf("%s: %s (%d)\n", call, error_name(code), code);
	exit(STATUS_OPENCL);
}

/* Ends the program with STATUS_WRONG unless what holds is true. */
static inline void expect(int holds, const char *what)
{
	if (!holds) {
		printf("wrong: %s\n", what);
		exit(STATUS_WRONG);
	}
}

/* Opens the first device of the first platform, with an in-order queue that records event times. */
static inline struct device open_device(void)
{
	struct device device;
	cl_platform_id platform;
	check("clGetPlatformIDs", clGetPlatformIDs(1, &platform, NULL));
	check("clGetDeviceIDs", clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device.id, NULL));
	cl_int code;
	device.context = clCreateContext(NULL, 1, &device.id, NULL, NULL, &code);
	check("clCreateContext", code);
	device.queue = clCreateCommandQueue(device.context, device.id, CL_QUEUE_PROFILING_ENABLE, &code);
	check("clCreateCommandQueue", code);
	char name[256] = "";
	check("clGetDeviceInfo", clGetDeviceInfo(device.id, CL_DEVICE_NAME, sizeof name - 1, name, NULL));
	printf("device: %s\n", name);
	return device;
}

static inline void close_device(struct device device)
{
	check("clReleaseCommandQueue", clReleaseCommandQueue(device.queue));
	check("clReleaseContext", clReleaseContext(device.context));
}

/* Builds the source and returns its kernel of that name. Prints the log of a build that fails. */
static inline cl_kernel build_kernel(struct device device, const char *source, const char *name)
{
	cl_int code;
	cl_program program = clCreateProgramWithSource(device.context, 1, &source, NULL, &code);
	check("clCreateProgramWithSource", code);
	code = clBuildProgram(program, 1, &device.id, "", NULL, NULL);
	if (code == CL_BUILD_PROGRAM_FAILURE) {
		char log[4096] = "";
		(void)clGetProgramBuildInfo(program, device.id, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL);
		printf("%s\n", log);
	}
	check("clBuildProgram", code);
	cl_kernel kernel = clCreateKernel(program, name, &code);
	check("clCreateKernel", code);
	check("clReleaseProgram", clReleaseProgram(program));
	return kernel;
}

#endif
