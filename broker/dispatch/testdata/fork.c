/* A child of fork: its parent's objects are none of its own, and its parent goes on. */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>

static cl_mem mem;

/* Every call returns; what a bare driver does in a child is its own affair, so only the shim's answers matter. */
static int child(void)
{
	int value = 1;
	char bytes[64];
	size_t one = 1;
	cl_uint count = 0;
	if (!shimmed())
		return 0;
	EXPECT(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, 4, &value, 0, NULL, NULL) != CL_SUCCESS);
	EXPECT(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, 4, &value, 0, NULL, NULL) != CL_SUCCESS);
	EXPECT(clFinish(queue) != CL_SUCCESS);
	EXPECT(!clCreateBuffer(context, 0, 16 * MIB, NULL, NULL));
	EXPECT(!clCreateUserEvent(context, NULL));
	EXPECT(!clCreateContext(NULL, 1, &device, NULL, NULL, NULL));
	EXPECT(!clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_READ, 0, 4, 0, NULL, NULL, NULL));
	EXPECT(clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof(one), &one, NULL) == CL_SUCCESS && one == 4096);
	EXPECT(clReleaseMemObject(mem) == CL_SUCCESS);
	/* It may begin anew, with a session of its own. */
	MUST(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, &count));
	context = MUST_MAKE(clCreateContext(NULL, 1, &device, NULL, NULL, &status));
	queue = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	mem = buffer_of(64);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_FALSE, 0, 6, "child", 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 6, bytes, 0, NULL, NULL));
	EXPECT(strcmp(bytes, "child") == 0);
	return 0;
}

static void *busy(void *argument)
{
	const volatile bool *stop = argument;
	char bytes[512];
	cl_mem mine = buffer_of(sizeof(bytes));
	while (!*stop) {
		cl_event event;
		MUST(clEnqueueWriteBuffer(queue, mine, CL_FALSE, 0, sizeof(bytes), bytes, 0, NULL, NULL));
		MUST(clEnqueueReadBuffer(queue, mine, CL_FALSE, 0, sizeof(bytes), bytes, 0, NULL, &event));
		MUST(clWaitForEvents(1, &event));
		MUST(clReleaseEvent(event));
	}
	MUST(clReleaseMemObject(mine));
	return NULL;
}

int main(void)
{
	int value = 5;
	volatile bool stop = false;
	pthread_t thread;
	begin();
	mem = buffer_of(4096);
	MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, 4, &value, 0, NULL, NULL));
	/* Another thread is in the middle of calls, whose locks a child must not be left with. */
	EXPECT(pthread_create(&thread, NULL, busy, (void *)(uintptr_t)&stop) == 0);
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			alarm(30);
			_exit(child());
		}
		int status = -1;
		EXPECT(waitpid(pid, &status, 0) == pid);
		if (i == 0 || status)
			say("the child ended with %d", status);
	}
	stop = true;
	pthread_join(thread, NULL);
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, 4, &value, 0, NULL, NULL));
	say("the parent reads %d", value);
	MUST(clReleaseMemObject(mem));
	end();
	return 0;
}
