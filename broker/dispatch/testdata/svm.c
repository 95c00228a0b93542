/* Shared virtual memory: one address in the program and on the device. */
#include "check.h"

#include <stdatomic.h>

static const char *source =
	"struct node { global struct node *next; int value; };\n"
	"kernel void number(global int *out) { out[get_global_id(0)] = get_global_id(0); }\n"
	"kernel void walk(global struct node *first, global int *sum)\n"
	"{ int s = 0; for (global struct node *n = first; n; n = n->next) { s += n->value; n->value = -n->value; } "
	"*sum = s; }\n"
	"kernel void add(global int *out, global const int *in) { out[get_global_id(0)] += in[get_global_id(0)]; }\n"
	"kernel void count(global atomic_int *counter) { atomic_fetch_add(counter, 1); }\n";

static const size_t one = 1, sixteen = 16;

static void *alloc_of(size_t size)
{
	void *made = clSVMAlloc(context, CL_MEM_READ_WRITE, size, 0);
	EXPECT(made);
	return made;
}

static void allocations(void)
{
	cl_device_svm_capabilities capabilities = 0;
	MUST(clGetDeviceInfo(device, CL_DEVICE_SVM_CAPABILITIES, sizeof(capabilities), &capabilities, NULL));
	say("capabilities %llx", (unsigned long long)capabilities);
	const cl_svm_mem_flags fine = CL_MEM_SVM_FINE_GRAIN_BUFFER, atomics = CL_MEM_SVM_ATOMICS;
	const struct {
		cl_svm_mem_flags flags;
		size_t size;
		cl_uint alignment;
	} wanted[] = {
		{CL_MEM_READ_WRITE, 1, 0},
		{0, 4096, 0},
		{CL_MEM_READ_ONLY, 100, 1},
		{CL_MEM_WRITE_ONLY, 100, 128},
		{CL_MEM_READ_WRITE | fine, 3 * MIB, 64},
		{CL_MEM_READ_WRITE | fine | atomics, 64, 4},
		{CL_MEM_READ_WRITE, 0, 0},
		{CL_MEM_READ_WRITE, 64, 3},
		{CL_MEM_READ_WRITE, 64, 4096},
		{CL_MEM_READ_WRITE | atomics, 64, 0},
		{CL_MEM_READ_WRITE, SIZE_MAX, 0},
	};
	for (size_t i = 0; i < COUNT(wanted); i++) {
		uint8_t *made = clSVMAlloc(context, wanted[i].flags, wanted[i].size, wanted[i].alignment);
		say("allocation %zu: %s", i, made ? "something" : "NULL");
		if (!made)
			continue;
		size_t align = wanted[i].alignment ? wanted[i].alignment : 128;
		EXPECT((uintptr_t)made % align == 0);
		memset(made, 7, wanted[i].size);
		clSVMFree(context, made);
	}
	SHIM_ONLY(clSVMAlloc(context, CL_MEM_COPY_HOST_PTR, 64, 0) == NULL, true);
	SHIM_ONLY(clSVMAlloc(context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 64, 0) == NULL, true);
	SHIM_ONLY(clSVMAlloc(NULL, CL_MEM_READ_WRITE, 64, 0) == NULL, true);
	clSVMFree(context, NULL);
}

