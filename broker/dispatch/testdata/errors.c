/* What each call refuses, and with which error: OpenCL 3.0, chapters 4 and 5. */
#include "check.h"

static cl_context other_context;
static cl_command_queue other_queue;
static cl_mem mem, other_mem;
static cl_program program;
static cl_kernel kernel;
static cl_event done;
static char bytes[4096];

static void null_handles(void)
{
	say("# NULL");
	size_t one = 1;
	MAKE(clCreateCommandQueue(NULL, device, 0, &status));
	MAKE(clCreateBuffer(NULL, 0, 16, NULL, &status));
	MAKE(clCreateSubBuffer(NULL, 0, CL_BUFFER_CREATE_TYPE_REGION, bytes, &status));
	MAKE(clCreateProgramWithSource(NULL, 1, NULL, NULL, &status));
	MAKE(clCreateKernel(NULL, "k", &status));
	MAKE(clCreateUserEvent(NULL, &status));
	CALL(clRetainContext(NULL));
	CALL(clReleaseContext(NULL));
	CALL(clReleaseCommandQueue(NULL));
	CALL(clReleaseMemObject(NULL));
	CALL(clReleaseProgram(NULL));
	CALL(clReleaseKernel(NULL));
	CALL(clReleaseEvent(NULL));
	CALL(clGetContextInfo(NULL, CL_CONTEXT_NUM_DEVICES, 0, NULL, NULL));
	CALL(clGetCommandQueueInfo(NULL, CL_QUEUE_CONTEXT, 0, NULL, NULL));
	CALL(clGetMemObjectInfo(NULL, CL_MEM_SIZE, 0, NULL, NULL));
	CALL(clGetProgramInfo(NULL, CL_PROGRAM_SOURCE, 0, NULL, NULL));
	CALL(clGetProgramBuildInfo(NULL, device, CL_PROGRAM_BUILD_STATUS, 0, NULL, NULL));
	CALL(clGetKernelInfo(NULL, CL_KERNEL_NUM_ARGS, 0, NULL, NULL));
	CALL(clGetEventInfo(NULL, CL_EVENT_COMMAND_TYPE, 0, NULL, NULL));
	CALL(clBuildProgram(NULL, 0, NULL, NULL, NULL, NULL));
	CALL(clSetKernelArg(NULL, 0, 4, bytes));
	CALL(clSetUserEventStatus(NULL, CL_COMPLETE));
	CALL(clFlush(NULL));
	CALL(clFinish(NULL));
	CALL(clEnqueueReadBuffer(NULL, mem, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, NULL, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
	CALL(clEnqueueWriteBuffer(NULL, mem, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
	CALL(clEnqueueWriteBuffer(queue, NULL, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, NULL, mem, 0, 0, 4, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, NULL, 0, 0, 4, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, NULL, bytes, 4, 0, 4, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(NULL, kernel, 1, NULL, &one, NULL, 0, NULL, NULL));
	SHIM_ONLY(clEnqueueNDRangeKernel(queue, NULL, 1, NULL, &one, NULL, 0, NULL, NULL), CL_INVALID_KERNEL);
	SHIM_ONLY(clEnqueueTask(queue, NULL, 0, NULL, NULL), CL_INVALID_KERNEL);
	CALL(clEnqueueUnmapMemObject(queue, NULL, bytes, 0, NULL, NULL));
	MAKE(clEnqueueMapBuffer(queue, NULL, CL_TRUE, CL_MAP_READ, 0, 4, 0, NULL, NULL, &status));
	CALL(clEnqueueMarkerWithWaitList(NULL, 0, NULL, NULL));
	CALL(clEnqueueBarrierWithWaitList(NULL, 0, NULL, NULL));
	CALL(clWaitForEvents(0, NULL));
	CALL(clWaitForEvents(1, NULL));
}

/* A bare driver may crash at an object of another kind; the shim must not. */
static void wrong_kinds(void)
{
	if (!shimmed())
		return;
	EXPECT(clFinish((cl_command_queue)mem) == CL_INVALID_COMMAND_QUEUE);
	EXPECT(clReleaseMemObject((cl_mem)queue) == CL_INVALID_MEM_OBJECT);
	EXPECT(clReleaseContext((cl_context)queue) == CL_INVALID_CONTEXT);
	EXPECT(clReleaseEvent((cl_event)kernel) == CL_INVALID_EVENT);
	EXPECT(clReleaseKernel((cl_kernel)program) == CL_INVALID_KERNEL);
	EXPECT(clReleaseProgram((cl_program)kernel) == CL_INVALID_PROGRAM);
	EXPECT(clGetEventInfo((cl_event)mem, CL_EVENT_COMMAND_TYPE, 0, NULL, NULL) == CL_INVALID_EVENT);
	EXPECT(clGetDeviceInfo((cl_device_id)context, CL_DEVICE_NAME, 0, NULL, NULL) == CL_INVALID_DEVICE);
	EXPECT(clEnqueueReadBuffer(queue, (cl_mem)kernel, CL_TRUE, 0, 4, bytes, 0, NULL, NULL) ==
	       CL_INVALID_MEM_OBJECT);
	EXPECT(clSetKernelArg(kernel, 0, sizeof(cl_mem), &kernel) == CL_INVALID_MEM_OBJECT);
	cl_event not_event = (cl_event)mem;
	EXPECT(clWaitForEvents(1, &not_event) == CL_INVALID_EVENT);
	EXPECT(clEnqueueMarkerWithWaitList(queue, 1, &not_event, NULL) == CL_INVALID_EVENT_WAIT_LIST);
	cl_int status = CL_SUCCESS;
	EXPECT(!clCreateBuffer((cl_context)mem, 0, 16, NULL, &status) && status == CL_INVALID_CONTEXT);
	EXPECT(!clCreateKernel((cl_program)mem, "k", &status) && status == CL_INVALID_PROGRAM);
	EXPECT(!clCreateCommandQueue(context, (cl_device_id)mem, 0, &status) && status == CL_INVALID_DEVICE);
}

static void creates(void)
{
	say("# creates");
	const cl_context_properties bad_property[] = {0x7777, 1, 0}, bad_platform[] = {CL_CONTEXT_PLATFORM, 0, 0},
				    twice[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)platform,
					       CL_CONTEXT_PLATFORM, (cl_context_properties)platform, 0};
	cl_device_id no_device = NULL;
	MAKE(clCreateContext(bad_property, 1, &device, NULL, NULL, &status));
	MAKE(clCreateContext(bad_platform, 1, &device, NULL, NULL, &status));
	MAKE(clCreateContext(twice, 1, &device, NULL, NULL, &status));
	MAKE(clCreateContext(NULL, 0, &device, NULL, NULL, &status));
	MAKE(clCreateContext(NULL, 1, NULL, NULL, NULL, &status));
	MAKE(clCreateContext(NULL, 1, &no_device, NULL, NULL, &status));
	MAKE(clCreateContext(NULL, 1, &device, NULL, bytes, &status));
	MAKE(clCreateCommandQueue(context, NULL, 0, &status));
	MAKE(clCreateCommandQueue(context, device, 1 << 20, &status));
	MAKE(clCreateBuffer(context, 0, 0, NULL, &status));
	MAKE(clCreateBuffer(context, 0, SIZE_MAX, NULL, &status));
	MAKE(clCreateBuffer(context, 1 << 25, 16, NULL, &status));
	MAKE(clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 16, NULL, &status));
	MAKE(clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY, 16, NULL, &status));
	MAKE(clCreateBuffer(context, CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS, 16, NULL, &status));
	MAKE(clCreateBuffer(context, CL_MEM_USE_HOST_PTR, 16, NULL, &status));
	MAKE(clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 16, NULL, &status));
	MAKE(clCreateBuffer(context, CL_MEM_READ_WRITE, 16, bytes, &status));
	MAKE(clCreateBuffer(context, CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR, 16, bytes, &status));
	MAKE(clCreateBuffer(context, CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR, 16, bytes, &status));
	const char *source = "kernel void k() {}", *missing[] = {source, NULL};
	MAKE(clCreateProgramWithSource(context, 0, &source, NULL, &status));
	SHIM_ONLY_MAKE(clCreateProgramWithSource(context, 1, NULL, NULL, &status), CL_INVALID_VALUE);
	MAKE(clCreateProgramWithSource(context, 2, missing, NULL, &status));
	MAKE(clCreateKernel(program, "absent", &status));
	MAKE(clCreateKernel(program, "", &status));
	MAKE(clCreateKernel(program, NULL, &status));
	cl_program raw = MUST_MAKE(clCreateProgramWithSource(context, 1, &source, NULL, &status));
	MAKE(clCreateKernel(raw, "k", &status));
	CALL(clGetProgramInfo(raw, CL_PROGRAM_NUM_KERNELS, 0, NULL, NULL));
	CALL(clReleaseProgram(raw));
}

static void sub_buffers(void)
{
	say("# sub-buffers");
	cl_buffer_region whole = {0, 8192}, behind = {4096, 8192}, far = {1 << 30, 4}, empty = {0, 0}, odd = {1, 16},
			 wraps = {(size_t)-64, 128};
	cl_mem sub = MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &whole, &status));
	MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &behind, &status));
	MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &far, &status));
	MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &empty, &status));
	MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, NULL, &status));
	MAKE(clCreateSubBuffer(mem, 0, 0x7777, &whole, &status));
	if (shimmed())
		EXPECT(!clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &wraps, NULL));
	cl_mem misaligned = MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &odd, &status));
	if (misaligned) {
		CALL(clEnqueueReadBuffer(queue, misaligned, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
		CALL(clReleaseMemObject(misaligned));
	}
	MAKE(clCreateSubBuffer(sub, 0, CL_BUFFER_CREATE_TYPE_REGION, &empty, &status));
	whole.size = 16;
	MAKE(clCreateSubBuffer(sub, 0, CL_BUFFER_CREATE_TYPE_REGION, &whole, &status));
	CALL(clReleaseMemObject(sub));
	cl_mem read_only =
		MUST_MAKE(clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_HOST_READ_ONLY, 4096, NULL, &status));
	MAKE(clCreateSubBuffer(read_only, CL_MEM_WRITE_ONLY, CL_BUFFER_CREATE_TYPE_REGION, &whole, &status));
	MAKE(clCreateSubBuffer(read_only, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &whole, &status));
	MAKE(clCreateSubBuffer(read_only, CL_MEM_HOST_WRITE_ONLY, CL_BUFFER_CREATE_TYPE_REGION, &whole, &status));
	MAKE(clCreateSubBuffer(read_only, CL_MEM_COPY_HOST_PTR, CL_BUFFER_CREATE_TYPE_REGION, &whole, &status));
	CALL(clReleaseMemObject(read_only));
}

