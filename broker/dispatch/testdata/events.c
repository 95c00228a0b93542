/* Events: what they gate, their status, profiling, markers and barriers. */
#include "check.h"

static const char *source =
	"kernel void add(global int *a, int b) { a[0] += b; }\n"
	"kernel void mul(global int *a, int b) { a[0] *= b; }\n"
	"kernel void spin(global int *a, int b) { for (int i = 0; i < b; i++) a[1] = a[1] * 3 + i; }\n";
static cl_kernel add, mul, spin;
static cl_mem mem;

static void launch(cl_command_queue on, cl_kernel kernel, int value, cl_uint count, const cl_event *list,
		   cl_event *event)
{
	size_t one = 1;
	MUST(clSetKernelArg(kernel, 0, sizeof(mem), &mem));
	MUST(clSetKernelArg(kernel, 1, sizeof(value), &value));
	MUST(clEnqueueNDRangeKernel(on, kernel, 1, NULL, &one, &one, count, list, event));
}

static int value_of(cl_command_queue on)
{
	int value = -99;
	if (on != queue)
		MUST(clEnqueueBarrierWithWaitList(on, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(on, mem, CL_TRUE, 0, sizeof(value), &value, 0, NULL, NULL));
	return value;
}

static void store(int value)
{
	MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, sizeof(value), &value, 0, NULL, NULL));
}

/* A user event holds up what waits for it, and on an in-order queue all that follows. */
static void gates(cl_command_queue on, const char *what)
{
	cl_event gate = MUST_MAKE(clCreateUserEvent(context, &status)), written, ran, read;
	int five = 5, back = -1;
	store(1);
	say("gate: %d", event_status(gate));
	MUST(clEnqueueWriteBuffer(on, mem, CL_FALSE, 0, sizeof(five), &five, 1, &gate, &written));
	launch(on, add, 10, 1, &written, &ran);
	MUST(clEnqueueReadBuffer(on, mem, CL_FALSE, 0, sizeof(back), &back, 1, &ran, &read));
	MUST(clFlush(on));
	bool early = event_status(written) == CL_COMPLETE || event_status(ran) == CL_COMPLETE ||
		     event_status(read) == CL_COMPLETE || back != -1;
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clWaitForEvents(1, &read));
	say("%s: %s, read %d, %d %d %d", what, early ? "too early" : "not early", back, event_status(written),
	    event_status(ran), event_status(read));
	cl_event all[] = {read, written, ran, gate};
	CALL(clWaitForEvents(4, all));
	for (size_t i = 0; i < COUNT(all); i++)
		MUST(clReleaseEvent(all[i]));
}

static void failures(cl_command_queue on, const char *what)
{
	cl_event gate = MUST_MAKE(clCreateUserEvent(context, &status)), written, read;
	int five = 5, back = -1;
	store(1);
	MUST(clEnqueueWriteBuffer(on, mem, CL_FALSE, 0, sizeof(five), &five, 1, &gate, &written));
	MUST(clEnqueueReadBuffer(on, mem, CL_FALSE, 0, sizeof(back), &back, 1, &gate, &read));
	CALL(clSetUserEventStatus(gate, -42));
	say("%s: gate %d, the others failed: %s %s", what, event_status(gate), event_status(written) < 0 ? "yes" : "no",
	    event_status(read) < 0 ? "yes" : "no");
	CALL(clWaitForEvents(1, &written));
	CALL(clWaitForEvents(1, &read));
	say("read %d, in the buffer %d", back, value_of(queue));
	MUST(clReleaseEvent(gate));
	MUST(clReleaseEvent(written));
	MUST(clReleaseEvent(read));
	CALL(clFinish(on));
	store(7);
	say("and then: %d", value_of(on));
}

