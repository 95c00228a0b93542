/* Maps: what is seen through them, overlapping ones, counts, pointers. */
#include "check.h"

/* PoCL 3.1 counts an unmap a moment after the queue has finished it. */
static cl_uint map_count(cl_mem mem, cl_uint expected)
{
	cl_uint count = 99;
	for (int tries = 0; tries < 1000 && count != expected; tries++, usleep(1000))
		MUST(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof(count), &count, NULL));
	return count;
}

static void *map(cl_mem mem, cl_map_flags flags, size_t offset, size_t size)
{
	return MUST_MAKE(clEnqueueMapBuffer(queue, mem, CL_TRUE, flags, offset, size, 0, NULL, NULL, &status));
}

static void unmap(cl_mem mem, void *pointer)
{
	MUST(clEnqueueUnmapMemObject(queue, mem, pointer, 0, NULL, NULL));
}

/* Reads and writes of one buffer through maps and transfers see each other. */
static void round_trip(const char *what, cl_mem mem, size_t size)
{
	uint8_t *back = malloc(size), *from = calloc(1, size);
	pattern_fill(from, size, 1);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, size, from, 0, NULL, NULL));
	uint8_t *p = map(mem, CL_MAP_READ, 0, size);
	bool read = pattern_is(p, size, 1);
	unmap(mem, p);
	p = map(mem, CL_MAP_WRITE, size / 4, size / 2);
	bool kept = pattern_at(size / 4, 1) == p[0];
	memset(p, 0x11, size / 2);
	unmap(mem, p);
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, size, back, 0, NULL, NULL));
	memset(from + size / 4, 0x11, size / 2);
	bool written = memcmp(back, from, size) == 0;
	p = map(mem, CL_MAP_WRITE_INVALIDATE_REGION, 0, size);
	pattern_fill(p, size, 2);
	unmap(mem, p);
	p = map(mem, CL_MAP_READ | CL_MAP_WRITE, 1, size - 1);
	bool invalidated = p[0] == pattern_at(1, 2) && p[size - 2] == pattern_at(size - 1, 2);
	p[0] = 0x77;
	unmap(mem, p);
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 1, 1, back, 0, NULL, NULL));
	say("%s, %zu bytes: read %s, kept %s, written %s, invalidated %s, both %s", what, size,
	    read ? "right" : "WRONG", kept ? "right" : "WRONG", written ? "right" : "WRONG",
	    invalidated ? "right" : "WRONG", back[0] == 0x77 ? "right" : "WRONG");
	free(back);
	free(from);
}

static void kinds(void)
{
	const size_t sizes[] = {16, 4096, 4100, MIB, 16 * MIB};
	static uint8_t host[16 * MIB] __attribute__((aligned(4096)));
	for (size_t i = 0; i < COUNT(sizes); i++) {
		cl_mem mem = buffer_of(sizes[i]);
		round_trip("buffer", mem, sizes[i]);
		MUST(clReleaseMemObject(mem));
		mem = MUST_MAKE(clCreateBuffer(context, CL_MEM_ALLOC_HOST_PTR, sizes[i], NULL, &status));
		round_trip("alloc", mem, sizes[i]);
		MUST(clReleaseMemObject(mem));
		mem = MUST_MAKE(clCreateBuffer(context, CL_MEM_USE_HOST_PTR, sizes[i], host, &status));
		round_trip("use", mem, sizes[i]);
		MUST(clReleaseMemObject(mem));
	}
	cl_mem mem = buffer_of(64 * KIB);
	cl_buffer_region region = {8192, 16384};
	cl_mem sub = MUST_MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &status));
	round_trip("sub-buffer", sub, 16384);
	MUST(clReleaseMemObject(sub));
	MUST(clReleaseMemObject(mem));
}