static void transfers(void)
{
	say("# transfers");
	const size_t size = 8192;
	static char big[8192];
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 0, bytes, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, size + 1, big, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, size, 1, big, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, SIZE_MAX, 1, big, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 1, SIZE_MAX, big, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, size - 1, 1, big, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, 1, NULL, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(other_queue, mem, CL_TRUE, 0, 1, big, 0, NULL, NULL));
	CALL(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, 0, bytes, 0, NULL, NULL));
	CALL(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 1, size, big, 0, NULL, NULL));
	CALL(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, 1, NULL, 0, NULL, NULL));
	CALL(clEnqueueWriteBuffer(queue, other_mem, CL_TRUE, 0, 1, big, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, mem, 0, 10, 11, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, mem, 0, 11, 11, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, mem, 10, 0, 11, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, mem, 0, size, 1, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, mem, SIZE_MAX, 0, 1, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, mem, 0, 4096, 0, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, other_mem, 0, 0, 1, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, mem, bytes, 0, 0, 16, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, mem, bytes, 3, 0, 3, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, mem, bytes, 256, 0, 256, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, mem, NULL, 4, 0, 16, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, mem, bytes, 4, 2, 16, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, mem, bytes, 4, 0, 6, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, mem, bytes, 4, size, 4, 0, NULL, NULL));
	CALL(clEnqueueFillBuffer(queue, mem, bytes, 4, 0, 16, 0, NULL, NULL));
	const size_t origin[3] = {0}, region[3] = {4, 2, 1}, none[3] = {0, 2, 1}, beyond[3] = {0, 5000, 0};
	CALL(clEnqueueCopyBufferRect(queue, mem, mem, origin, origin, region, 0, 0, 0, 0, 0, NULL, NULL));
	CALL(clEnqueueCopyBufferRect(queue, mem, mem, origin, beyond, region, 0, 0, 0, 0, 0, NULL, NULL));
	CALL(clEnqueueCopyBufferRect(queue, mem, mem, origin, origin, none, 0, 0, 0, 0, 0, NULL, NULL));
	CALL(clEnqueueCopyBufferRect(queue, mem, mem, NULL, origin, region, 0, 0, 0, 0, 0, NULL, NULL));
	CALL(clEnqueueCopyBufferRect(queue, mem, mem, origin, origin, region, 3, 0, 0, 0, 0, NULL, NULL));
	cl_mem write_only = MUST_MAKE(clCreateBuffer(context, CL_MEM_HOST_WRITE_ONLY, 64, NULL, &status));
	cl_mem read_only = MUST_MAKE(clCreateBuffer(context, CL_MEM_HOST_READ_ONLY, 64, NULL, &status));
	cl_mem neither = MUST_MAKE(clCreateBuffer(context, CL_MEM_HOST_NO_ACCESS, 64, NULL, &status));
	CALL(clEnqueueReadBuffer(queue, write_only, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
	CALL(clEnqueueWriteBuffer(queue, read_only, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, neither, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
	CALL(clEnqueueWriteBuffer(queue, neither, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
	MAKE(clEnqueueMapBuffer(queue, write_only, CL_TRUE, CL_MAP_READ, 0, 4, 0, NULL, NULL, &status));
	MAKE(clEnqueueMapBuffer(queue, read_only, CL_TRUE, CL_MAP_WRITE, 0, 4, 0, NULL, NULL, &status));
	MAKE(clEnqueueMapBuffer(queue, neither, CL_TRUE, CL_MAP_READ, 0, 4, 0, NULL, NULL, &status));
	CALL(clReleaseMemObject(write_only));
	CALL(clReleaseMemObject(read_only));
	CALL(clReleaseMemObject(neither));
	MAKE(clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, 0, 0, 0, NULL, NULL, &status));
	MAKE(clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, 0, size + 1, 0, NULL, NULL, &status));
	MAKE(clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, SIZE_MAX, 1, 0, NULL, NULL, &status));
	/* PoCL looks at no flags. */
	SHIM_ONLY_MAKE(clEnqueueMapBuffer(queue, mem, CL_TRUE, 1 << 20, 0, 1, 0, NULL, NULL, &status),
		       CL_INVALID_VALUE);
	SHIM_ONLY_MAKE(clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION | CL_MAP_READ, 0, 1, 0,
					  NULL, NULL, &status),
		       CL_INVALID_VALUE);
	MAKE(clEnqueueMapBuffer(queue, other_mem, CL_TRUE, CL_MAP_READ, 0, 1, 0, NULL, NULL, &status));
	CALL(clEnqueueUnmapMemObject(queue, mem, bytes, 0, NULL, NULL));
	CALL(clEnqueueUnmapMemObject(queue, mem, NULL, 0, NULL, NULL));
	CALL(clEnqueueMigrateMemObjects(queue, 0, NULL, 0, 0, NULL, NULL));
	CALL(clEnqueueMigrateMemObjects(queue, 1, &mem, CL_MIGRATE_MEM_OBJECT_HOST, 0, NULL, NULL));
	CALL(clEnqueueMigrateMemObjects(queue, 1, &mem, 1 << 10, 0, NULL, NULL));
	CALL(clEnqueueMigrateMemObjects(queue, 1, &other_mem, 0, 0, NULL, NULL));
}

static void wait_lists(void)
{
	say("# wait lists");
	cl_event foreign = MUST_MAKE(clCreateUserEvent(other_context, &status)), none = NULL;
	size_t one = 1;
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, bytes, 1, NULL, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, bytes, 0, &done, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, bytes, 1, &none, NULL));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, bytes, 1, &foreign, NULL));
	CALL(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, 4, bytes, 1, &none, NULL));
	/* PoCL does not look. */
	SHIM_ONLY(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 1, &none, NULL),
		  CL_INVALID_EVENT_WAIT_LIST);
	CALL(clEnqueueMarkerWithWaitList(queue, 1, NULL, NULL));
	CALL(clEnqueueMarkerWithWaitList(queue, 1, &none, NULL));
	CALL(clEnqueueMarkerWithWaitList(queue, 1, &foreign, NULL));
	CALL(clEnqueueBarrierWithWaitList(queue, 0, &done, NULL));
	SHIM_ONLY(clEnqueueMarker(queue, NULL), CL_INVALID_VALUE);
	SHIM_ONLY(clEnqueueWaitForEvents(queue, 0, NULL), CL_INVALID_VALUE);
	SHIM_ONLY(clEnqueueWaitForEvents(queue, 1, &none), CL_INVALID_EVENT);
	cl_event both[] = {done, foreign}, with_none[] = {done, NULL};
	CALL(clWaitForEvents(2, both));
	CALL(clWaitForEvents(2, with_none));
	CALL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, bytes, 1, &done, NULL));
	MUST(clSetUserEventStatus(foreign, CL_COMPLETE));
	MUST(clReleaseEvent(foreign));
}

