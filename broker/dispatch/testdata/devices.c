/* Two devices of one platform: contexts of one and of both, work that goes from one to the other, their memory. */
#include "check.h"

enum { WORDS = 4096 };

static cl_device_id both[2];
static const char *source = "kernel void add(global int *a, int n) { a[get_global_id(0)] += n; }";

static void list(void)
{
	cl_device_id one[1] = {NULL};
	cl_uint count = 0;
	say("# list");
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 2, both, &count));
	say("%u devices, which are %s", count, both[0] == both[1] ? "one" : "two");
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_CPU, 1, one, &count));
	say("%u devices, the first is %s", count, one[0] == both[0] ? "the same" : "another");
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_DEFAULT, 1, one, NULL));
	say("the default is %s", one[0] == both[0] ? "the first" : "another");
	CALL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_GPU, 1, one, NULL));
	for (int i = 0; i < 2; i++) {
		cl_uint units = 0;
		cl_device_id parent = both[i];
		cl_platform_id of = NULL;
		CALL(clGetDeviceInfo(both[i], CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(units), &units, NULL));
		CALL(clGetDeviceInfo(both[i], CL_DEVICE_PARENT_DEVICE, sizeof(parent), &parent, NULL));
		CALL(clGetDeviceInfo(both[i], CL_DEVICE_PLATFORM, sizeof(of), &of, NULL));
		say("%u units, parent %p, %s", units, (void *)parent,
		    of == platform ? "of the platform" : "of another");
		CALL(clRetainDevice(both[i]));
		CALL(clReleaseDevice(both[i]));
	}
}

/* Says which devices a context, or a program of it, has. */
static void has(const char *what, cl_int status, size_t size, cl_device_id *list)
{
	say("%s: %s, %zu devices", what, status_name(status), size / sizeof(*list));
	for (size_t i = 0; i < size / sizeof(*list); i++)
		say("  %s", list[i] == both[0] ? "first" : list[i] == both[1] ? "second" : "unknown");
}

static void contexts(void)
{
	cl_device_id reversed[2] = {both[1], both[0]}, twice[2] = {both[1], both[1]}, found[4];
	cl_context of[4];
	size_t size = 0;
	say("# contexts");
	of[0] = MAKE(clCreateContext(NULL, 1, both + 1, NULL, NULL, &status));
	of[1] = MAKE(clCreateContext(NULL, 2, reversed, NULL, NULL, &status));
	of[2] = MAKE(clCreateContext(NULL, 2, twice, NULL, NULL, &status));
	of[3] = MAKE(clCreateContextFromType(NULL, CL_DEVICE_TYPE_CPU, NULL, NULL, &status));
	for (size_t i = 0; i < COUNT(of); i++) {
		cl_int status = clGetContextInfo(of[i], CL_CONTEXT_DEVICES, sizeof(found), found, &size);
		has("context", status, size, found);
	}
	MAKE(clCreateCommandQueue(of[0], both[0], 0, &status));
	for (size_t i = 0; i < COUNT(of); i++)
		MUST(clReleaseContext(of[i]));
}

/* A kernel on one device, then on the other, on the same buffer; each waits for the one before. */
static void relay(cl_context on, cl_command_queue queues[2], cl_kernel kernel)
{
	static int from[WORDS], to[WORDS];
	size_t global = WORDS;
	cl_event last = NULL;
	for (int i = 0; i < WORDS; i++)
		from[i] = i;
	cl_mem mem = MUST_MAKE(clCreateBuffer(on, CL_MEM_READ_WRITE, sizeof(from), NULL, &status));
	MUST(clEnqueueWriteBuffer(queues[0], mem, CL_FALSE, 0, sizeof(from), from, 0, NULL, &last));
	MUST(clFlush(queues[0]));
	MUST(clSetKernelArg(kernel, 0, sizeof(mem), &mem));
	for (int n = 1; n <= 64; n++) {
		cl_event ran;
		MUST(clSetKernelArg(kernel, 1, sizeof(n), &n));
		MUST(clEnqueueNDRangeKernel(queues[n % 2], kernel, 1, NULL, &global, NULL, 1, &last, &ran));
		MUST(clFlush(queues[n % 2]));
		MUST(clReleaseEvent(last));
		last = ran;
	}
	MUST(clEnqueueReadBuffer(queues[1], mem, CL_TRUE, 0, sizeof(to), to, 1, &last, NULL));
	bool right = true;
	for (int i = 0; i < WORDS; i++)
		right = right && to[i] == i + 64 * 65 / 2;
	say("relay: %s", right ? "right" : "wrong");
	int *mapped =
		MUST_MAKE(clEnqueueMapBuffer(queues[0], mem, CL_TRUE, CL_MAP_WRITE, 0, 64, 0, NULL, NULL, &status));
	mapped[3] = -1;
	MUST(clEnqueueUnmapMemObject(queues[0], mem, mapped, 0, NULL, NULL));
	MUST(clFinish(queues[0]));
	MUST(clEnqueueReadBuffer(queues[1], mem, CL_TRUE, 12, sizeof(int), to, 0, NULL, NULL));
	say("what was written through a map of the first, read by the second: %d", to[0]);
	MUST(clReleaseEvent(last));
	MUST(clReleaseMemObject(mem));
}

