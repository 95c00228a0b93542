/* Transfers and maps at once where a queue is idle, and in their order where it is not. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

enum { WORDS = 1 << 16, ROUNDS = 200 };
#define BYTES (WORDS * sizeof(cl_uint))

static cl_kernel kernel;
static const size_t global = WORDS, local = 64;

static void add(cl_command_queue on, cl_event *ran)
{
	MUST(clEnqueueNDRangeKernel(on, kernel, 1, NULL, &global, &local, 0, NULL, ran));
}

static bool all_are(const cl_uint *words, cl_uint value)
{
	for (size_t i = 0; i < WORDS; i++)
		if (words[i] != value)
			return false;
	return true;
}

static void fill(cl_uint *words, cl_uint value)
{
	for (size_t i = 0; i < WORDS; i++)
		words[i] = value;
}

static cl_event gate_of(void)
{
	return MUST_MAKE(clCreateUserEvent(context, &status));
}

/* Each command after the one before it, whether it waits or not. */
static void in_turns(cl_mem mem)
{
	cl_uint *words = malloc(BYTES), *from = malloc(BYTES), *mapped;
	bool right = true;
	say("# in turns");
	for (cl_uint round = 0; round < ROUNDS; round++) {
		cl_bool waits = round % 3 != 0;
		fill(from, round * 10);
		MUST(clEnqueueWriteBuffer(queue, mem, waits, 0, BYTES, from, 0, NULL, NULL));
		memset(words, 0xee, BYTES);
		add(queue, NULL);
		MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, BYTES, words, 0, NULL, NULL));
		right = right && all_are(words, round * 10 + 1);
		add(queue, NULL);
		mapped = MUST_MAKE(clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, BYTES, 0,
						      NULL, NULL, &status));
		right = right && all_are(mapped, round * 10 + 2);
		fill(mapped, round * 10 + 5);
		MUST(clEnqueueUnmapMemObject(queue, mem, mapped, 0, NULL, NULL));
		add(queue, NULL);
		MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, BYTES, words, 0, NULL, NULL));
		MUST(clFinish(queue));
		right = right && all_are(words, round * 10 + 6);
		MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 64, 64, words, 0, NULL, NULL));
		MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, 4, &round, 0, NULL, NULL));
		MUST(clFinish(queue));
	}
	say("right: %s", right ? "yes" : "no");
	free(words);
	free(from);
}

/* An unmap of what was mapped at once has its place in the queue like any other. */
static void unmaps(cl_mem mem)
{
	say("# unmaps");
	cl_event gate = gate_of(), unmapped, ran;
	cl_uint count = 77;
	MUST(clFinish(queue));
	cl_uint *mapped =
		MUST_MAKE(clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL, NULL, &status));
	fill(mapped, 7);
	MUST(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof(count), &count, NULL));
	say("maps: %u", count);
	MUST(clEnqueueUnmapMemObject(queue, mem, mapped, 1, &gate, &unmapped));
	add(queue, &ran);
	say("the unmap waits for its gate: %s", event_status(unmapped) > CL_COMPLETE ? "yes" : "no");
	say("and the kernel for the unmap: %s", event_status(ran) > CL_COMPLETE ? "yes" : "no");
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clWaitForEvents(1, &ran));
	say("both are over: %s", event_status(unmapped) == CL_COMPLETE ? "yes" : "no");
	cl_command_type type;
	MUST(clGetEventInfo(unmapped, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
	say("it is an unmap: %s", type == CL_COMMAND_UNMAP_MEM_OBJECT ? "yes" : "no");
	cl_uint word;
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 8, 4, &word, 0, NULL, NULL));
	say("word: %u", word);
	CALL(clEnqueueUnmapMemObject(queue, mem, mapped, 0, NULL, NULL));
	MUST(clReleaseEvent(gate));
	MUST(clReleaseEvent(unmapped));
	MUST(clReleaseEvent(ran));
}