static void pointers(void)
{
	static uint8_t host[8192] __attribute__((aligned(4096)));
	cl_mem mem = MUST_MAKE(clCreateBuffer(context, CL_MEM_USE_HOST_PTR, sizeof(host), host, &status));
	uint8_t *p = map(mem, CL_MAP_READ, 100, 200);
	say("a map of the program's memory is that memory: %s", p == host + 100 ? "yes" : "no");
	unmap(mem, p);
	int value = 42;
	MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 16, sizeof(value), &value, 0, NULL, NULL));
	p = map(mem, CL_MAP_READ, 0, 64);
	memcpy(&value, host + 16, sizeof(value));
	say("what was written is there once it is mapped: %d", value);
	unmap(mem, p);
	MUST(clReleaseMemObject(mem));
	mem = buffer_of(8192);
	uint8_t *a = map(mem, CL_MAP_READ, 0, 8192), *b = map(mem, CL_MAP_READ, 512, 16);
	say("two maps of one buffer share it: %s", b == a + 512 ? "yes" : "no");
	say("maps: %u", map_count(mem, 2));
	unmap(mem, a);
	MUST(clFinish(queue));
	say("maps: %u", map_count(mem, 1));
	unmap(mem, b);
	MUST(clFinish(queue));
	say("maps: %u", map_count(mem, 0));
	MUST(clReleaseMemObject(mem));
}

static void overlapping(void)
{
	cl_mem mem = buffer_of(4096);
	int *a = map(mem, CL_MAP_WRITE, 0, 1024), *same = map(mem, CL_MAP_WRITE, 0, 1024),
	    *b = map(mem, CL_MAP_WRITE, 512, 1024);
	say("maps: %u", map_count(mem, 3));
	for (int i = 0; i < 256; i++)
		a[i] = i;
	for (int i = 128; i < 256; i++)
		b[i] = -i;
	unmap(mem, b);
	unmap(mem, same);
	unmap(mem, a);
	MUST(clFinish(queue));
	say("maps: %u", map_count(mem, 0));
	CALL(clEnqueueUnmapMemObject(queue, mem, a, 0, NULL, NULL));
	static int back[1024];
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4096, back, 0, NULL, NULL));
	say("%d %d %d", back[5], back[200], back[300]);
	MUST(clReleaseMemObject(mem));
}

static void later(void)
{
	cl_mem mem = buffer_of(4096);
	cl_event written, mapped, unmapped;
	uint8_t from[4096];
	memset(from, 3, sizeof(from));
	MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, 4096, from, 0, NULL, &written));
	cl_int status;
	uint8_t *p = clEnqueueMapBuffer(queue, mem, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0, 4096, 1, &written, &mapped,
					&status);
	MUST(status);
	cl_command_type type;
	MUST(clGetEventInfo(mapped, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
	say("a map's event is of type %#x", type);
	MUST(clWaitForEvents(1, &mapped));
	say("seen %d", p[4095]);
	p[0] = 9;
	MUST(clEnqueueUnmapMemObject(queue, mem, p, 1, &mapped, &unmapped));
	MUST(clGetEventInfo(unmapped, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
	say("an unmap's event is of type %#x", type);
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 1, from, 1, &unmapped, NULL));
	say("seen %d", from[0]);
	MUST(clReleaseEvent(written));
	MUST(clReleaseEvent(mapped));
	MUST(clReleaseEvent(unmapped));
	MUST(clReleaseMemObject(mem));
}

/* A kernel works on what was written through a map, and a map shows what it made. */
static void with_kernel(void)
{
	cl_program program = program_of("kernel void twice(global int *a) { a[get_global_id(0)] *= 2; }", "");
	cl_kernel kernel = kernel_of(program, "twice");
	static int host[64] __attribute__((aligned(4096)));
	cl_mem mems[] = {buffer_of(sizeof(host)),
			 MUST_MAKE(clCreateBuffer(context, CL_MEM_USE_HOST_PTR, sizeof(host), host, &status))};
	for (size_t m = 0; m < COUNT(mems); m++) {
		int *p = map(mems[m], CL_MAP_WRITE_INVALIDATE_REGION, 0, sizeof(host));
		for (int i = 0; i < 64; i++)
			p[i] = i;
		unmap(mems[m], p);
		size_t global = 64, local = 16;
		MUST(clSetKernelArg(kernel, 0, sizeof(mems[m]), &mems[m]));
		for (int i = 0; i < 3; i++)
			MUST(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL));
		p = map(mems[m], CL_MAP_READ, 0, sizeof(host));
		say("kernel: %d %d %d", p[1], p[10], p[63]);
		unmap(mems[m], p);
		MUST(clFinish(queue));
		MUST(clReleaseMemObject(mems[m]));
	}
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseProgram(program));
}

int main(void)
{
	begin();
	kinds();
	pointers();
	overlapping();
	later();
	with_kernel();
	end();
	return 0;
}
