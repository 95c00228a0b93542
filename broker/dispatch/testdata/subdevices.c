/* Sub-devices: what a device can be split into, what its parts are, and work on them. */
#include "check.h"

#define PARTS 8

static cl_device_id parts[PARTS];
static cl_uint part_count;

/* Logs a number of a device; a reference to another device as to which. */
static void ask(cl_device_id of, cl_device_info what, const char *name, size_t size)
{
	cl_ulong number = 0;
	cl_int status = clGetDeviceInfo(of, what, size, &number, NULL);
	if (what == CL_DEVICE_PARENT_DEVICE)
		number = number == (cl_ulong)(uintptr_t)device;
	say("%s = %s, %llu", name, status_name(status), (unsigned long long)number);
}
#define ASK(of, what, type) ask(of, what, #what, sizeof(type))

static void list(cl_device_id of, cl_device_info what, const char *name)
{
	intptr_t words[16] = {0};
	size_t size = 0;
	cl_int status = clGetDeviceInfo(of, what, sizeof(words), words, &size);
	say("%s = %s, %zu bytes", name, status_name(status), size);
	for (size_t i = 0; i < size / sizeof(words[0]); i++)
		say("  %lx", (long)words[i]);
}

static void describe(cl_device_id of)
{
	ASK(of, CL_DEVICE_PARENT_DEVICE, cl_device_id);
	ASK(of, CL_DEVICE_REFERENCE_COUNT, cl_uint);
	ASK(of, CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint);
	ASK(of, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, cl_uint);
	ASK(of, CL_DEVICE_PARTITION_AFFINITY_DOMAIN, cl_ulong);
	ASK(of, CL_DEVICE_TYPE, cl_ulong);
	list(of, CL_DEVICE_PARTITION_PROPERTIES, "CL_DEVICE_PARTITION_PROPERTIES");
	list(of, CL_DEVICE_PARTITION_TYPE, "CL_DEVICE_PARTITION_TYPE");
}

static void partitions(void)
{
	typedef cl_device_partition_property list_of;
	const list_of equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0}, none[] = {CL_DEVICE_PARTITION_EQUALLY, 0, 0};
	const list_of many[] = {CL_DEVICE_PARTITION_EQUALLY, 1 << 20, 0};
	const list_of counts[] = {CL_DEVICE_PARTITION_BY_COUNTS, 1, CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
	const list_of over[] = {CL_DEVICE_PARTITION_BY_COUNTS, 1 << 20, CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
	const list_of domain[] = {CL_DEVICE_PARTITION_BY_AFFINITY_DOMAIN, CL_DEVICE_AFFINITY_DOMAIN_NUMA, 0};
	const list_of unknown[] = {1, 1, 0};
	cl_device_id few[1];
	cl_uint count = 0;
	say("# partitions");
	CALL(clCreateSubDevices(NULL, equally, PARTS, parts, NULL));
	CALL(clCreateSubDevices(device, NULL, PARTS, parts, NULL));
	CALL(clCreateSubDevices(device, none, PARTS, parts, NULL));
	CALL(clCreateSubDevices(device, many, PARTS, parts, NULL));
	CALL(clCreateSubDevices(device, domain, PARTS, parts, NULL));
	CALL(clCreateSubDevices(device, unknown, PARTS, parts, NULL));
	CALL(clCreateSubDevices(device, over, PARTS, parts, NULL));
	CALL(clCreateSubDevices(device, equally, 0, NULL, &count));
	say("%u parts", count);
	if (count > 1)
		CALL(clCreateSubDevices(device, equally, 1, few, NULL));
	CALL(clCreateSubDevices(device, counts, 1, few, &count));
	say("%u parts", count);
	describe(few[0]);
	MUST(clReleaseDevice(few[0]));
	CALL(clCreateSubDevices(device, equally, PARTS, parts, &part_count));
	say("%u parts", part_count);
	CALL(clCreateSubDevices(parts[0], equally, 1, few, NULL));
}

static void references(void)
{
	say("# references");
	CALL(clRetainDevice(device));
	ASK(device, CL_DEVICE_REFERENCE_COUNT, cl_uint);
	CALL(clReleaseDevice(device));
	CALL(clReleaseDevice(device));
	CALL(clRetainDevice(parts[0]));
	ASK(parts[0], CL_DEVICE_REFERENCE_COUNT, cl_uint);
	CALL(clReleaseDevice(parts[0]));
	ASK(parts[0], CL_DEVICE_REFERENCE_COUNT, cl_uint);
	CALL(clRetainDevice(NULL));
	CALL(clReleaseDevice(NULL));
}

static const char *name_of(cl_device_id id)
{
	if (id == device)
		return "the device";
	for (cl_uint i = 0; i < part_count; i++)
		if (id == parts[i])
			return i ? "another part" : "the first part";
	return "something else";
}

static void devices_of(cl_context of, cl_program program)
{
	cl_device_id ids[PARTS + 1] = {0};
	cl_uint count = 0;
	size_t size = 0;
	CALL(clGetContextInfo(of, CL_CONTEXT_NUM_DEVICES, sizeof(count), &count, NULL));
	CALL(clGetContextInfo(of, CL_CONTEXT_DEVICES, sizeof(ids), ids, &size));
	for (size_t i = 0; i < size / sizeof(ids[0]); i++)
		say("  %u: %s", count, name_of(ids[i]));
	CALL(clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof(count), &count, NULL));
	CALL(clGetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof(ids), ids, &size));
	for (size_t i = 0; i < size / sizeof(ids[0]); i++)
		say("  %u: %s", count, name_of(ids[i]));
	CALL(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, 0, NULL, &size));
	say("  %zu bytes of sizes", size);
	CALL(clGetProgramInfo(program, CL_PROGRAM_BINARIES, 0, NULL, &size));
	say("  %zu bytes of pointers", size);
}

