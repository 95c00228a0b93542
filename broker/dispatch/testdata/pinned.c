/* Transfers between a memory object and memory of the program that is a mapped memory object itself. */
#include "check.h"

struct pinned {
	cl_mem mem;
	uint8_t *bytes;
	size_t size;
};

static struct pinned pin(size_t size)
{
	struct pinned p = {.size = size};
	p.mem = MUST_MAKE(clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, size, NULL, &status));
	p.bytes = MUST_MAKE(
		clEnqueueMapBuffer(queue, p.mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 0, NULL, NULL, &status));
	return p;
}

static void unpin(struct pinned *p)
{
	MUST(clEnqueueUnmapMemObject(queue, p->mem, p->bytes, 0, NULL, NULL));
	MUST(clReleaseMemObject(p->mem));
}

/* Whether a transfer's times are those of one that moves so many bytes: under a terabyte in a second. */
static bool plausible(cl_event event, size_t size)
{
	cl_ulong start, end;
	MUST(clWaitForEvents(1, &event));
	MUST(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof(start), &start, NULL));
	MUST(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(end), &end, NULL));
	return end > start && (end - start) * 1000 > size;
}

static void both_ways(size_t size, cl_bool blocking)
{
	struct pinned from = pin(size), to = pin(size);
	cl_mem mem = buffer_of(size);
	pattern_fill(from.bytes, size, 5);
	memset(to.bytes, 0, size);
	cl_event written, read;
	MUST(clEnqueueWriteBuffer(queue, mem, blocking, 0, size, from.bytes, 0, NULL, &written));
	MUST(clEnqueueReadBuffer(queue, mem, blocking, 0, size, to.bytes, 1, &written, &read));
	bool timed = plausible(written, size) && plausible(read, size);
	say("%zu bytes, %s: %s, times %s", size, blocking ? "waiting" : "not waiting",
	    pattern_is(to.bytes, size, 5) ? "right" : "WRONG", size < MIB || timed ? "right" : "WRONG");
	MUST(clReleaseEvent(written));
	MUST(clReleaseEvent(read));
	/* Parts of it, to the last byte; what is not asked for stays. */
	size_t half = size / 2;
	from.bytes[size - 1] = 1;
	from.bytes[half] = 2;
	MUST(clEnqueueWriteBuffer(queue, mem, blocking, 0, size - half, from.bytes + half, 0, NULL, NULL));
	memset(to.bytes, 0x55, size);
	MUST(clEnqueueReadBuffer(queue, mem, blocking, 0, 1, to.bytes + 1, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, blocking, size - half - 1, 1, to.bytes + size - 1, 0, NULL, NULL));
	MUST(clFinish(queue));
	say("%d %d %d %d", to.bytes[0], to.bytes[1], to.bytes[2], to.bytes[size - 1]);
	unpin(&from);
	unpin(&to);
	MUST(clReleaseMemObject(mem));
}

/* A chain that nobody waits for, through one buffer of the device. */
static void pipelined(void)
{
	enum { PART = 4096, PARTS = 64 };
	struct pinned from = pin(PART * PARTS), to = pin(PART * PARTS);
	cl_mem mem = buffer_of(PART);
	for (size_t i = 0; i < PARTS; i++) {
		pattern_fill(from.bytes + i * PART, PART, (unsigned)i);
		MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, PART, from.bytes + i * PART, 0, NULL, NULL));
		MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, PART, to.bytes + i * PART, 0, NULL, NULL));
	}
	MUST(clFinish(queue));
	size_t right = 0;
	for (size_t i = 0; i < PARTS; i++)
		right += pattern_is(to.bytes + i * PART, PART, (unsigned)i);
	say("%zu of %d parts are right", right, PARTS);
	unpin(&from);
	unpin(&to);
	MUST(clReleaseMemObject(mem));
}

/* Rectangles, in host memory with and without gaps between the rows. */
static void rectangles(void)
{
	struct pinned from = pin(64 * KIB), to = pin(64 * KIB);
	cl_mem mem = buffer_of(64 * KIB);
	pattern_fill(from.bytes, from.size, 7);
	const size_t origin[] = {16, 2, 1}, none[3] = {0}, region[] = {32, 4, 3};
	for (size_t pitch = 32; pitch <= 64; pitch += 32) {
		memset(to.bytes, 0, to.size);
		MUST(clEnqueueWriteBufferRect(queue, mem, CL_FALSE, origin, none, region, 128, 1024, pitch, 0,
					      from.bytes, 0, NULL, NULL));
		MUST(clEnqueueReadBufferRect(queue, mem, CL_FALSE, origin, none, region, 128, 1024, pitch, 0, to.bytes,
					     0, NULL, NULL));
		MUST(clFinish(queue));
		bool right = true;
		for (size_t row = 0; row < region[1] * region[2]; row++)
			right = right && !memcmp(to.bytes + row * pitch, from.bytes + row * pitch, region[0]);
		say("rows of 32 bytes, %zu apart: %s, between them %d", pitch, right ? "right" : "WRONG",
		    to.bytes[33] != from.bytes[33]);
	}
	unpin(&from);
	unpin(&to);
	MUST(clReleaseMemObject(mem));
}

static void image(void)
{
	const cl_image_format format = {CL_RGBA, CL_UNORM_INT8};
	const cl_image_desc description = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 64, .image_height = 32};
	cl_mem mem = MUST_MAKE(clCreateImage(context, CL_MEM_READ_WRITE, &format, &description, NULL, &status));
	struct pinned from = pin(64 * 32 * 4), to = pin(64 * 32 * 4);
	pattern_fill(from.bytes, from.size, 9);
	memset(to.bytes, 0, to.size);
	const size_t origin[3] = {0}, region[] = {64, 32, 1};
	MUST(clEnqueueWriteImage(queue, mem, CL_FALSE, origin, region, 0, 0, from.bytes, 0, NULL, NULL));
	MUST(clEnqueueReadImage(queue, mem, CL_FALSE, origin, region, 0, 0, to.bytes, 0, NULL, NULL));
	MUST(clFinish(queue));
	say("an image: %s", pattern_is(to.bytes, to.size, 9) ? "right" : "WRONG");
	unpin(&from);
	unpin(&to);
	MUST(clReleaseMemObject(mem));
}

int main(void)
{
	const size_t sizes[] = {16, 4096, 100 * KIB, MIB, 160 * MIB};
	begin();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		both_ways(sizes[i], CL_FALSE);
		both_ways(sizes[i], CL_TRUE);
	}
	pipelined();
	rectangles();
	image();
	end();
	return 0;
}