static void user_events(void)
{
	say("# user events");
	CALL(clSetUserEventStatus(done, CL_COMPLETE));
	cl_event user = MUST_MAKE(clCreateUserEvent(context, &status));
	CALL(clSetUserEventStatus(user, CL_RUNNING));
	CALL(clSetUserEventStatus(user, CL_QUEUED));
	CALL(clSetUserEventStatus(user, -5));
	CALL(clSetUserEventStatus(user, CL_COMPLETE));
	say("status %d", event_status(user));
	cl_ulong time;
	CALL(clGetEventProfilingInfo(user, CL_PROFILING_COMMAND_START, sizeof(time), &time, NULL));
	MUST(clReleaseEvent(user));
}

/*
 * What waits for an event that has failed fails too, and the queue goes on. PoCL 3.1 never ends such a command, so the
 * bare driver is left alone.
 */
static void failed_waits(void)
{
	const cl_int failure = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
	static char big[MIB];
	if (!shimmed())
		return;
	cl_mem large = buffer_of(MIB);
	cl_command_queue plain = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	for (int i = 0; i < 4; i++) {
		cl_event failed = MUST_MAKE(clCreateUserEvent(context, &status)), event = NULL;
		cl_int status;
		MUST(clSetUserEventStatus(failed, -7));
		memset(bytes, 'x', 16);
		EXPECT(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, bytes, 1, &failed, NULL) == failure);
		EXPECT(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, bytes, 1, &failed, &event) == failure);
		EXPECT(memcmp(bytes, "xxxx", 4) == 0);
		EXPECT(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, 4, "lost", 1, &failed, NULL) == failure);
		EXPECT(clEnqueueReadBuffer(plain, large, CL_TRUE, 0, MIB, big, 1, &failed, &event) == failure);
		EXPECT(clEnqueueWriteBuffer(plain, large, CL_TRUE, 0, MIB, big, 1, &failed, NULL) == failure);
		EXPECT(!clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, 0, 4, 1, &failed, NULL, &status));
		EXPECT(status == failure);
		EXPECT(!clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, 0, 4, 1, &failed, &event, &status));
		EXPECT(clWaitForEvents(1, &failed) == failure);
		/* One that nobody waits for has failed by its event. */
		EXPECT(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, 4, bytes, 1, &failed, &event) == CL_SUCCESS);
		EXPECT(event_status(event) < 0);
		EXPECT(clWaitForEvents(1, &event) == failure);
		EXPECT(memcmp(bytes, "xxxx", 4) == 0);
		MUST(clReleaseEvent(event));
		MUST(clReleaseEvent(failed));
		MUST(clFinish(plain));
		(void)clFinish(queue);
		/* All that the failures left behind must not be in the way of what comes. */
		cl_mem more = buffer_of(16);
		cl_event user = MUST_MAKE(clCreateUserEvent(context, &status));
		MUST(clSetUserEventStatus(user, CL_COMPLETE));
		MUST(clEnqueueWriteBuffer(queue, more, CL_TRUE, 0, 4, "kept", 1, &user, NULL));
		MUST(clEnqueueReadBuffer(queue, more, CL_TRUE, 0, 4, bytes, 0, NULL, NULL));
		EXPECT(memcmp(bytes, "kept", 4) == 0);
		MUST(clReleaseEvent(user));
		MUST(clReleaseMemObject(more));
	}
	MUST(clReleaseMemObject(large));
	MUST(clReleaseCommandQueue(plain));
}