/* In a queue without order nothing waits for what it need not wait for. */
static void without_order(cl_mem mem)
{
	say("# without order");
	cl_command_queue free_queue =
		MUST_MAKE(clCreateCommandQueue(context, device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &status));
	cl_mem other = buffer_of(BYTES);
	cl_uint value = 42, word = 0;
	cl_uint *mapped =
		MUST_MAKE(clEnqueueMapBuffer(free_queue, mem, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL, NULL, &status));
	cl_event gate = gate_of(), written, unmapped;
	MUST(clEnqueueWriteBuffer(free_queue, other, CL_FALSE, 0, 4, &value, 1, &gate, &written));
	mapped[2] = 8;
	MUST(clEnqueueUnmapMemObject(free_queue, mem, mapped, 0, NULL, &unmapped));
	MUST(clWaitForEvents(1, &unmapped));
	say("unmapped past the gate");
	say("the write still waits: %s", event_status(written) > CL_COMPLETE ? "yes" : "no");
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clFinish(free_queue));
	MUST(clEnqueueReadBuffer(free_queue, mem, CL_TRUE, 8, 4, &word, 0, NULL, NULL));
	say("written through the map: %u", word);
	MUST(clEnqueueReadBuffer(free_queue, other, CL_TRUE, 0, 4, &word, 0, NULL, NULL));
	say("written at last: %u", word);
	MUST(clReleaseEvent(gate));
	MUST(clReleaseEvent(written));
	MUST(clReleaseEvent(unmapped));
	MUST(clReleaseMemObject(other));
	MUST(clReleaseCommandQueue(free_queue));
}

static void CL_CALLBACK called(cl_event event, cl_int state, void *data)
{
	(void)event;
	*(_Atomic int *)data = state == CL_COMPLETE ? 1 : -1;
}

