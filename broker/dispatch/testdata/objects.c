/* Objects, their reference counts and their info queries: answers, sizes, memory that is too small. */
#include "check.h"

enum form { NUMBER, POINTER, STRING, BYTES, SIZE_ONLY };

typedef cl_int (*query)(void *object, cl_uint name, size_t size, void *value, size_t *size_ret);

/* Writes the value of a query as text. */
static void show(char *line, size_t room, enum form form, const unsigned char *value, size_t size)
{
	uint64_t number = 0;
	void *pointer = NULL;
	memcpy(&number, value, size < 8 ? size : 8);
	memcpy(&pointer, value, sizeof(pointer));
	switch (form) {
	case NUMBER:
		snprintf(line, room, "%llu", (unsigned long long)number);
		break;
	case POINTER:
		snprintf(line, room, "%s",
			 !pointer		       ? "NULL"
			 : pointer == (void *)platform ? "the platform"
			 : pointer == (void *)device   ? "the device"
			 : pointer == (void *)context  ? "the context"
			 : pointer == (void *)queue    ? "the queue"
						       : "another object");
		break;
	case STRING:
		snprintf(line, room, "'%.*s'", (int)size, (const char *)value);
		break;
	case BYTES:
		for (size_t i = 0; i < size && i < 32; i++)
			snprintf(line + 2 * i, room - 2 * i, "%02x", value[i]);
		break;
	case SIZE_ONLY:
		snprintf(line, room, "of that size");
	}
}

static void ask(const char *label, query get, void *object, cl_uint name, enum form form)
{
	unsigned char value[4096];
	char line[1024] = "";
	size_t size = 777, again = 777;
	cl_int status = get(object, name, 0, NULL, &size);
	if (status != CL_SUCCESS) {
		say("%s: %s", label, status_name(status));
		return;
	}
	EXPECT(size < sizeof(value));
	if (!size) {
		say("%s: nothing", label);
		return;
	}
	memset(value, 0xAB, sizeof(value));
	cl_int less = size > 1 ? get(object, name, size - 1, value, NULL) : CL_INVALID_VALUE;
	cl_int exact = get(object, name, size, value, NULL);
	cl_int more = get(object, name, sizeof(value), value, &again);
	if (more == CL_SUCCESS)
		show(line, sizeof(line), form, value, size);
	say("%s: %zu bytes; a byte less %s, exactly %s, more %s with %zu bytes, the rest %s: %s", label, size,
	    status_name(less), status_name(exact), status_name(more), again,
	    value[size] == 0xAB ? "untouched" : "overwritten", line);
}

#define ASK(get, object, name, form) ask(#name, (query)(void *)get, object, name, form)
#define ASK_DIFFERS(get, object, name, form) ask("~ " #name, (query)(void *)get, object, name, form)

static void contexts(void)
{
	say("# contexts");
	ASK(clGetContextInfo, context, CL_CONTEXT_NUM_DEVICES, NUMBER);
	ASK(clGetContextInfo, context, CL_CONTEXT_DEVICES, POINTER);
	ASK(clGetContextInfo, context, CL_CONTEXT_PROPERTIES, BYTES);
	ASK(clGetContextInfo, context, 0x9999, NUMBER);
	const cl_context_properties with_platform[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)platform, 0};
	cl_context other = MAKE(clCreateContext(with_platform, 1, &device, NULL, NULL, &status));
	ASK(clGetContextInfo, other, CL_CONTEXT_PROPERTIES, SIZE_ONLY);
	ASK(clGetContextInfo, other, CL_CONTEXT_REFERENCE_COUNT, NUMBER);
	CALL(clRetainContext(other));
	ASK(clGetContextInfo, other, CL_CONTEXT_REFERENCE_COUNT, NUMBER);
	CALL(clReleaseContext(other));
	CALL(clReleaseContext(other));
	other = MAKE(clCreateContextFromType(with_platform, CL_DEVICE_TYPE_ALL, NULL, NULL, &status));
	ASK(clGetContextInfo, other, CL_CONTEXT_NUM_DEVICES, NUMBER);
	CALL(clReleaseContext(other));
	other = MAKE(clCreateContextFromType(with_platform, CL_DEVICE_TYPE_CPU, NULL, NULL, &status));
	CALL(clReleaseContext(other));
}