static void not_there(void)
{
	say("# profiling");
	cl_command_queue plain = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	cl_event event;
	cl_ulong time;
	MUST(clEnqueueReadBuffer(plain, mem, CL_TRUE, 0, 4, bytes, 0, NULL, &event));
	CALL(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof(time), &time, NULL));
	MUST(clReleaseEvent(event));
	cl_event gate = MUST_MAKE(clCreateUserEvent(context, &status));
	MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, 4, bytes, 1, &gate, &event));
	CALL(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(time), &time, NULL));
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clFinish(queue));
	CALL(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(time), &time, NULL));
	MUST(clReleaseEvent(event));
	MUST(clReleaseEvent(gate));
	MUST(clReleaseCommandQueue(plain));
}

int main(void)
{
	begin();
	other_context = MUST_MAKE(clCreateContext(NULL, 1, &device, NULL, NULL, &status));
	other_queue = MUST_MAKE(clCreateCommandQueue(other_context, device, 0, &status));
	mem = buffer_of(8192);
	other_mem = MUST_MAKE(clCreateBuffer(other_context, CL_MEM_READ_WRITE, 8192, NULL, &status));
	program = program_of("kernel void k(global int *a) { a[0] = 1; }", "");
	kernel = kernel_of(program, "k");
	MUST(clSetKernelArg(kernel, 0, sizeof(mem), &mem));
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, bytes, 0, NULL, &done));
	null_handles();
	wrong_kinds();
	creates();
	sub_buffers();
	transfers();
	wait_lists();
	user_events();
	failed_waits();
	not_there();
	MUST(clReleaseEvent(done));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseProgram(program));
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseMemObject(other_mem));
	MUST(clReleaseCommandQueue(other_queue));
	MUST(clReleaseContext(other_context));
	end();
	return 0;
}