/* An out-of-order queue runs in the order of its events alone. */
static void order(cl_command_queue on)
{
	cl_event first = MUST_MAKE(clCreateUserEvent(context, &status)),
		 second = MUST_MAKE(clCreateUserEvent(context, &status));
	cl_event added, multiplied;
	store(3);
	launch(on, add, 4, 1, &second, &added);
	launch(on, mul, 10, 1, &first, &multiplied);
	MUST(clSetUserEventStatus(first, CL_COMPLETE));
	MUST(clWaitForEvents(1, &multiplied));
	say("the second goes first: %s", event_status(added) == CL_COMPLETE ? "no" : "yes");
	MUST(clSetUserEventStatus(second, CL_COMPLETE));
	MUST(clFinish(on));
	say("3 * 10 + 4 = %d", value_of(queue));
	MUST(clReleaseEvent(first));
	MUST(clReleaseEvent(second));
	MUST(clReleaseEvent(added));
	MUST(clReleaseEvent(multiplied));
}

static void markers(cl_command_queue on, const char *what)
{
	cl_event gate = MUST_MAKE(clCreateUserEvent(context, &status)), ran, marker, barrier, all;
	cl_command_type type;
	store(0);
	launch(on, add, 1, 1, &gate, &ran);
	MUST(clEnqueueMarkerWithWaitList(on, 1, &ran, &marker));
	MUST(clEnqueueBarrierWithWaitList(on, 1, &marker, &barrier));
	launch(on, mul, 50, 0, NULL, NULL);
	MUST(clEnqueueMarkerWithWaitList(on, 0, NULL, &all));
	say("%s: waiting %s", what,
	    event_status(marker) == CL_COMPLETE || event_status(all) == CL_COMPLETE ? "no" : "yes");
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clWaitForEvents(1, &all));
	say("%d %d %d, value %d", event_status(marker), event_status(barrier), event_status(all), value_of(queue));
	MUST(clGetEventInfo(marker, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
	say("marker %#x", type);
	MUST(clGetEventInfo(barrier, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL));
	say("barrier %#x", type);
	cl_event events[] = {gate, ran, marker, barrier, all};
	for (size_t i = 0; i < COUNT(events); i++)
		MUST(clReleaseEvent(events[i]));
	CALL(clEnqueueMarker(on, &marker));
	CALL(clEnqueueBarrier(on));
	MUST(clFinish(on));
	MUST(clReleaseEvent(marker));
}

static void profile(cl_event event, const char *what)
{
	cl_ulong queued = 0, submitted = 0, started = 0, ended = 0, complete = 0;
	MUST(clWaitForEvents(1, &event));
	MUST(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_QUEUED, sizeof(queued), &queued, NULL));
	MUST(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_SUBMIT, sizeof(submitted), &submitted, NULL));
	MUST(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof(started), &started, NULL));
	MUST(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(ended), &ended, NULL));
	cl_int status =
		clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_COMPLETE, sizeof(complete), &complete, NULL);
	say("%s: in order %s, complete %s", what,
	    queued && queued <= submitted && submitted <= started && started <= ended ? "yes" : "no",
	    status_name(status));
	MUST(clReleaseEvent(event));
}

static void profiling(void)
{
	cl_event event;
	static char bytes[2 * MIB];
	cl_mem large = buffer_of(sizeof(bytes));
	MUST(clEnqueueWriteBuffer(queue, large, CL_TRUE, 0, 64, bytes, 0, NULL, &event));
	profile(event, "write");
	MUST(clEnqueueWriteBuffer(queue, large, CL_TRUE, 0, sizeof(bytes), bytes, 0, NULL, &event));
	profile(event, "large write");
	MUST(clEnqueueReadBuffer(queue, large, CL_TRUE, 0, sizeof(bytes), bytes, 0, NULL, &event));
	profile(event, "large read");
	MUST(clEnqueueReadBuffer(queue, large, CL_FALSE, 0, 64, bytes, 0, NULL, &event));
	profile(event, "read");
	MUST(clEnqueueCopyBuffer(queue, large, large, 0, MIB, MIB, 0, NULL, &event));
	profile(event, "copy");
	MUST(clEnqueueFillBuffer(queue, large, bytes, 4, 0, MIB, 0, NULL, &event));
	profile(event, "fill");
	launch(queue, add, 1, 0, NULL, &event);
	profile(event, "kernel");
	MUST(clEnqueueMarkerWithWaitList(queue, 0, NULL, &event));
	profile(event, "marker");
	void *p = MUST_MAKE(clEnqueueMapBuffer(queue, large, CL_FALSE, CL_MAP_READ, 0, MIB, 0, NULL, &event, &status));
	profile(event, "map");
	MUST(clEnqueueUnmapMemObject(queue, large, p, 0, NULL, &event));
	profile(event, "unmap");
	MUST(clReleaseMemObject(large));
}

