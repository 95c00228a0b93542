/*
 * What the programs of this folder share: they log what they observe, statuses by name, so that the logs of the bare
 * driver and of the shim can be compared. A line that starts with "~ " may differ.
 */
#ifndef CHECK_H
#define CHECK_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* Logs "call = STATUS". */
#define CALL(call)                                                                                                     \
	do {                                                                                                           \
		cl_int status_ = (call);                                                                               \
		say("%s = %s", #call, status_name(status_));                                                           \
	} while (0)

/* The same, where the bare driver may answer another way; a comment there says why. */
#define CALL_DIFFERS(call)                                                                                             \
	do {                                                                                                           \
		cl_int status_ = (call);                                                                               \
		say("~ %s = %s", #call, status_name(status_));                                                         \
	} while (0)

/* For a call at which the bare driver crashes: the shim must answer as the specification says. */
#define SHIM_ONLY(call, expected)                                                                                      \
	do {                                                                                                           \
		if (shimmed())                                                                                         \
			EXPECT((call) == (expected));                                                                  \
	} while (0)

#define SHIM_ONLY_MAKE(call, expected)                                                                                 \
	do {                                                                                                           \
		cl_int status = 1;                                                                                     \
		if (shimmed())                                                                                         \
			EXPECT(!(call) && status == (expected));                                                       \
	} while (0)

/* Logs the status of a call that returns an object and takes &status; yields the object. */
#define MAKE(call)                                                                                                     \
	({                                                                                                             \
		cl_int status = 1;                                                                                     \
		__typeof__(call) made_ = (call);                                                                       \
		say("%s = %s, %s", #call, status_name(status), made_ ? "something" : "NULL");                          \
		made_;                                                                                                 \
	})

/* The same, where the bare driver may answer another way. */
#define MAKE_DIFFERS(call)                                                                                             \
	({                                                                                                             \
		cl_int status = 1;                                                                                     \
		__typeof__(call) made_ = (call);                                                                       \
		say("~ %s = %s, %s", #call, status_name(status), made_ ? "something" : "NULL");                        \
		made_;                                                                                                 \
	})

/* Ends the program where a call that must work does not. */
#define MUST(call)                                                                                                     \
	do {                                                                                                           \
		cl_int status_ = (call);                                                                               \
		if (status_ != CL_SUCCESS) {                                                                           \
			say("line %d: %s = %s", __LINE__, #call, status_name(status_));                                \
			exit(2);                                                                                       \
		}                                                                                                      \
	} while (0)

#define MUST_MAKE(call)                                                                                                \
	({                                                                                                             \
		cl_int status = 1;                                                                                     \
		__typeof__(call) made_ = (call);                                                                       \
		if (!made_ || status != CL_SUCCESS) {                                                                  \
			say("line %d: %s = %s", __LINE__, #call, status_name(status));                                 \
			exit(2);                                                                                       \
		}                                                                                                      \
		made_;                                                                                                 \
	})

/* Ends the program where something is not so, with the driver or with the shim. */
#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			say("line %d: not so: %s", __LINE__, #condition);                                              \
			exit(3);                                                                                       \
		}                                                                                                      \
	} while (0)

static inline void say(const char *format, ...)
{
	char line[4096];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(line) - 2)
		length = (int)sizeof(line) - 2;
	line[length++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)length) != length)
		abort();
}

#define STATUS(name)                                                                                                   \
	{                                                                                                              \
		name, #name                                                                                            \
	}

static const struct {
	cl_int status;
	const char *name;
} statuses[] = {
	STATUS(CL_SUCCESS),
	STATUS(CL_DEVICE_NOT_FOUND),
	STATUS(CL_DEVICE_NOT_AVAILABLE),
	STATUS(CL_COMPILER_NOT_AVAILABLE),
	STATUS(CL_MEM_OBJECT_ALLOCATION_FAILURE),
	STATUS(CL_OUT_OF_RESOURCES),
	STATUS(CL_OUT_OF_HOST_MEMORY),
	STATUS(CL_PROFILING_INFO_NOT_AVAILABLE),
	STATUS(CL_MEM_COPY_OVERLAP),
	STATUS(CL_IMAGE_FORMAT_MISMATCH),
	STATUS(CL_IMAGE_FORMAT_NOT_SUPPORTED),
	STATUS(CL_BUILD_PROGRAM_FAILURE),
	STATUS(CL_MAP_FAILURE),
	STATUS(CL_MISALIGNED_SUB_BUFFER_OFFSET),
	STATUS(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
	STATUS(CL_COMPILE_PROGRAM_FAILURE),
	STATUS(CL_LINKER_NOT_AVAILABLE),
	STATUS(CL_LINK_PROGRAM_FAILURE),
	STATUS(CL_KERNEL_ARG_INFO_NOT_AVAILABLE),
	STATUS(CL_INVALID_VALUE),
	STATUS(CL_INVALID_DEVICE_TYPE),
	STATUS(CL_INVALID_PLATFORM),
	STATUS(CL_INVALID_DEVICE),
	STATUS(CL_INVALID_CONTEXT),
	STATUS(CL_INVALID_QUEUE_PROPERTIES),
	STATUS(CL_INVALID_COMMAND_QUEUE),
	STATUS(CL_INVALID_HOST_PTR),
	STATUS(CL_INVALID_MEM_OBJECT),
	STATUS(CL_INVALID_IMAGE_SIZE),
	STATUS(CL_INVALID_SAMPLER),
	STATUS(CL_INVALID_BINARY),
	STATUS(CL_INVALID_BUILD_OPTIONS),
	STATUS(CL_INVALID_PROGRAM),
	STATUS(CL_INVALID_PROGRAM_EXECUTABLE),
	STATUS(CL_INVALID_KERNEL_NAME),
	STATUS(CL_INVALID_KERNEL_DEFINITION),
	STATUS(CL_INVALID_KERNEL),
	STATUS(CL_INVALID_ARG_INDEX),
	STATUS(CL_INVALID_ARG_VALUE),
	STATUS(CL_INVALID_ARG_SIZE),
	STATUS(CL_INVALID_KERNEL_ARGS),
	STATUS(CL_INVALID_WORK_DIMENSION),
	STATUS(CL_INVALID_WORK_GROUP_SIZE),
	STATUS(CL_INVALID_WORK_ITEM_SIZE),
	STATUS(CL_INVALID_GLOBAL_OFFSET),
	STATUS(CL_INVALID_EVENT_WAIT_LIST),
	STATUS(CL_INVALID_EVENT),
	STATUS(CL_INVALID_OPERATION),
	STATUS(CL_INVALID_BUFFER_SIZE),
	STATUS(CL_INVALID_GLOBAL_WORK_SIZE),
	STATUS(CL_INVALID_PROPERTY),
	STATUS(CL_INVALID_IMAGE_DESCRIPTOR),
	STATUS(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR),
	STATUS(CL_INVALID_COMPILER_OPTIONS),
	STATUS(CL_INVALID_LINKER_OPTIONS),
	STATUS(CL_INVALID_DEVICE_PARTITION_COUNT),
	STATUS(CL_DEVICE_PARTITION_FAILED),
};

static inline const char *status_name(cl_int status)
{
	static _Thread_local char other[32];
	for (size_t i = 0; i < COUNT(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].name;
	snprintf(other, sizeof(other), "status %d", status);
	return other;
}

/* Whether the shim is the driver: for what a bare driver may crash at. */
static inline bool shimmed(void)
{
	return getenv("SLUICE_SOCKET") != NULL;
}

static cl_platform_id platform;
static cl_device_id device;
static cl_context context;
static cl_command_queue queue;

/* Finds the device, and makes a context and an in-order queue. */
static inline void begin(void)
{
	MUST(clGetPlatformIDs(1, &platform, NULL));
	MUST(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
	context = MUST_MAKE(clCreateContext(NULL, 1, &device, NULL, NULL, &status));
	queue = MUST_MAKE(clCreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &status));
}

static inline void end(void)
{
	MUST(clFinish(queue));
	MUST(clReleaseCommandQueue(queue));
	MUST(clReleaseContext(context));
	say("end");
}

static inline cl_mem buffer_of(size_t size)
{
	return MUST_MAKE(clCreateBuffer(context, CL_MEM_READ_WRITE, size, NULL, &status));
}

static inline cl_program program_of(const char *source, const char *options)
{
	cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 1, &source, NULL, &status));
	MUST(clBuildProgram(program, 1, &device, options, NULL, NULL));
	return program;
}

static inline cl_kernel kernel_of(cl_program program, const char *name)
{
	return MUST_MAKE(clCreateKernel(program, name, &status));
}

static inline cl_int event_status(cl_event event)
{
	cl_int state = -1000;
	MUST(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL));
	return state;
}

/* A byte for each place that differs from place to place and from seed to seed. */
static inline uint8_t pattern_at(size_t i, unsigned seed)
{
	return (uint8_t)((i * 2654435761u >> 7) ^ (i >> 13) ^ seed * 31u);
}

static inline void pattern_fill(uint8_t *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern_at(i, seed);
}

static inline bool pattern_is(const uint8_t *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != pattern_at(i, seed))
			return false;
	return true;
}

#endif
