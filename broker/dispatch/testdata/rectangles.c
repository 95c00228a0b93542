/* Rectangles of buffers: origins and pitches on both sides, waited for or not, refusals. */
#include "check.h"

struct shape {
	size_t buffer_origin[3], host_origin[3], region[3];
	size_t buffer_row, buffer_slice, host_row, host_slice;
};

static const struct shape shapes[] = {
	{{0, 0, 0}, {0, 0, 0}, {16, 1, 1}, 0, 0, 0, 0},
	{{4, 1, 0}, {0, 0, 0}, {16, 3, 1}, 64, 0, 0, 0},
	{{4, 1, 2}, {3, 2, 1}, {17, 5, 3}, 64, 64 * 8, 40, 40 * 9},
	{{0, 0, 1}, {8, 0, 0}, {100, 7, 2}, 128, 128 * 7, 0, 0},
	{{1, 0, 0}, {1, 0, 0}, {1, 40, 3}, 64, 0, 3, 0},
	{{0, 0, 0}, {0, 0, 0}, {600, 300, 2}, 1000, 300000, 700, 210000},
};

/* The sum of all bytes, by their places. */
static unsigned sum(const uint8_t *bytes, size_t size)
{
	unsigned result = 0;
	for (size_t i = 0; i < size; i++)
		result = result * 31 + bytes[i];
	return result;
}

static void transfers(cl_command_queue on, cl_mem mem, uint8_t *host, uint8_t *whole, size_t size)
{
	for (size_t i = 0; i < COUNT(shapes); i++) {
		const struct shape *s = &shapes[i];
		for (int way = 0; way < 4; way++) {
			bool waits = way & 1;
			cl_event event = NULL, *wanted = way & 2 ? &event : NULL;
			pattern_fill(whole, size, (unsigned)i);
			MUST(clEnqueueWriteBuffer(on, mem, CL_TRUE, 0, size, whole, 0, NULL, NULL));
			pattern_fill(host, size, 50 + (unsigned)i);
			MUST(clEnqueueWriteBufferRect(on, mem, waits, s->buffer_origin, s->host_origin, s->region,
						      s->buffer_row, s->buffer_slice, s->host_row, s->host_slice, host,
						      0, NULL, wanted));
			MUST(clEnqueueReadBuffer(on, mem, CL_TRUE, 0, size, whole, event != NULL, wanted, NULL));
			unsigned written = sum(whole, size);
			if (event)
				MUST(clReleaseEvent(event));
			memset(host, 0, size);
			MUST(clEnqueueReadBufferRect(on, mem, waits, s->buffer_origin, s->host_origin, s->region,
						     s->buffer_row, s->buffer_slice, s->host_row, s->host_slice, host,
						     0, NULL, wanted));
			if (!waits && event)
				MUST(clWaitForEvents(1, &event));
			else if (!waits)
				MUST(clFinish(on));
			say("shape %zu, way %d: written %u, read %u", i, way, written, sum(host, size));
			if (event)
				MUST(clReleaseEvent(event));
		}
	}
}

static void refusals(cl_mem mem, uint8_t *host, size_t size)
{
	const size_t zero[3] = {0}, region[3] = {16, 2, 1}, flat[3] = {16, 0, 1}, far[3] = {0, size, 0},
		     edge[3] = {0, 0, 1};
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, zero, flat, 0, 0, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, far, zero, region, 0, 0, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, zero, region, 15, 0, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, zero, region, 0, 0, 15, 0, host, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, zero, region, 16, 31, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, NULL, zero, region, 0, 0, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, NULL, region, 0, 0, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, zero, NULL, 0, 0, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, zero, region, 0, 0, 0, 0, NULL, 0, NULL, NULL));
	CALL(clEnqueueReadBufferRect(queue, NULL, CL_TRUE, zero, zero, region, 0, 0, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueWriteBufferRect(NULL, mem, CL_TRUE, zero, zero, region, 0, 0, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueWriteBufferRect(queue, mem, CL_TRUE, edge, zero, region, 1024, size, 0, 0, host, 0, NULL, NULL));
	CALL(clEnqueueWriteBufferRect(queue, mem, CL_TRUE, zero, zero, region, 0, 0, 0, 0, host, 1, NULL, NULL));
	/* Sizes that wrap must not be taken for small ones. */
	const size_t wraps[3] = {16, (size_t)1 << 60, 1}, pitch = (size_t)1 << 61;
	SHIM_ONLY(clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, zero, wraps, 16, 0, 16, 0, host, 0, NULL, NULL),
		  CL_INVALID_VALUE);
	SHIM_ONLY(
		clEnqueueReadBufferRect(queue, mem, CL_TRUE, zero, zero, region, pitch, 0, 16, 0, host, 0, NULL, NULL),
		CL_INVALID_VALUE);
}

static void copies(cl_mem from, cl_mem to, uint8_t *whole, size_t size)
{
	for (size_t i = 0; i < COUNT(shapes); i++) {
		const struct shape *s = &shapes[i];
		size_t zero = 0;
		MUST(clEnqueueFillBuffer(queue, to, &zero, 1, 0, size, 0, NULL, NULL));
		CALL(clEnqueueCopyBufferRect(queue, from, to, s->host_origin, s->buffer_origin, s->region, s->host_row,
					     s->host_slice, s->buffer_row, s->buffer_slice, 0, NULL, NULL));
		MUST(clEnqueueReadBuffer(queue, to, CL_TRUE, 0, size, whole, 0, NULL, NULL));
		say("copy %zu: %u", i, sum(whole, size));
	}
}

int main(void)
{
	const size_t size = 700 * KIB;
	begin();
	uint8_t *host = malloc(size), *whole = malloc(size);
	cl_mem mem = buffer_of(size), other = buffer_of(size);
	transfers(queue, mem, host, whole, size);
	refusals(mem, host, size);
	pattern_fill(whole, size, 9);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, size, whole, 0, NULL, NULL));
	copies(mem, other, whole, size);
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseMemObject(other));
	free(host);
	free(whole);
	end();
	return 0;
}
