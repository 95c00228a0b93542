/* Callbacks: of events, of memory objects, of builds, of contexts. */
#include "check.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int calls, last_status, order[8];

static void called(int number, int status)
{
	pthread_mutex_lock(&lock);
	order[calls % 8] = number;
	calls++;
	last_status = status;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* Waits until so many calls have come since the last time. */
static void await(int count)
{
	pthread_mutex_lock(&lock);
	while (calls < count)
		pthread_cond_wait(&changed, &lock);
	calls = 0;
	pthread_mutex_unlock(&lock);
}

static void CL_CALLBACK on_event(cl_event event, cl_int status, void *data)
{
	EXPECT(event);
	called((int)(intptr_t)data, status);
}

static void CL_CALLBACK on_memory(cl_mem mem, void *data)
{
	(void)mem;
	called((int)(intptr_t)data, 0);
}

static void CL_CALLBACK on_program(cl_program program, void *data)
{
	EXPECT(program);
	called((int)(intptr_t)data, 0);
}

/* A callback may call the API, as long as it does not block. */
static void CL_CALLBACK sets_next(cl_event event, cl_int status, void *data)
{
	(void)event, (void)status;
	MUST(clSetUserEventStatus(data, CL_COMPLETE));
	called(0, 0);
}

static void events(void)
{
	cl_event user = MUST_MAKE(clCreateUserEvent(context, &status));
	CALL(clSetEventCallback(user, CL_COMPLETE, on_event, (void *)1));
	CALL(clSetEventCallback(user, CL_COMPLETE, on_event, (void *)2));
	say("before: %d", calls);
	MUST(clSetUserEventStatus(user, CL_COMPLETE));
	await(2);
	say("status %d", last_status);
	/* One that has come about already is called at once. */
	CALL(clSetEventCallback(user, CL_COMPLETE, on_event, (void *)3));
	await(1);
	MUST(clReleaseEvent(user));

	/* PoCL 3.1 calls none for an event that fails, and none for a state that an event passes by. */
	user = MUST_MAKE(clCreateUserEvent(context, &status));
	MUST(clSetEventCallback(user, CL_RUNNING, on_event, NULL));
	cl_event failed = MUST_MAKE(clCreateUserEvent(context, &status));
	MUST(clSetEventCallback(failed, CL_COMPLETE, on_event, NULL));
	MUST(clSetUserEventStatus(failed, -77));
	MUST(clReleaseEvent(failed));
	/* The shim is told of the end, and calls then. */
	if (shimmed()) {
		MUST(clSetUserEventStatus(user, CL_COMPLETE));
		await(1);
	}
	MUST(clReleaseEvent(user));

	cl_mem mem = buffer_of(4096);
	char bytes[64] = "callback";
	cl_event written;
	MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, sizeof(bytes), bytes, 0, NULL, &written));
	MUST(clSetEventCallback(written, CL_COMPLETE, on_event, NULL));
	MUST(clFlush(queue));
	await(1);
	/* A read's bytes are there when its callback is called. */
	char back[64] = "";
	cl_event read;
	MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, sizeof(back), back, 0, NULL, &read));
	MUST(clSetEventCallback(read, CL_COMPLETE, on_event, NULL));
	MUST(clFlush(queue));
	await(1);
	say("read '%s', status %d", back, last_status);
	MUST(clReleaseEvent(read));
	MUST(clReleaseEvent(written));

	cl_event first = MUST_MAKE(clCreateUserEvent(context, &status)),
		 second = MUST_MAKE(clCreateUserEvent(context, &status));
	MUST(clSetEventCallback(first, CL_COMPLETE, sets_next, second));
	MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, sizeof(back), back, 1, &second, &read));
	MUST(clFlush(queue));
	MUST(clSetUserEventStatus(first, CL_COMPLETE));
	MUST(clWaitForEvents(1, &read));
	await(1);
	say("set by a callback: %d", event_status(second));
	MUST(clReleaseEvent(first));
	MUST(clReleaseEvent(second));
	MUST(clReleaseEvent(read));

	user = MUST_MAKE(clCreateUserEvent(context, &status));
	CALL(clSetEventCallback(user, CL_COMPLETE, NULL, NULL));
	CALL(clSetEventCallback(user, 17, on_event, NULL));
	CALL(clSetEventCallback(NULL, CL_COMPLETE, on_event, NULL));
	MUST(clSetUserEventStatus(user, CL_COMPLETE));
	MUST(clReleaseEvent(user));

	/* Many at once, from one queue. */
	for (int i = 0; i < 400; i++) {
		MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, 4, bytes, 0, NULL, &written));
		MUST(clSetEventCallback(written, CL_COMPLETE, on_event, NULL));
		MUST(clReleaseEvent(written));
	}
	MUST(clFlush(queue));
	await(400);
	say("all called");
	MUST(clReleaseMemObject(mem));
}

static void memory(void)
{
	cl_mem mem = buffer_of(64);
	CALL(clSetMemObjectDestructorCallback(mem, on_memory, (void *)1));
	CALL(clSetMemObjectDestructorCallback(mem, on_memory, (void *)2));
	CALL(clSetMemObjectDestructorCallback(mem, NULL, NULL));
	CALL(clSetMemObjectDestructorCallback(NULL, on_memory, NULL));
	MUST(clRetainMemObject(mem));
	MUST(clReleaseMemObject(mem));
	say("not yet: %d", calls);
	MUST(clReleaseMemObject(mem));
	await(2);
	say("last set, first called: %d %d", order[0], order[1]);
	/* The program's memory is its own again when the callback is called. */
	static int host[1024];
	mem = MUST_MAKE(clCreateBuffer(context, CL_MEM_USE_HOST_PTR, sizeof(host), host, &status));
	MUST(clSetMemObjectDestructorCallback(mem, on_memory, NULL));
	MUST(clReleaseMemObject(mem));
	await(1);
	memset(host, 1, sizeof(host));
}

static void builds(void)
{
	const char *right = "kernel void k(global int *a) { a[0] = 1; }", *wrong = "kernel void k(";
	cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 1, &right, NULL, &status));
	CALL(clBuildProgram(program, 1, &device, "", on_program, (void *)5));
	await(1);
	cl_build_status built = 9;
	MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_STATUS, sizeof(built), &built, NULL));
	say("built: %d", built);
	MUST(clReleaseProgram(program));
	program = MUST_MAKE(clCreateProgramWithSource(context, 1, &wrong, NULL, &status));
	/* PoCL calls it for a build that succeeds alone. */
	if (shimmed()) {
		(void)clBuildProgram(program, 1, &device, "", on_program, NULL);
		await(1);
	}
	MUST(clReleaseProgram(program));
}

int main(void)
{
	begin();
	events();
	memory();
	builds();
	end();
	return 0;
}
