/* Transfers: sizes at the boundaries of the ways that bytes can go, offsets, many at once, host pointers. */
#include "check.h"

static const size_t sizes[] = {1,
			       2,
			       63,
			       64,
			       4095,
			       4096,
			       4097,
			       16 * KIB - 1,
			       16 * KIB,
			       16 * KIB + 1,
			       256 * KIB - 1,
			       256 * KIB,
			       256 * KIB + 1,
			       MIB,
			       4 * MIB - 1,
			       4 * MIB,
			       4 * MIB + 1,
			       5 * MIB + 3};

/* Writes and reads one size, each blocking or not, with an event or without. */
static void one_size(cl_command_queue to, size_t size, size_t offset, unsigned seed)
{
	uint8_t *from = malloc(size), *back = malloc(size);
	cl_mem mem = buffer_of(size + offset + 3);
	bool right = true;
	for (unsigned way = 0; way < 16; way++) {
		bool write_waits = way & 1, read_waits = way & 2, write_event = way & 4, read_event = way & 8;
		cl_event written = NULL, read = NULL;
		if (size > MIB && way % 5)
			continue;
		pattern_fill(from, size, seed + way);
		memset(back, 0x5A, size);
		MUST(clEnqueueWriteBuffer(to, mem, write_waits, offset, size, from, 0, NULL,
					  write_event ? &written : NULL));
		MUST(clEnqueueReadBuffer(to, mem, read_waits, offset, size, back, 0, NULL, read_event ? &read : NULL));
		if (read_event && !read_waits)
			MUST(clWaitForEvents(1, &read));
		else if (!read_waits)
			MUST(clFinish(to));
		right = right && pattern_is(back, size, seed + way);
		if (written)
			MUST(clReleaseEvent(written));
		if (read)
			MUST(clReleaseEvent(read));
	}
	say("%zu bytes at %zu: %s", size, offset, right ? "right" : "WRONG");
	MUST(clReleaseMemObject(mem));
	free(from);
	free(back);
}

static void large(void)
{
	size_t size = 64 * MIB;
	uint8_t *from = malloc(size), *back = calloc(1, size);
	pattern_fill(from, size, 77);
	cl_mem mem = buffer_of(size);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, size, from, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, size, back, 0, NULL, NULL));
	MUST(clFinish(queue));
	say("64 MiB at once: %s", memcmp(from, back, size) == 0 ? "right" : "WRONG");
	memset(back, 0, size);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, size, from, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 1, size - 1, back, 0, NULL, NULL));
	say("64 MiB blocking: %s", memcmp(from + 1, back, size - 1) == 0 ? "right" : "WRONG");
	MUST(clReleaseMemObject(mem));
	free(from);
	free(back);
}

/* The program may change what a write has taken as soon as a blocking write returns, or its event is complete. */
static void reuse(void)
{
	enum { ROUNDS = 64 };
	cl_mem mem = buffer_of(ROUNDS * 4);
	for (int i = 0; i < ROUNDS; i++) {
		int value = i * 3;
		MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, (size_t)i * 4, 4, &value, 0, NULL, NULL));
		value = -1;
	}
	int back[ROUNDS];
	bool right = true;
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, sizeof(back), back, 0, NULL, NULL));
	for (int i = 0; i < ROUNDS; i++)
		right = right && back[i] == i * 3;
	say("blocking writes from one variable: %s", right ? "right" : "WRONG");
	MUST(clReleaseMemObject(mem));
}

/* More transfers at once than there are places for them. */
static void many(size_t count, size_t size)
{
	uint8_t *from = malloc(count * size), *back = calloc(count, size);
	cl_mem mem = buffer_of(count * size);
	pattern_fill(from, count * size, (unsigned)count);
	for (size_t i = 0; i < count; i++)
		MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, i * size, size, from + i * size, 0, NULL, NULL));
	for (size_t i = 0; i < count; i++)
		MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, i * size, size, back + i * size, 0, NULL, NULL));
	MUST(clFinish(queue));
	say("%zu transfers of %zu bytes: %s", 2 * count, size,
	    memcmp(from, back, count * size) == 0 ? "right" : "WRONG");
	MUST(clReleaseMemObject(mem));
	free(from);
	free(back);
}

/* All of them held up by one event, and only then let go. */
static void many_gated(size_t count, size_t size)
{
	uint8_t *from = malloc(count * size), *back = calloc(count, size);
	cl_mem mem = buffer_of(count * size);
	cl_event gate = MUST_MAKE(clCreateUserEvent(context, &status));
	pattern_fill(from, count * size, (unsigned)count + 1);
	for (size_t i = 0; i < count; i++) {
		MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, i * size, size, from + i * size, 1, &gate, NULL));
		MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, i * size, size, back + i * size, 0, NULL, NULL));
	}
	bool early = false;
	for (size_t i = 0; i < count * size; i++)
		early = early || back[i];
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clFinish(queue));
	say("%zu gated transfers of %zu bytes: %s, %s", 2 * count, size, early ? "too early" : "not early",
	    memcmp(from, back, count * size) == 0 ? "right" : "WRONG");
	MUST(clReleaseEvent(gate));
	MUST(clReleaseMemObject(mem));
	free(from);
	free(back);
}

