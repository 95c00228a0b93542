/* Eight threads with queues of their own and one that they share; threads that wait for what another thread does. */
#include "check.h"

#include <pthread.h>

enum { THREADS = 8, ROUNDS = 60 };

static cl_program program;
static cl_mem sum;
static cl_kernel shared_kernel;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

struct work {
	pthread_t thread;
	unsigned number;
	bool right;
};

static bool transfers(cl_command_queue on, cl_mem mem, unsigned seed, size_t size)
{
	uint8_t *from = malloc(size), *back = calloc(1, size);
	pattern_fill(from, size, seed);
	MUST(clEnqueueWriteBuffer(on, mem, seed % 2, 0, size, from, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(on, mem, seed % 3 == 0, 0, size, back, 0, NULL, NULL));
	MUST(clFinish(on));
	bool right = pattern_is(back, size, seed);
	free(from);
	free(back);
	return right;
}

/* One thread's own queue, buffers, kernel. */
static void *alone(void *argument)
{
	struct work *w = argument;
	static const size_t sizes[] = {4, 4096, 70000, 300000, MIB};
	cl_command_queue mine = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	cl_kernel kernel = kernel_of(program, "fill");
	w->right = true;
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t size = sizes[(round + w->number) % COUNT(sizes)], global = 64, local = 16;
		cl_mem mem = buffer_of(size < 256 ? 256 : size);
		w->right = w->right && transfers(mine, mem, round * THREADS + w->number, size);
		int value = (int)(round * 100 + w->number), *p;
		cl_event ran;
		MUST(clSetKernelArg(kernel, 0, sizeof(mem), &mem));
		MUST(clSetKernelArg(kernel, 1, sizeof(value), &value));
		MUST(clEnqueueNDRangeKernel(mine, kernel, 1, NULL, &global, &local, 0, NULL, &ran));
		p = MUST_MAKE(clEnqueueMapBuffer(mine, mem, CL_TRUE, CL_MAP_READ, 0, 256, 1, &ran, NULL, &status));
		for (int i = 0; i < 64; i++)
			w->right = w->right && p[i] == value + i;
		MUST(clEnqueueUnmapMemObject(mine, mem, p, 0, NULL, NULL));
		MUST(clReleaseEvent(ran));
		MUST(clReleaseMemObject(mem));
	}
	MUST(clFinish(mine));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseCommandQueue(mine));
	return NULL;
}

/* All threads' launches on one queue: a kernel's arguments and its launch belong together, so the program locks. */
static void *together(void *argument)
{
	struct work *w = argument;
	size_t one = 1;
	int step = (int)w->number + 1, back;
	cl_mem mine = buffer_of(4);
	w->right = true;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_mutex_lock(&one_at_a_time);
		MUST(clSetKernelArg(shared_kernel, 0, sizeof(sum), &sum));
		MUST(clSetKernelArg(shared_kernel, 1, sizeof(step), &step));
		MUST(clEnqueueNDRangeKernel(queue, shared_kernel, 1, NULL, &one, &one, 0, NULL, NULL));
		pthread_mutex_unlock(&one_at_a_time);
		int value = round * THREADS + (int)w->number;
		cl_event written, read;
		MUST(clEnqueueWriteBuffer(queue, mine, CL_FALSE, 0, 4, &value, 0, NULL, &written));
		MUST(clEnqueueReadBuffer(queue, mine, CL_FALSE, 0, 4, &back, 1, &written, &read));
		MUST(clWaitForEvents(1, &read));
		w->right = w->right && back == value && event_status(written) == CL_COMPLETE;
		MUST(clReleaseEvent(written));
		MUST(clReleaseEvent(read));
		if (round % 8 == 0)
			MUST(clFinish(queue));
	}
	MUST(clReleaseMemObject(mine));
	return NULL;
}