static void shared_work(void)
{
	cl_context on = MUST_MAKE(clCreateContext(NULL, 2, both, NULL, NULL, &status));
	cl_command_queue queues[2];
	cl_device_id found[4];
	size_t size = 0, sizes[2] = {0};
	say("# work on both");
	cl_program program = MUST_MAKE(clCreateProgramWithSource(on, 1, &source, NULL, &status));
	CALL(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
	cl_int status = clGetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof(found), found, &size);
	has("program", status, size, found);
	CALL(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(sizes), sizes, NULL));
	say("binaries: %d, %d", sizes[0] > 0, sizes[1] > 0);
	cl_kernel kernel = kernel_of(program, "add");
	for (int i = 0; i < 2; i++) {
		cl_build_status built = 1;
		size_t group = 0;
		cl_device_id of = NULL;
		CALL(clGetProgramBuildInfo(program, both[i], CL_PROGRAM_BUILD_STATUS, sizeof(built), &built, NULL));
		CALL(clGetKernelWorkGroupInfo(kernel, both[i], CL_KERNEL_WORK_GROUP_SIZE, sizeof(group), &group, NULL));
		say("built %d, groups of %zu", built, group);
		queues[i] = MUST_MAKE(clCreateCommandQueue(on, both[i], 0, &status));
		CALL(clGetCommandQueueInfo(queues[i], CL_QUEUE_DEVICE, sizeof(of), &of, NULL));
		say("a queue of the %s", of == both[0] ? "first" : of == both[1] ? "second" : "unknown");
	}
	relay(on, queues, kernel);
	for (int i = 0; i < 2; i++)
		MUST(clReleaseCommandQueue(queues[i]));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseProgram(program));
	MUST(clReleaseContext(on));
}

/* Each device has memory of its own; what a context of both allocates is taken of each. */
static void memory(void)
{
	const size_t quota = 48 * MIB;
	cl_device_id orders[][2] = {{both[0], both[1]}, {both[1], both[0]}};
	cl_mem kept[2];
	cl_ulong size;
	if (!shimmed())
		return;
	for (int i = 0; i < 2; i++) {
		MUST(clGetDeviceInfo(both[i], CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(size), &size, NULL));
		EXPECT(size == quota * (i + 1));
	}
	for (int i = 0; i < 2; i++) {
		cl_context alone = MUST_MAKE(clCreateContext(NULL, 1, both + i, NULL, NULL, &status));
		cl_int status;
		kept[i] = MUST_MAKE(clCreateBuffer(alone, 0, quota / 2, NULL, &status));
		EXPECT(!clCreateBuffer(alone, 0, quota * (i + 1), NULL, &status) &&
		       status == CL_MEM_OBJECT_ALLOCATION_FAILURE);
		MUST(clReleaseContext(alone));
	}
	for (int i = 0; i < 2; i++) {
		cl_context shared = MUST_MAKE(clCreateContext(NULL, 2, orders[i], NULL, NULL, &status));
		cl_int status;
		EXPECT(!clCreateBuffer(shared, 0, quota, NULL, &status) && status == CL_MEM_OBJECT_ALLOCATION_FAILURE);
		cl_mem fits = MUST_MAKE(clCreateBuffer(shared, 0, quota / 4, NULL, &status));
		MUST(clReleaseMemObject(fits));
		MUST(clReleaseContext(shared));
	}
	for (int i = 0; i < 2; i++)
		MUST(clReleaseMemObject(kept[i]));
}

/* A part of one device beside the whole of the other. */
static void part(void)
{
	const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
	cl_device_id parts[8], parent = NULL;
	cl_uint count = 0;
	say("# part");
	MUST(clCreateSubDevices(both[1], equally, COUNT(parts), parts, &count));
	CALL(clGetDeviceInfo(parts[0], CL_DEVICE_PARENT_DEVICE, sizeof(parent), &parent, NULL));
	say("a part of the %s", parent == both[1] ? "second" : "other");
	cl_device_id mixed[2] = {both[0], parts[0]};
	cl_context on = MUST_MAKE(clCreateContext(NULL, 2, mixed, NULL, NULL, &status));
	cl_mem mem = MUST_MAKE(clCreateBuffer(on, 0, 4096, NULL, &status));
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseContext(on));
	for (cl_uint i = 0; i < count; i++)
		MUST(clReleaseDevice(parts[i]));
}

int main(void)
{
	begin();
	list();
	contexts();
	shared_work();
	memory();
	part();
	end();
	return 0;
}