static void queues(void)
{
	say("# queues");
	ASK(clGetCommandQueueInfo, queue, CL_QUEUE_CONTEXT, POINTER);
	ASK(clGetCommandQueueInfo, queue, CL_QUEUE_DEVICE, POINTER);
	ASK(clGetCommandQueueInfo, queue, CL_QUEUE_PROPERTIES, NUMBER);
	ASK(clGetCommandQueueInfo, queue, CL_QUEUE_REFERENCE_COUNT, NUMBER);
	ASK(clGetCommandQueueInfo, queue, 0x9999, NUMBER);
	const cl_queue_properties properties[] = {CL_QUEUE_PROPERTIES, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, 0};
	cl_command_queue other = MAKE(clCreateCommandQueueWithProperties(context, device, properties, &status));
	ASK(clGetCommandQueueInfo, other, CL_QUEUE_PROPERTIES, NUMBER);
	CALL(clRetainCommandQueue(other));
	ASK(clGetCommandQueueInfo, other, CL_QUEUE_REFERENCE_COUNT, NUMBER);
	CALL(clReleaseCommandQueue(other));
	CALL(clReleaseCommandQueue(other));
	other = MAKE(clCreateCommandQueueWithProperties(context, device, NULL, &status));
	ASK(clGetCommandQueueInfo, other, CL_QUEUE_PROPERTIES, NUMBER);
	CALL(clReleaseCommandQueue(other));
}

static void buffers(void)
{
	say("# buffers");
	char host[256] = "bytes";
	const cl_mem_flags flags[] = {0,
				      CL_MEM_READ_WRITE,
				      CL_MEM_READ_ONLY,
				      CL_MEM_WRITE_ONLY | CL_MEM_ALLOC_HOST_PTR,
				      CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
				      CL_MEM_COPY_HOST_PTR | CL_MEM_HOST_READ_ONLY,
				      CL_MEM_COPY_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_HOST_WRITE_ONLY,
				      CL_MEM_HOST_NO_ACCESS};
	for (size_t i = 0; i < COUNT(flags); i++) {
		bool needs = flags[i] & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR);
		say("flags %#llx", (unsigned long long)flags[i]);
		cl_mem mem = MAKE(clCreateBuffer(context, flags[i], sizeof(host), needs ? host : NULL, &status));
		ASK(clGetMemObjectInfo, mem, CL_MEM_TYPE, NUMBER);
		/* Whether flags that were left out are filled in is the driver's choice. */
		if (flags[i] & (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY))
			ASK(clGetMemObjectInfo, mem, CL_MEM_FLAGS, NUMBER);
		ASK(clGetMemObjectInfo, mem, CL_MEM_SIZE, NUMBER);
		ASK(clGetMemObjectInfo, mem, CL_MEM_MAP_COUNT, NUMBER);
		ASK(clGetMemObjectInfo, mem, CL_MEM_REFERENCE_COUNT, NUMBER);
		ASK(clGetMemObjectInfo, mem, CL_MEM_CONTEXT, POINTER);
		ASK(clGetMemObjectInfo, mem, CL_MEM_OFFSET, NUMBER);
		ASK(clGetMemObjectInfo, mem, CL_MEM_ASSOCIATED_MEMOBJECT, POINTER);
		ASK(clGetMemObjectInfo, mem, CL_MEM_USES_SVM_POINTER, NUMBER);
		if (flags[i] & CL_MEM_USE_HOST_PTR) {
			void *pointer = NULL;
			MUST(clGetMemObjectInfo(mem, CL_MEM_HOST_PTR, sizeof(pointer), &pointer, NULL));
			say("  the host pointer is the program's: %s", pointer == host ? "yes" : "no");
		} else {
			ASK(clGetMemObjectInfo, mem, CL_MEM_HOST_PTR, SIZE_ONLY);
		}
		CALL(clRetainMemObject(mem));
		ASK(clGetMemObjectInfo, mem, CL_MEM_REFERENCE_COUNT, NUMBER);
		CALL(clReleaseMemObject(mem));
		CALL(clReleaseMemObject(mem));
	}
}