static void all(const char *what, void *(*run)(void *))
{
	struct work works[THREADS];
	bool right = true;
	for (unsigned i = 0; i < THREADS; i++) {
		works[i] = (struct work){.number = i};
		EXPECT(pthread_create(&works[i].thread, NULL, run, &works[i]) == 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(works[i].thread, NULL);
		right = right && works[i].right;
	}
	say("%s: %s", what, right ? "right" : "WRONG");
}

static cl_event gate;

static void *wait_for_gate(void *argument)
{
	struct work *w = argument;
	cl_command_queue mine = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	cl_mem mem = buffer_of(4096);
	int value = 31, back = 0;
	MUST(clEnqueueWriteBuffer(mine, mem, CL_FALSE, 0, 4, &value, 1, &gate, NULL));
	switch (w->number % 4) {
	case 0:
		MUST(clWaitForEvents(1, &gate));
		MUST(clEnqueueReadBuffer(mine, mem, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
		break;
	case 1:
		MUST(clEnqueueReadBuffer(mine, mem, CL_FALSE, 0, 4, &back, 0, NULL, NULL));
		MUST(clFinish(mine));
		break;
	case 2:
		MUST(clEnqueueReadBuffer(mine, mem, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
		break;
	default: {
		int *p = MUST_MAKE(clEnqueueMapBuffer(mine, mem, CL_TRUE, CL_MAP_READ, 0, 4, 0, NULL, NULL, &status));
		back = *p;
		MUST(clEnqueueUnmapMemObject(mine, mem, p, 0, NULL, NULL));
		MUST(clFinish(mine));
	}
	}
	w->right = back == value;
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseCommandQueue(mine));
	return NULL;
}

/* Threads are blocked behind an event that only the main thread sets, which goes on working meanwhile. */
static void blocked(void)
{
	enum { WAITING = 12 };
	struct work works[WAITING];
	bool right = true;
	gate = MUST_MAKE(clCreateUserEvent(context, &status));
	for (unsigned i = 0; i < WAITING; i++) {
		works[i] = (struct work){.number = i};
		EXPECT(pthread_create(&works[i].thread, NULL, wait_for_gate, &works[i]) == 0);
	}
	cl_mem mem = buffer_of(MIB);
	for (unsigned i = 0; i < 50; i++)
		right = right && transfers(queue, mem, i, i % 2 ? 100 : MIB);
	MUST(clReleaseMemObject(mem));
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	for (unsigned i = 0; i < WAITING; i++) {
		pthread_join(works[i].thread, NULL);
		right = right && works[i].right;
	}
	MUST(clReleaseEvent(gate));
	say("blocked behind an event: %s", right ? "right" : "WRONG");
}

/* Threads retain and release the same objects. */
static void *references(void *argument)
{
	struct work *w = argument;
	w->right = true;
	for (int i = 0; i < 2000; i++) {
		MUST(clRetainMemObject(sum));
		MUST(clRetainCommandQueue(queue));
		MUST(clRetainKernel(shared_kernel));
		MUST(clReleaseKernel(shared_kernel));
		MUST(clReleaseCommandQueue(queue));
		MUST(clReleaseMemObject(sum));
		if (i % 16 == 0) {
			cl_event event = MUST_MAKE(clCreateUserEvent(context, &status));
			MUST(clSetUserEventStatus(event, CL_COMPLETE));
			w->right = w->right && event_status(event) == CL_COMPLETE;
			MUST(clReleaseEvent(event));
		}
	}
	return NULL;
}

int main(void)
{
	begin();
	program = program_of("kernel void fill(global int *a, int b) { a[get_global_id(0)] = b + get_global_id(0); }\n"
			     "kernel void add(global int *a, int b) { a[0] += b; }\n",
			     "");
	shared_kernel = kernel_of(program, "add");
	sum = buffer_of(64);
	int value = 0;
	MUST(clEnqueueWriteBuffer(queue, sum, CL_TRUE, 0, 4, &value, 0, NULL, NULL));
	all("own queues", alone);
	all("a shared queue", together);
	MUST(clEnqueueReadBuffer(queue, sum, CL_TRUE, 0, 4, &value, 0, NULL, NULL));
	say("sum: %d", value);
	blocked();
	all("references", references);
	MUST(clReleaseMemObject(sum));
	MUST(clReleaseKernel(shared_kernel));
	MUST(clReleaseProgram(program));
	end();
	return 0;
}