static void kernels(cl_program program)
{
	cl_kernel number = kernel_of(program, "number"), walk = kernel_of(program, "walk");
	int *out = alloc_of(64 * sizeof(int)), *sum = alloc_of(sizeof(int));
	memset(out, 0, 64 * sizeof(int));
	CALL(clSetKernelArgSVMPointer(number, 1, out));
	CALL(clSetKernelArgSVMPointer(number, 0, out + 8));
	MUST(clEnqueueNDRangeKernel(queue, number, 1, NULL, &sixteen, NULL, 0, NULL, NULL));
	MUST(clFinish(queue));
	for (int i = 0; i < 64; i++)
		EXPECT(out[i] == (i >= 8 && i < 24 ? i - 8 : 0));
	struct node {
		struct node *next;
		int value;
	} * nodes[20];
	for (int i = 19; i >= 0; i--) {
		nodes[i] = alloc_of(sizeof(struct node) + (size_t)i * 1000);
		*nodes[i] = (struct node){i < 19 ? nodes[i + 1] : NULL, i};
	}
	CALL(clSetKernelArgSVMPointer(walk, 0, nodes[0]));
	CALL(clSetKernelArgSVMPointer(walk, 1, sum));
	CALL(clSetKernelExecInfo(walk, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof(nodes), nodes));
	MUST(clEnqueueNDRangeKernel(queue, walk, 1, NULL, &one, NULL, 0, NULL, NULL));
	CALL(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, sum, sizeof(int), 0, NULL, NULL));
	say("sum %d, last %d", *sum, nodes[19]->value);
	CALL(clEnqueueSVMUnmap(queue, sum, 0, NULL, NULL));
	CALL(clSetKernelExecInfo(walk, CL_KERNEL_EXEC_INFO_SVM_PTRS, 0, NULL));
	/* A copy of a kernel has its arguments. */
	cl_kernel again = MUST_MAKE(clCloneKernel(walk, &status));
	MUST(clEnqueueNDRangeKernel(queue, again, 1, NULL, &one, NULL, 0, NULL, NULL));
	MUST(clFinish(queue));
	say("sum %d, last %d", *sum, nodes[19]->value);
	for (int i = 0; i < 20; i++)
		clSVMFree(context, nodes[i]);
	clSVMFree(context, out);
	clSVMFree(context, sum);
	MUST(clReleaseKernel(again));
	MUST(clReleaseKernel(number));
	MUST(clReleaseKernel(walk));
}

static void copies(void)
{
	uint8_t *a = alloc_of(1 * MIB), *b = alloc_of(1 * MIB), *own = malloc(1 * MIB);
	cl_event event, waited;
	const uint8_t pattern[4] = {1, 2, 3, 4};
	pattern_fill(a, 1 * MIB, 1);
	MUST(clEnqueueSVMMemcpy(queue, CL_TRUE, b, a, 1 * MIB, 0, NULL, NULL));
	EXPECT(pattern_is(b, 1 * MIB, 1));
	MUST(clEnqueueSVMMemcpy(queue, CL_TRUE, own, b, 1 * MIB, 0, NULL, NULL));
	EXPECT(pattern_is(own, 1 * MIB, 1));
	pattern_fill(own, 1 * MIB, 2);
	cl_event gate = MUST_MAKE(clCreateUserEvent(context, &status));
	MUST(clEnqueueSVMMemcpy(queue, CL_FALSE, a, own, 1 * MIB, 1, &gate, &waited));
	MUST(clEnqueueSVMMemcpy(queue, CL_FALSE, b, a, 1 * MIB, 1, &waited, &event));
	EXPECT(pattern_is(b, 1 * MIB, 1));
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clWaitForEvents(1, &event));
	EXPECT(pattern_is(b, 1 * MIB, 2));
	cl_command_type type;
	MUST(clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
	say("command %x", type);
	MUST(clReleaseEvent(event));
	MUST(clReleaseEvent(waited));
	MUST(clReleaseEvent(gate));
	MUST(clEnqueueSVMMemFill(queue, a + 16, pattern, sizeof(pattern), 64, 0, NULL, &event));
	MUST(clWaitForEvents(1, &event));
	MUST(clReleaseEvent(event));
	EXPECT(a[15] == pattern_at(15, 2) && a[16] == 1 && a[79] == 4 && a[80] == pattern_at(80, 2));
	const void *both[] = {a, b};
	const size_t sizes[] = {0, 4096};
	CALL(clEnqueueSVMMigrateMem(queue, 2, both, sizes, 0, 0, NULL, &event));
	MUST(clWaitForEvents(1, &event));
	MUST(clReleaseEvent(event));
	CALL(clEnqueueSVMMigrateMem(queue, 2, both, NULL, CL_MIGRATE_MEM_OBJECT_HOST, 0, NULL, NULL));
	CALL(clEnqueueSVMMap(queue, CL_FALSE, CL_MAP_WRITE, a, 100, 0, NULL, &event));
	MUST(clWaitForEvents(1, &event));
	MUST(clReleaseEvent(event));
	CALL(clEnqueueSVMUnmap(queue, a, 0, NULL, &event));
	MUST(clWaitForEvents(1, &event));
	MUST(clReleaseEvent(event));
	clSVMFree(context, a);
	clSVMFree(context, b);
	free(own);
}