/* Runs a kernel on one device of the context and reads what it wrote. */
static void run_on(cl_context in, cl_device_id on, cl_program program)
{
	enum { COUNT_OF = 1000 };
	static cl_int out[COUNT_OF];
	cl_device_id found = NULL;
	const size_t global = COUNT_OF;
	size_t group = 0;
	cl_command_queue its = MUST_MAKE(clCreateCommandQueue(in, on, 0, &status));
	MUST(clGetCommandQueueInfo(its, CL_QUEUE_DEVICE, sizeof(found), &found, NULL));
	say("a queue on %s", name_of(found));
	cl_mem mem = MUST_MAKE(clCreateBuffer(in, CL_MEM_READ_WRITE, sizeof(out), NULL, &status));
	cl_kernel kernel = kernel_of(program, "k");
	CALL(clGetKernelWorkGroupInfo(kernel, on, CL_KERNEL_WORK_GROUP_SIZE, sizeof(group), &group, NULL));
	say("  groups of %zu", group);
	MUST(clSetKernelArg(kernel, 0, sizeof(mem), &mem));
	MUST(clEnqueueNDRangeKernel(its, kernel, 1, NULL, &global, NULL, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(its, mem, CL_TRUE, 0, sizeof(out), out, 0, NULL, NULL));
	for (cl_int i = 0; i < COUNT_OF; i++)
		EXPECT(out[i] == i * 3);
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseCommandQueue(its));
}

/* Builds for the parts, and again from the binaries of that. */
static void work(const char *what, cl_uint count, const cl_device_id *ids)
{
	say("# work on %s", what);
	const char *source = "kernel void k(global int *a) { int i = get_global_id(0); a[i] = i * 3; }";
	cl_context in = MUST_MAKE(clCreateContext(NULL, count, ids, NULL, NULL, &status));
	cl_program program = MUST_MAKE(clCreateProgramWithSource(in, 1, &source, NULL, &status));
	CALL(clBuildProgram(program, count, ids, "", NULL, NULL));
	for (cl_uint i = 0; i < count; i++) {
		cl_build_status built = 1;
		CALL(clGetProgramBuildInfo(program, ids[i], CL_PROGRAM_BUILD_STATUS, sizeof(built), &built, NULL));
		say("  %d", (int)built);
	}
	devices_of(in, program);
	for (cl_uint i = 0; i < count; i++)
		run_on(in, ids[i], program);
	size_t sizes[PARTS] = {0}, size = 0;
	unsigned char *binaries[PARTS] = {0};
	cl_int statuses[PARTS];
	MUST(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(sizes), sizes, &size));
	for (size_t i = 0; i < size / sizeof(sizes[0]); i++)
		binaries[i] = malloc(sizes[i]);
	MUST(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(binaries), binaries, NULL));
	const unsigned char *given[PARTS];
	size_t lengths[PARTS];
	for (cl_uint i = 0; i < count; i++) {
		given[i] = binaries[i] ? binaries[i] : binaries[0];
		lengths[i] = sizes[i] ? sizes[i] : sizes[0];
		statuses[i] = 1;
	}
	cl_program again = MAKE(clCreateProgramWithBinary(in, count, ids, lengths, given, statuses, &status));
	/* PoCL 3.1 counts the parts as the one device, and leaves the others' statuses as they are. */
	say("  %s", status_name(statuses[0]));
	for (cl_uint i = 0; shimmed() && i < count; i++)
		EXPECT(statuses[i] == CL_SUCCESS);
	MUST(clBuildProgram(again, 0, NULL, "", NULL, NULL));
	devices_of(in, again);
	run_on(in, ids[count - 1], again);
	for (size_t i = 0; i < PARTS; i++)
		free(binaries[i]);
	MUST(clReleaseProgram(again));
	MUST(clReleaseProgram(program));
	MUST(clReleaseContext(in));
}

/* A queue goes on after its program has let go of the part, and of the context. */
static void released_early(void)
{
	say("# released early");
	cl_context in = MUST_MAKE(clCreateContext(NULL, 1, parts, NULL, NULL, &status));
	cl_command_queue its = MUST_MAKE(clCreateCommandQueue(in, parts[0], 0, &status));
	cl_mem mem = MUST_MAKE(clCreateBuffer(in, CL_MEM_READ_WRITE, 16, NULL, &status));
	for (cl_uint i = 0; i < part_count; i++)
		CALL(clReleaseDevice(parts[i]));
	MUST(clReleaseContext(in));
	char bytes[16] = {0};
	MUST(clEnqueueWriteBuffer(its, mem, CL_TRUE, 0, 5, "still", 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(its, mem, CL_TRUE, 0, 5, bytes, 0, NULL, NULL));
	say("%s", bytes);
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseCommandQueue(its));
}

int main(void)
{
	begin();
	describe(device);
	partitions();
	references();
	if (part_count) {
		const cl_device_id mixed[] = {parts[0], device}, twice[] = {parts[0], parts[0]};
		work("one part", 1, parts);
		work("all parts", part_count, parts);
		work("a part and the device", 2, mixed);
		work("a part, given twice", 2, twice);
		released_early();
	}
	end();
	return 0;
}
