/* Commands that do not wait, behind a gate that this program opens later: none may keep it from opening it. */
#include "check.h"

#define LARGE ((size_t)192 << 20)

static cl_event gate_of(void)
{
	return MUST_MAKE(clCreateUserEvent(context, &status));
}

/* Opens the gate and waits for what stood behind it. */
static void open(cl_event gate, cl_event behind)
{
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clWaitForEvents(1, &behind));
	say("the event is complete: %s", event_status(behind) == CL_COMPLETE ? "yes" : "no");
	MUST(clReleaseEvent(gate));
	MUST(clReleaseEvent(behind));
}

/* More bytes than any place for transfers holds. */
static void large_transfers(void)
{
	say("# large transfers");
	cl_mem mem = buffer_of(LARGE);
	uint8_t *from = malloc(LARGE), *to = calloc(1, LARGE);
	pattern_fill(from, LARGE, 3);
	cl_event gate = gate_of(), written, read, gate_of_read;
	MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, LARGE, from, 1, &gate, &written));
	say("a write waits for its gate: %s", event_status(written) > CL_COMPLETE ? "yes" : "no");
	open(gate, written);
	gate_of_read = gate_of();
	MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, LARGE, to, 1, &gate_of_read, &read));
	say("a read has not happened: %s", to[0] == 0 && to[LARGE - 1] == 0 ? "yes" : "no");
	open(gate_of_read, read);
	say("what was written was read: %s", memcmp(from, to, LARGE) == 0 ? "yes" : "no");
	/* Several at once, one behind the other, and no event. */
	memset(to, 0, LARGE);
	gate = gate_of();
	pattern_fill(from, LARGE, 4);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, LARGE, from, 1, &gate, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, LARGE, to, 0, NULL, NULL));
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clFinish(queue));
	say("and in their order: %s", memcmp(from, to, LARGE) == 0 ? "yes" : "no");
	MUST(clReleaseEvent(gate));
	MUST(clReleaseMemObject(mem));
	free(from);
	free(to);
}

/* As many at once as no place for transfers holds, by their rows. */
static void rectangles(void)
{
	enum { COUNT_OF = 4 };
	const size_t origin[] = {0, 0, 0}, region[] = {8192 - 64, 8192, 1}, size = (size_t)8192 * 8192;
	say("# rectangles");
	cl_mem mem = buffer_of(size);
	uint8_t *from = malloc(size), *to = calloc(COUNT_OF, size);
	pattern_fill(from, size, 6);
	cl_event gate = gate_of(), last;
	MUST(clEnqueueWriteBufferRect(queue, mem, CL_FALSE, origin, origin, region, 8192, 0, 8192, 0, from, 1, &gate,
				      NULL));
	for (size_t i = 0; i < COUNT_OF; i++)
		MUST(clEnqueueReadBufferRect(queue, mem, CL_FALSE, origin, origin, region, 8192, 0, 8192, 0,
					     to + i * size, 0, NULL, i == COUNT_OF - 1 ? &last : NULL));
	open(gate, last);
	bool same = true, kept = true;
	for (size_t i = 0; i < COUNT_OF; i++) {
		for (size_t y = 0; y < region[1]; y++) {
			const uint8_t *row = to + i * size + y * 8192;
			same = same && memcmp(row, from + y * 8192, region[0]) == 0;
			kept = kept && !row[region[0]] && !row[8191];
		}
	}
	say("all have what was written: %s, and no more: %s", same ? "yes" : "no", kept ? "yes" : "no");
	MUST(clReleaseMemObject(mem));
	free(from);
	free(to);
}

static void images(void)
{
	enum { COUNT_OF = 3 };
	const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
	const cl_image_desc description = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4096, .image_height = 4096};
	const size_t origin[] = {0, 0, 0}, region[] = {4096, 4096, 1}, size = (size_t)4096 * 4096 * 4;
	say("# images");
	cl_mem image = MUST_MAKE(clCreateImage(context, CL_MEM_READ_WRITE, &format, &description, NULL, &status));
	uint8_t *from = malloc(size), *to = calloc(COUNT_OF, size);
	pattern_fill(from, size, 8);
	cl_event gate = gate_of(), last;
	MUST(clEnqueueWriteImage(queue, image, CL_FALSE, origin, region, 0, 0, from, 1, &gate, NULL));
	for (size_t i = 0; i < COUNT_OF; i++)
		MUST(clEnqueueReadImage(queue, image, CL_FALSE, origin, region, 0, 0, to + i * size, 0, NULL,
					i == COUNT_OF - 1 ? &last : NULL));
	open(gate, last);
	bool same = true;
	for (size_t i = 0; i < COUNT_OF; i++)
		same = same && memcmp(to + i * size, from, size) == 0;
	say("all have what was written: %s", same ? "yes" : "no");
	MUST(clReleaseMemObject(image));
	free(from);
	free(to);
}

static void maps_of_the_programs_memory(void)
{
	say("# maps of the program's memory");
	static uint8_t host[8192], bytes[64];
	cl_mem mem = MUST_MAKE(
		clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, sizeof(host), host, &status));
	cl_event gate = gate_of(), mapped;
	pattern_fill(bytes, sizeof(bytes), 5);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 100, sizeof(bytes), bytes, 1, &gate, NULL));
	uint8_t *p =
		MUST_MAKE(clEnqueueMapBuffer(queue, mem, CL_FALSE, CL_MAP_READ, 50, 1000, 0, NULL, &mapped, &status));
	say("it is the program's own: %s", p == host + 50 ? "yes" : "no");
	open(gate, mapped);
	say("what was written is there: %s", memcmp(p + 50, bytes, sizeof(bytes)) == 0 ? "yes" : "no");
	MUST(clEnqueueUnmapMemObject(queue, mem, p, 0, NULL, NULL));
	MUST(clFinish(queue));
	MUST(clReleaseMemObject(mem));
	const cl_image_format format = {CL_R, CL_UNSIGNED_INT8};
	const cl_image_desc description = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 64, .image_height = 64, .image_row_pitch = 128};
	const size_t origin[] = {0, 8, 0}, region[] = {64, 1, 1};
	mem = MUST_MAKE(
		clCreateImage(context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, &format, &description, host, &status));
	size_t pitch = 0;
	gate = gate_of();
	MUST(clEnqueueWriteImage(queue, mem, CL_FALSE, origin, region, 0, 0, bytes, 1, &gate, NULL));
	p = MUST_MAKE(clEnqueueMapImage(queue, mem, CL_FALSE, CL_MAP_READ, origin, region, &pitch, NULL, 0, NULL,
					&mapped, &status));
	say("it is the program's own: %s, pitch %zu", p == host + 8 * 128 ? "yes" : "no", pitch);
	open(gate, mapped);
	say("what was written is there: %s", memcmp(p, bytes, sizeof(bytes)) == 0 ? "yes" : "no");
	MUST(clEnqueueUnmapMemObject(queue, mem, p, 0, NULL, NULL));
	MUST(clFinish(queue));
	MUST(clReleaseMemObject(mem));
}

int main(void)
{
	begin();
	large_transfers();
	rectangles();
	images();
	maps_of_the_programs_memory();
	end();
	return 0;
}
