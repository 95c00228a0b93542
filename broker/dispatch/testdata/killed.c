/* A child with a session of its own that is killed between two calls, and its parent, which goes on. */
#include "check.h"

#include <signal.h>
#include <sys/wait.h>

static void child(void)
{
	char bytes[64] = "child";
	MUST(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
	context = MUST_MAKE(clCreateContext(NULL, 1, &device, NULL, NULL, &status));
	queue = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	cl_mem mem = buffer_of(sizeof(bytes));
	MUST(clEnqueueWriteBuffer(queue, mem, CL_TRUE, 0, sizeof(bytes), bytes, 0, NULL, NULL));
	MUST(clEnqueueFillBuffer(queue, mem, "x", 1, 0, sizeof(bytes), 0, NULL, NULL));
	raise(SIGKILL);
}

int main(void)
{
	begin();
	cl_mem mem = buffer_of(4096);
	pid_t pid = fork();
	if (pid == 0) {
		child();
		_exit(1);
	}
	int status = 0;
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	say("~ child %d", (int)pid);
	MUST(clReleaseMemObject(mem));
	end();
}