static void sub_buffers(void)
{
	cl_mem mem = buffer_of(64 * KIB);
	cl_buffer_region low = {0, 32 * KIB}, high = {32 * KIB, 32 * KIB};
	cl_mem first = MUST_MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &low, &status));
	cl_mem second = MUST_MAKE(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &high, &status));
	static uint8_t bytes[64 * KIB], back[64 * KIB];
	pattern_fill(bytes, sizeof(bytes), 5);
	MUST(clEnqueueWriteBuffer(queue, first, CL_TRUE, 0, 32 * KIB, bytes, 0, NULL, NULL));
	MUST(clEnqueueWriteBuffer(queue, second, CL_FALSE, 0, 32 * KIB, bytes + 32 * KIB, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, sizeof(back), back, 0, NULL, NULL));
	say("sub-buffers: %s", memcmp(bytes, back, sizeof(back)) == 0 ? "right" : "WRONG");
	MUST(clEnqueueCopyBuffer(queue, first, second, 100, 200, 300, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, second, CL_TRUE, 200, 300, back, 0, NULL, NULL));
	say("copy between sub-buffers: %s", memcmp(bytes + 100, back, 300) == 0 ? "right" : "WRONG");
	CALL(clEnqueueCopyBuffer(queue, mem, first, 100, 200, 300, 0, NULL, NULL));
	CALL(clEnqueueCopyBuffer(queue, mem, first, 100, 5000, 300, 0, NULL, NULL));
	MUST(clReleaseMemObject(first));
	MUST(clReleaseMemObject(second));
	MUST(clReleaseMemObject(mem));
}

static void copies_and_fills(void)
{
	static uint8_t bytes[4096], back[4096];
	cl_mem a = buffer_of(4096), b = buffer_of(4096);
	pattern_fill(bytes, sizeof(bytes), 9);
	MUST(clEnqueueWriteBuffer(queue, a, CL_TRUE, 0, 4096, bytes, 0, NULL, NULL));
	for (size_t width = 1; width <= 128; width *= 2) {
		MUST(clEnqueueFillBuffer(queue, b, bytes, width, width, 4096 - 2 * width, 0, NULL, NULL));
		MUST(clEnqueueReadBuffer(queue, b, CL_TRUE, 0, 4096, back, 0, NULL, NULL));
		bool right = true;
		for (size_t i = width; i < 4096 - width; i++)
			right = right && back[i] == bytes[i % width];
		say("fill with %zu bytes: %s", width, right ? "right" : "WRONG");
	}
	MUST(clEnqueueCopyBuffer(queue, a, b, 1, 3, 4000, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, b, CL_TRUE, 3, 4000, back, 0, NULL, NULL));
	say("copy: %s", memcmp(bytes + 1, back, 4000) == 0 ? "right" : "WRONG");
	const size_t from[3] = {4, 1, 0}, to[3] = {8, 2, 1}, region[3] = {16, 3, 2};
	MUST(clEnqueueFillBuffer(queue, b, "\0", 1, 0, 4096, 0, NULL, NULL));
	MUST(clEnqueueCopyBufferRect(queue, a, b, from, to, region, 64, 64 * 8, 32, 32 * 8, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, b, CL_TRUE, 0, 4096, back, 0, NULL, NULL));
	unsigned sum = 0;
	for (size_t i = 0; i < sizeof(back); i++)
		sum = sum * 31 + back[i];
	say("copied rectangle: %u", sum);
	MUST(clReleaseMemObject(a));
	MUST(clReleaseMemObject(b));
}

static void host_pointers(void)
{
	static uint8_t host[8192] __attribute__((aligned(4096))), back[8192];
	const cl_mem_flags flags[] = {CL_MEM_COPY_HOST_PTR, CL_MEM_COPY_HOST_PTR | CL_MEM_ALLOC_HOST_PTR,
				      CL_MEM_USE_HOST_PTR};
	for (size_t i = 0; i < COUNT(flags); i++)
		for (size_t size = 100; size <= 8192; size += 8092) {
			pattern_fill(host, sizeof(host), 20);
			cl_mem mem = MUST_MAKE(clCreateBuffer(context, flags[i], size, host, &status));
			MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, size, back, 0, NULL, NULL));
			say("host pointer, flags %#llx, %zu bytes: %s", (unsigned long long)flags[i], size,
			    pattern_is(back, size, 20) ? "right" : "WRONG");
			MUST(clReleaseMemObject(mem));
		}
}

int main(void)
{
	begin();
	cl_command_queue plain = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	for (size_t i = 0; i < COUNT(sizes); i++) {
		one_size(plain, sizes[i], 0, (unsigned)i);
		one_size(queue, sizes[i], 37, (unsigned)i + 100);
	}
	large();
	reuse();
	many(3000, 8);
	many(600, 16 * KIB);
	many(24, 300 * KIB);
	many(5, 40 * MIB);
	many_gated(40, 64);
	many_gated(300, 8 * KIB);
	sub_buffers();
	copies_and_fills();
	host_pointers();
	MUST(clReleaseCommandQueue(plain));
	end();
	return 0;
}