static void sub_buffers(void)
{
	say("# sub-buffers");
	cl_mem mem = MUST_MAKE(clCreateBuffer(context, CL_MEM_READ_ONLY, 64 * KIB, NULL, &status));
	cl_buffer_region region = {.origin = 4096, .size = 1000};
	cl_mem sub = MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &status));
	ASK(clGetMemObjectInfo, sub, CL_MEM_SIZE, NUMBER);
	ASK(clGetMemObjectInfo, sub, CL_MEM_OFFSET, NUMBER);
	ASK(clGetMemObjectInfo, sub, CL_MEM_FLAGS, NUMBER);
	ASK(clGetMemObjectInfo, sub, CL_MEM_REFERENCE_COUNT, NUMBER);
	cl_mem parent = NULL;
	MUST(clGetMemObjectInfo(sub, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(parent), &parent, NULL));
	say("the parent is the parent: %s", parent == mem ? "yes" : "no");
	/* The parent lives on in its sub-buffer. */
	MUST(clReleaseMemObject(mem));
	int value = 4711, back = 0;
	CALL(clEnqueueWriteBuffer(queue, sub, CL_TRUE, 8, sizeof(value), &value, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, sub, CL_TRUE, 8, sizeof(back), &back, 0, NULL, NULL));
	say("read %d", back);
	CALL(clReleaseMemObject(sub));
}

static void programs_and_kernels(void)
{
	say("# programs and kernels");
	cl_program program = program_of("kernel void one(global int *a, int b) { a[0] = b; }\n"
					"kernel void two(local float *x) { x[get_local_id(0)] = 1; }\n",
					"-DX=1");
	ASK(clGetProgramInfo, program, CL_PROGRAM_CONTEXT, POINTER);
	ASK(clGetProgramInfo, program, CL_PROGRAM_NUM_DEVICES, NUMBER);
	ASK(clGetProgramInfo, program, CL_PROGRAM_DEVICES, POINTER);
	ASK(clGetProgramInfo, program, CL_PROGRAM_SOURCE, STRING);
	ASK(clGetProgramInfo, program, CL_PROGRAM_NUM_KERNELS, NUMBER);
	ASK(clGetProgramInfo, program, CL_PROGRAM_KERNEL_NAMES, STRING);
	ASK(clGetProgramInfo, program, CL_PROGRAM_REFERENCE_COUNT, NUMBER);
	ASK(clGetProgramInfo, program, 0x9999, NUMBER);
	cl_kernel kernel = kernel_of(program, "one");
	ASK(clGetKernelInfo, kernel, CL_KERNEL_FUNCTION_NAME, STRING);
	ASK(clGetKernelInfo, kernel, CL_KERNEL_NUM_ARGS, NUMBER);
	ASK(clGetKernelInfo, kernel, CL_KERNEL_REFERENCE_COUNT, NUMBER);
	ASK(clGetKernelInfo, kernel, CL_KERNEL_CONTEXT, POINTER);
	ASK(clGetKernelInfo, kernel, CL_KERNEL_ATTRIBUTES, STRING);
	ASK(clGetKernelInfo, kernel, 0x9999, NUMBER);
	cl_program of = NULL;
	MUST(clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof(of), &of, NULL));
	say("the kernel's program is its program: %s", of == program ? "yes" : "no");
	CALL(clRetainKernel(kernel));
	ASK(clGetKernelInfo, kernel, CL_KERNEL_REFERENCE_COUNT, NUMBER);
	CALL(clReleaseKernel(kernel));
	/* The program lives on in its kernel. */
	MUST(clReleaseProgram(program));
	ASK(clGetKernelInfo, kernel, CL_KERNEL_FUNCTION_NAME, STRING);
	CALL(clReleaseKernel(kernel));
}