static void refusals(void)
{
	uint8_t *a = alloc_of(4096), pattern[256] = {0}, own[64];
	const void *nothing = NULL;
	CALL(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, NULL, 10, 0, NULL, NULL));
	CALL(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, a, 0, 0, NULL, NULL));
	CALL(clEnqueueSVMMap(NULL, CL_TRUE, CL_MAP_READ, a, 10, 0, NULL, NULL));
	CALL(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, a, 10, 1, NULL, NULL));
	CALL(clEnqueueSVMUnmap(queue, NULL, 0, NULL, NULL));
	CALL(clEnqueueSVMMemFill(queue, a, pattern, 4, 63, 0, NULL, NULL));
	CALL(clEnqueueSVMMemFill(queue, a, pattern, 3, 63, 0, NULL, NULL));
	CALL(clEnqueueSVMMemFill(queue, a, pattern, 256, 256, 0, NULL, NULL));
	CALL(clEnqueueSVMMemFill(queue, a + 1, pattern, 4, 64, 0, NULL, NULL));
	CALL(clEnqueueSVMMemFill(queue, NULL, pattern, 4, 64, 0, NULL, NULL));
	CALL(clEnqueueSVMMemcpy(queue, CL_TRUE, a + 4, a, 64, 0, NULL, NULL));
	CALL(clEnqueueSVMMemcpy(queue, CL_TRUE, a, a + 4, 64, 0, NULL, NULL));
	CALL(clEnqueueSVMMemcpy(queue, CL_TRUE, NULL, a, 64, 0, NULL, NULL));
	CALL(clEnqueueSVMMemcpy(queue, CL_TRUE, own, NULL, 64, 0, NULL, NULL));
	CALL(clEnqueueSVMFree(queue, 0, NULL, NULL, NULL, 0, NULL, NULL));
	CALL(clEnqueueSVMFree(NULL, 1, (void **)&a, NULL, NULL, 0, NULL, NULL));
	CALL(clSetKernelArgSVMPointer(NULL, 0, a));
	CALL(clSetKernelExecInfo(NULL, CL_KERNEL_EXEC_INFO_SVM_PTRS, 8, &a));
	/* PoCL 3.1 takes any address, and any information. */
	SHIM_ONLY(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, own, 10, 0, NULL, NULL), CL_INVALID_VALUE);
	SHIM_ONLY(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, a + 4000, 97, 0, NULL, NULL), CL_INVALID_VALUE);
	SHIM_ONLY(clEnqueueSVMUnmap(queue, own, 0, NULL, NULL), CL_INVALID_VALUE);
	SHIM_ONLY(clEnqueueSVMMigrateMem(queue, 1, &nothing, NULL, 0, 0, NULL, NULL), CL_INVALID_VALUE);
	clSVMFree(context, a);
	SHIM_ONLY(clEnqueueSVMMap(queue, CL_TRUE, CL_MAP_READ, a, 10, 0, NULL, NULL), CL_INVALID_VALUE);
}