/* Events of one queue gate another. */
static void between(cl_command_queue on)
{
	store(2);
	cl_event a, b;
	for (int i = 0; i < 100; i++) {
		launch(queue, add, 1, i ? 1 : 0, i ? &b : NULL, &a);
		if (i)
			MUST(clReleaseEvent(b));
		MUST(clFlush(queue));
		launch(on, add, 1, 1, &a, &b);
		MUST(clFlush(on));
		MUST(clReleaseEvent(a));
	}
	CALL(clWaitForEvents(1, &b));
	MUST(clReleaseEvent(b));
	say("two queues in turn: %d", value_of(queue));
}

/*
 * Once a blocking write has returned, all that its in-order queue had before it is over, and every other queue sees
 * what it wrote.
 */
static void blocking_writes(cl_command_queue on)
{
	int wrong = 0;
	for (int i = 0; i < 20; i++) {
		int before = -1, value = 1000 + i;
		cl_event ran;
		store(i);
		launch(queue, spin, 300000, 0, NULL, &ran);
		MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, sizeof(before), &before, 0, NULL, NULL));
		MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, sizeof(value), &value, 0, NULL, NULL));
		wrong += before != i;
		wrong += event_status(ran) != CL_COMPLETE;
		MUST(clReleaseEvent(ran));
		launch(queue, spin, 300000, 0, NULL, NULL);
		MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, sizeof(i), &i, 0, NULL, NULL));
		wrong += value_of(on) != i;
		launch(queue, spin, 300000, 0, NULL, NULL);
		MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, sizeof(i), &i, 0, NULL, NULL));
		launch(on, add, 5, 0, NULL, NULL);
		wrong += value_of(on) != i + 5;
	}
	say("what a blocking write leaves open: %d", wrong);
}

/* Long wait lists. */
static void crowds(void)
{
	enum { CROWD = 500 };
	static cl_event events[CROWD];
	store(0);
	for (int i = 0; i < CROWD; i++)
		launch(queue, add, 1, 0, NULL, &events[i]);
	cl_event marker;
	MUST(clEnqueueMarkerWithWaitList(queue, CROWD, events, &marker));
	CALL(clWaitForEvents(1, &marker));
	CALL(clWaitForEvents(CROWD, events));
	for (int i = 0; i < CROWD; i++)
		MUST(clReleaseEvent(events[i]));
	MUST(clReleaseEvent(marker));
	say("crowd: %d", value_of(queue));
}

int main(void)
{
	begin();
	cl_program program = program_of(source, "");
	add = kernel_of(program, "add");
	mul = kernel_of(program, "mul");
	spin = kernel_of(program, "spin");
	mem = buffer_of(64);
	cl_command_queue any =
		MUST_MAKE(clCreateCommandQueue(context, device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &status));
	gates(queue, "in order");
	gates(any, "out of order");
	failures(queue, "in order");
	failures(any, "out of order");
	order(any);
	markers(queue, "in order");
	markers(any, "out of order");
	profiling();
	between(any);
	blocking_writes(any);
	crowds();
	MUST(clReleaseCommandQueue(any));
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseKernel(add));
	MUST(clReleaseKernel(mul));
	MUST(clReleaseKernel(spin));
	MUST(clReleaseProgram(program));
	end();
	return 0;
}