static void events(void)
{
	say("# events");
	cl_mem mem = buffer_of(4096);
	cl_event event;
	int value = 7;
	MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, sizeof(value), &value, 0, NULL, &event));
	ASK(clGetEventInfo, event, CL_EVENT_COMMAND_QUEUE, POINTER);
	ASK(clGetEventInfo, event, CL_EVENT_CONTEXT, POINTER);
	ASK(clGetEventInfo, event, CL_EVENT_COMMAND_TYPE, NUMBER);
	ASK(clGetEventInfo, event, CL_EVENT_COMMAND_EXECUTION_STATUS, NUMBER);
	/* PoCL counts its own references to an event too. */
	ASK_DIFFERS(clGetEventInfo, event, CL_EVENT_REFERENCE_COUNT, NUMBER);
	ASK(clGetEventInfo, event, 0x9999, NUMBER);
	ASK(clGetEventProfilingInfo, event, CL_PROFILING_COMMAND_END, SIZE_ONLY);
	/* PoCL answers the size of what it does not know. */
	cl_ulong time;
	CALL(clGetEventProfilingInfo(event, 0x9999, sizeof(time), &time, NULL));
	CALL(clRetainEvent(event));
	ASK_DIFFERS(clGetEventInfo, event, CL_EVENT_REFERENCE_COUNT, NUMBER);
	CALL(clReleaseEvent(event));
	CALL(clReleaseEvent(event));
	cl_event user = MUST_MAKE(clCreateUserEvent(context, &status));
	ASK(clGetEventInfo, user, CL_EVENT_COMMAND_QUEUE, POINTER);
	ASK(clGetEventInfo, user, CL_EVENT_COMMAND_TYPE, NUMBER);
	ASK(clGetEventInfo, user, CL_EVENT_COMMAND_EXECUTION_STATUS, NUMBER);
	CALL(clSetUserEventStatus(user, CL_COMPLETE));
	ASK(clGetEventInfo, user, CL_EVENT_COMMAND_EXECUTION_STATUS, NUMBER);
	CALL(clReleaseEvent(user));
	CALL(clReleaseMemObject(mem));
}

static void devices(void)
{
	say("# platform and device");
	ASK(clGetPlatformInfo, platform, CL_PLATFORM_NAME, STRING);
	ASK(clGetPlatformInfo, platform, CL_PLATFORM_VENDOR, STRING);
	ASK(clGetPlatformInfo, platform, CL_PLATFORM_PROFILE, STRING);
	ASK(clGetPlatformInfo, platform, CL_PLATFORM_VERSION, STRING);
	ASK(clGetPlatformInfo, platform, 0x9999, STRING);
	ASK(clGetDeviceInfo, device, CL_DEVICE_NAME, STRING);
	ASK(clGetDeviceInfo, device, CL_DEVICE_VERSION, STRING);
	ASK(clGetDeviceInfo, device, CL_DEVICE_TYPE, NUMBER);
	ASK(clGetDeviceInfo, device, CL_DEVICE_MAX_WORK_GROUP_SIZE, NUMBER);
	ASK(clGetDeviceInfo, device, CL_DEVICE_MAX_WORK_ITEM_SIZES, BYTES);
	ASK(clGetDeviceInfo, device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, NUMBER);
	ASK(clGetDeviceInfo, device, CL_DEVICE_ADDRESS_BITS, NUMBER);
	ASK(clGetDeviceInfo, device, CL_DEVICE_PLATFORM, POINTER);
	ASK(clGetDeviceInfo, device, CL_DEVICE_PARENT_DEVICE, POINTER);
	ASK(clGetDeviceInfo, device, CL_DEVICE_REFERENCE_COUNT, NUMBER);
	ASK(clGetDeviceInfo, device, 0x9999, NUMBER);
	cl_uint count = 0;
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count));
	say("devices: %u", count);
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_GPU, 0, NULL, &count));
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_DEFAULT, 0, NULL, &count));
	/* PoCL does not know that a type of none is none. */
	CALL_DIFFERS(clGetDeviceIDs(platform, 0, 1, &device, NULL));
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, &device, NULL));
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, NULL, NULL));
	CALL(clRetainDevice(device));
	CALL(clReleaseDevice(device));
}

int main(void)
{
	begin();
	devices();
	contexts();
	queues();
	buffers();
	sub_buffers();
	programs_and_kernels();
	events();
	end();
	return 0;
}