/* The event of what was done at once is like that of any other command. */
static void events(cl_mem mem)
{
	static _Atomic int state;
	cl_command_queue plain = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	cl_uint word = 5, back = 0;
	cl_event written, read, mapped, unmapped, ran;
	cl_ulong time;
	say("# events");
	MUST(clEnqueueWriteBuffer(plain, mem, CL_TRUE, 0, 4, &word, 0, NULL, &written));
	say("written: %d", event_status(written));
	add(plain, &ran);
	MUST(clEnqueueReadBuffer(plain, mem, CL_TRUE, 0, 4, &back, 0, NULL, &read));
	say("read: %d, %u, and the kernel before it: %d", event_status(read), back, event_status(ran));
	cl_uint *words =
		MUST_MAKE(clEnqueueMapBuffer(plain, mem, CL_TRUE, CL_MAP_READ, 0, 64, 0, NULL, &mapped, &status));
	say("mapped: %d, %u", event_status(mapped), words[0]);
	const cl_event all[] = {written, read, mapped};
	MUST(clEnqueueUnmapMemObject(plain, mem, words, 3, all, &unmapped));
	MUST(clWaitForEvents(1, &unmapped));
	say("unmapped: %d", event_status(unmapped));
	MUST(clWaitForEvents(3, all));
	MUST(clEnqueueMarkerWithWaitList(queue, 3, all, NULL));
	MUST(clFinish(queue));
	const cl_event of[] = {written, read, mapped, unmapped};
	for (size_t i = 0; i < COUNT(of); i++) {
		cl_command_type type;
		cl_command_queue on;
		MUST(clGetEventInfo(of[i], CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
		MUST(clGetEventInfo(of[i], CL_EVENT_COMMAND_QUEUE, sizeof(on), &on, NULL));
		say("type %x, of its queue: %s", type, on == plain ? "yes" : "no");
		CALL(clSetUserEventStatus(of[i], CL_COMPLETE));
		CALL(clGetEventProfilingInfo(of[i], CL_PROFILING_COMMAND_END, sizeof(time), &time, NULL));
	}
	MUST(clSetEventCallback(read, CL_COMPLETE, called, &state));
	while (!state)
		usleep(1000);
	say("called back: %d", state);
	for (size_t i = 0; i < COUNT(of); i++)
		MUST(clReleaseEvent(of[i]));
	MUST(clReleaseEvent(ran));
	MUST(clReleaseCommandQueue(plain));
}

static void interrupt(int number)
{
	(void)number;
}

/* Signals come at any moment, and change nothing. */
static void interrupted(cl_mem mem)
{
	const struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
	bool right = true;
	say("# interrupted");
	EXPECT(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (cl_uint round = 0, back = 0; round < 100 * ROUNDS && right; round++) {
		right = clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, 4, &round, 0, NULL, NULL) == CL_SUCCESS &&
			clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, &back, 0, NULL, NULL) == CL_SUCCESS &&
			back == round;
	}
	EXPECT(setitimer(ITIMER_REAL, &never, NULL) == 0);
	say("right: %s", right ? "yes" : "no");
}

static void parts(cl_mem mem)
{
	const cl_buffer_region region = {4096, 4096};
	const size_t at[] = {16, 2, 0}, host[] = {0, 0, 0}, extent[] = {32, 4, 1};
	cl_uint words[1024], back[1024];
	say("# parts");
	cl_mem part =
		MUST_MAKE(clCreateSubBuffer(mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &status));
	pattern_fill((uint8_t *)words, sizeof(words), 3);
	MUST(clEnqueueWriteBuffer(queue, part, CL_TRUE, 0, sizeof(words), words, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 4096, sizeof(back), back, 0, NULL, NULL));
	say("written to the part, read from the whole: %s", memcmp(words, back, sizeof(back)) == 0 ? "yes" : "no");
	memset(back, 0, sizeof(back));
	MUST(clEnqueueReadBufferRect(queue, part, CL_TRUE, at, host, extent, 128, 0, 64, 0, back, 0, NULL, NULL));
	bool right = true;
	for (size_t row = 0; row < 4; row++)
		right = right && memcmp((uint8_t *)back + row * 64, (uint8_t *)words + (row + 2) * 128 + 16, 32) == 0;
	say("a rectangle of it: %s", right ? "yes" : "no");
	MUST(clEnqueueWriteBufferRect(queue, part, CL_TRUE, host, host, extent, 128, 0, 64, 0, back, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, part, CL_TRUE, 128, 32, words, 0, NULL, NULL));
	say("and one written: %s", memcmp(words, (uint8_t *)back + 64, 32) == 0 ? "yes" : "no");
	MUST(clReleaseMemObject(part));
}

enum { WIDTH = 24, HEIGHT = 6, DEPTH = 3, TEXELS = WIDTH * HEIGHT * DEPTH };

/* Whether a part of the image is of one value and the rest of another. */
static bool inner_is(const cl_uint *texels, const size_t *whole, const size_t *at, const size_t *part, cl_uint inner,
		     cl_uint outer)
{
	for (size_t z = 0; z < whole[2]; z++)
		for (size_t y = 0; y < whole[1]; y++)
			for (size_t x = 0; x < whole[0]; x++) {
				bool in = x >= at[0] && x < at[0] + part[0] && y >= at[1] && y < at[1] + part[1] &&
					  z >= at[2] && z < at[2] + part[2];
				if (texels[(z * whole[1] + y) * whole[0] + x] != (in ? inner : outer))
					return false;
			}
	return true;
}

/* Images like one that there was, smaller ones, and one that cannot be. */
static void images_alike(const cl_image_format *format, const cl_image_desc *like, const size_t *at, const size_t *part)
{
	cl_image_desc smaller = *like, larger = *like;
	const size_t one[] = {1, 1, 1};
	cl_uint color[4] = {77, 0, 0, 0}, texel = 0;
	smaller.image_width--;
	larger.image_width = (size_t)1 << 40;
	for (int i = 0; i < 20; i++) {
		cl_mem image = MUST_MAKE(clCreateImage(context, 0, format, i % 2 ? &smaller : like, NULL, &status));
		MUST(clEnqueueFillImage(queue, image, color, at, part, 0, NULL, NULL));
		MUST(clEnqueueReadImage(queue, image, CL_TRUE, at, one, 0, 0, &texel, 0, NULL, NULL));
		EXPECT(texel == 77);
		MUST(clReleaseMemObject(image));
	}
	cl_int status = CL_SUCCESS;
	cl_mem none = clCreateImage(context, 0, format, &larger, NULL, &status);
	say("far too large: %s", none ? "made" : status == CL_SUCCESS ? "none without a reason" : "refused");
}

/* An image of each shape: fills by the device between what the host writes, maps and reads, whether it waits or not. */
static void image_in_turns(const char *name, const cl_image_desc *description, const size_t *whole, const size_t *at,
			   const size_t *part)
{
	const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
	const size_t none[3] = {0};
	cl_uint texels[TEXELS], back[TEXELS], count = (cl_uint)(whole[0] * whole[1] * whole[2]);
	cl_mem image = MUST_MAKE(clCreateImage(context, 0, &format, description, NULL, &status));
	bool right = true;
	size_t row = 0, slice = 0;
	for (cl_uint round = 1; round <= 40; round++) {
		cl_uint color[4] = {round, 0, 0, 0};
		for (cl_uint i = 0; i < count; i++)
			texels[i] = 200 + round;
		MUST(clEnqueueWriteImage(queue, image, round % 3 != 0, none, whole, 0, 0, texels, 0, NULL, NULL));
		MUST(clEnqueueFillImage(queue, image, color, at, part, 0, NULL, NULL));
		uint8_t *mapped = MUST_MAKE(clEnqueueMapImage(queue, image, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, at,
							      part, &row, &slice, 0, NULL, NULL, &status));
		right = right && *(cl_uint *)(void *)mapped == round;
		size_t rows = description->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? slice : row;
		for (size_t z = 0; z < part[2]; z++)
			for (size_t y = 0; y < part[1]; y++)
				for (size_t x = 0; x < part[0]; x++)
					*(cl_uint *)(void *)(mapped + z * slice + y * rows + 4 * x) = round * 3;
		MUST(clEnqueueUnmapMemObject(queue, image, mapped, 0, NULL, NULL));
		memset(back, 0, sizeof(back));
		MUST(clEnqueueReadImage(queue, image, round % 2 != 0, none, whole, 0, 0, back, 0, NULL, NULL));
		MUST(clFinish(queue));
		right = right && inner_is(back, whole, at, part, round * 3, 200 + round);
	}
	say("%s: %s, rows %zu, slices %zu", name, right ? "right" : "wrong", row, slice);
	MUST(clReleaseMemObject(image));
	images_alike(&format, description, at, part);
}

static void images(void)
{
	const cl_image_desc line = {.image_type = CL_MEM_OBJECT_IMAGE1D, .image_width = WIDTH};
	const cl_image_desc flat = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = WIDTH, .image_height = HEIGHT};
	const cl_image_desc solid = {.image_type = CL_MEM_OBJECT_IMAGE3D,
				     .image_width = WIDTH,
				     .image_height = HEIGHT,
				     .image_depth = DEPTH};
	const cl_image_desc lines = {
		.image_type = CL_MEM_OBJECT_IMAGE1D_ARRAY, .image_width = WIDTH, .image_array_size = HEIGHT};
	const cl_image_desc flats = {.image_type = CL_MEM_OBJECT_IMAGE2D_ARRAY,
				     .image_width = WIDTH,
				     .image_height = HEIGHT,
				     .image_array_size = DEPTH};
	const size_t of_line[] = {WIDTH, 1, 1}, of_flat[] = {WIDTH, HEIGHT, 1}, of_solid[] = {WIDTH, HEIGHT, DEPTH};
	say("# images");
	image_in_turns("1D", &line, of_line, (size_t[]){3, 0, 0}, (size_t[]){5, 1, 1});
	image_in_turns("2D", &flat, of_flat, (size_t[]){3, 2, 0}, (size_t[]){5, 3, 1});
	image_in_turns("3D", &solid, of_solid, (size_t[]){3, 2, 1}, (size_t[]){5, 3, 2});
	image_in_turns("1D array", &lines, of_flat, (size_t[]){3, 2, 0}, (size_t[]){5, 3, 1});
	image_in_turns("2D array", &flats, of_solid, (size_t[]){3, 2, 1}, (size_t[]){5, 3, 2});
}