static void buffers(cl_program program)
{
	cl_kernel add = kernel_of(program, "add");
	int *a = alloc_of(4096), *b = alloc_of(4096);
	for (int i = 0; i < 1024; i++) {
		a[i] = i;
		b[i] = 1000;
	}
	cl_mem whole = MUST_MAKE(clCreateBuffer(context, CL_MEM_USE_HOST_PTR, 4096, a, &status));
	const cl_buffer_region region = {.origin = 1024, .size = 1024};
	cl_mem part = MUST_MAKE(clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &status));
	cl_bool shared = 9;
	void *pointer = NULL;
	MUST(clGetMemObjectInfo(whole, CL_MEM_USES_SVM_POINTER, sizeof(shared), &shared, NULL));
	MUST(clGetMemObjectInfo(whole, CL_MEM_HOST_PTR, sizeof(pointer), &pointer, NULL));
	say("uses it: %u, at its place: %d", shared, pointer == a);
	MUST(clGetMemObjectInfo(part, CL_MEM_HOST_PTR, sizeof(pointer), &pointer, NULL));
	say("the part at its place: %d", (char *)pointer == (char *)a + 1024);
	MUST(clSetKernelArg(add, 0, sizeof(part), &part));
	for (int i = 0; i < 2; i++) /* what is set first is overwritten, the second time too */
		MUST(clSetKernelArg(add, 1, sizeof(part), &part));
	MUST(clSetKernelArgSVMPointer(add, 1, a));
	MUST(clSetKernelArg(add, 1, sizeof(part), &part));
	MUST(clSetKernelArgSVMPointer(add, 1, b));
	MUST(clEnqueueNDRangeKernel(queue, add, 1, NULL, &sixteen, NULL, 0, NULL, NULL));
	int *mapped = MUST_MAKE(
		clEnqueueMapBuffer(queue, whole, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, 4096, 0, NULL, NULL, &status));
	say("mapped in place: %d; %d %d %d", mapped == a, a[255], a[256], a[271]);
	mapped[256] = 5;
	MUST(clEnqueueUnmapMemObject(queue, whole, mapped, 0, NULL, NULL));
	int read[2];
	MUST(clEnqueueReadBuffer(queue, part, CL_TRUE, 0, sizeof(read), read, 0, NULL, NULL));
	say("read %d %d", read[0], read[1]);
	read[0] = 77;
	MUST(clEnqueueWriteBuffer(queue, whole, CL_TRUE, 8, sizeof(int), read, 0, NULL, NULL));
	say("written %d", a[2]);
	MUST(clReleaseMemObject(part));
	MUST(clReleaseMemObject(whole));
	MUST(clReleaseKernel(add));
	MUST(clFinish(queue));
	clSVMFree(context, a);
	clSVMFree(context, b);
}

static void atomics(cl_program program)
{
	cl_kernel count = kernel_of(program, "count");
	atomic_int *counter = clSVMAlloc(context, CL_MEM_SVM_FINE_GRAIN_BUFFER | CL_MEM_SVM_ATOMICS, sizeof(int), 0);
	EXPECT(counter);
	atomic_init(counter, 0);
	MUST(clSetKernelArgSVMPointer(count, 0, (void *)counter));
	const size_t many = 100000;
	MUST(clEnqueueNDRangeKernel(queue, count, 1, NULL, &many, NULL, 0, NULL, NULL));
	MUST(clFlush(queue));
	for (int i = 0; i < 100000; i++)
		atomic_fetch_add(counter, 1);
	MUST(clFinish(queue));
	say("counted %d", atomic_load(counter));
	clSVMFree(context, (void *)counter);
	MUST(clReleaseKernel(count));
}

static void CL_CALLBACK freed(cl_command_queue of, cl_uint n, void *pointers[], void *data)
{
	for (cl_uint i = 0; i < n; i++)
		clSVMFree(context, pointers[i]);
	say("freed %u, of the queue: %d", n, of == queue);
	*(int *)data = 1;
}

static void frees(void)
{
	void *two[] = {alloc_of(100), alloc_of(2 * MIB)};
	cl_event event;
	int called = 0;
	MUST(clEnqueueSVMFree(queue, 2, two, freed, &called, 0, NULL, &event));
	MUST(clWaitForEvents(1, &event));
	say("called %d", called);
	MUST(clReleaseEvent(event));
	void *other[] = {alloc_of(100), NULL, alloc_of(2 * MIB)};
	MUST(clEnqueueSVMFree(queue, 1, other, NULL, NULL, 0, NULL, NULL));
	MUST(clEnqueueSVMFree(queue, 1, other + 2, NULL, NULL, 0, NULL, NULL));
	MUST(clFinish(queue));
}

/* Frees give their bytes back. */
static void turnover(void)
{
	cl_ulong most = 0;
	MUST(clGetDeviceInfo(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(most), &most, NULL));
	size_t size = most / 8 < 64 * MIB ? most / 8 : 64 * MIB;
	for (int i = 0; i < 64; i++) {
		uint8_t *made = alloc_of(size);
		made[size - 1] = 1;
		clSVMFree(context, made);
	}
}

int main(void)
{
	begin();
	cl_program program = program_of(source, "-cl-std=CL3.0");
	allocations();
	kernels(program);
	copies();
	refusals();
	buffers(program);
	atomics(program);
	frees();
	turnover();
	MUST(clReleaseProgram(program));
	end();
	return 0;
}