static cl_mem shared;
static _Atomic bool stop;

static void *adds(void *argument)
{
	while (!stop) {
		add(queue, NULL);
		usleep(50);
	}
	return argument;
}

static void *reads(void *argument)
{
	cl_uint *words = malloc(BYTES);
	for (int round = 0; round < ROUNDS; round++) {
		MUST(clEnqueueReadBuffer(queue, shared, CL_TRUE, 0, BYTES, words, 0, NULL, NULL));
		if (!all_are(words, words[0]))
			argument = NULL;
	}
	free(words);
	return argument;
}

static void *writes(void *argument)
{
	cl_uint *words = malloc(2 * BYTES);
	for (int round = 0; round < ROUNDS; round++) {
		/* The write before the last has been waited for. */
		cl_uint *from = words + round % 2 * WORDS;
		fill(from, (cl_uint)round * 1000);
		MUST(clEnqueueWriteBuffer(queue, shared, round % 2 == 0, 0, BYTES, from, 0, NULL, NULL));
	}
	MUST(clFinish(queue));
	free(words);
	return argument;
}

/* Whatever the order of several threads' commands in a queue that is in order: none runs into another. */
static void threads(cl_mem mem)
{
	pthread_t adder, reader, writer;
	void *read_whole = NULL;
	say("# threads");
	shared = mem;
	cl_uint *words = malloc(BYTES);
	fill(words, 0);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, BYTES, words, 0, NULL, NULL));
	EXPECT(pthread_create(&adder, NULL, adds, mem) == 0);
	EXPECT(pthread_create(&reader, NULL, reads, mem) == 0);
	EXPECT(pthread_create(&writer, NULL, writes, mem) == 0);
	pthread_join(writer, NULL);
	pthread_join(reader, &read_whole);
	stop = true;
	pthread_join(adder, NULL);
	say("no read saw half a command: %s", read_whole ? "yes" : "no");
	MUST(clFinish(queue));
	free(words);
}

int main(void)
{
	begin();
	cl_program program =
		program_of("__kernel void add(__global uint *words) { words[get_global_id(0)] += 1; }", "");
	kernel = kernel_of(program, "add");
	cl_mem mem = buffer_of(BYTES);
	MUST(clSetKernelArg(kernel, 0, sizeof(mem), &mem));
	in_turns(mem);
	unmaps(mem);
	without_order(mem);
	events(mem);
	interrupted(mem);
	parts(mem);
	images();
	threads(mem);
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseProgram(program));
	end();
	return 0;
}
