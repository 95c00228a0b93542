/* Leaves everything behind: objects, mapped memory, commands that wait for an event that nobody will set. */
#include "check.h"

#include <pthread.h>

static cl_event gate;

static void *waits(void *argument)
{
	(void)argument;
	(void)clWaitForEvents(1, &gate);
	return NULL;
}

int main(void)
{
	static char bytes[MIB];
	pthread_t thread;
	begin();
	cl_program program = program_of("kernel void k(global int *a) { a[0] = 1; }", "");
	cl_kernel kernel = kernel_of(program, "k");
	cl_mem mem = buffer_of(8 * MIB), other = buffer_of(100);
	size_t one = 1;
	gate = MUST_MAKE(clCreateUserEvent(context, &status));
	cl_event lost = MUST_MAKE(clCreateUserEvent(context, &status)), event;
	MUST(clSetKernelArg(kernel, 0, sizeof(mem), &mem));
	MUST(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 1, &gate, &event));
	MUST(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, MIB, bytes, 0, NULL, NULL));
	cl_command_queue second = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	MUST_MAKE(clEnqueueMapBuffer(second, other, CL_TRUE, CL_MAP_WRITE, 0, 100, 0, NULL, NULL, &status));
	/* Nobody has a name for the event any more that this waits for. */
	cl_command_queue third = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	MUST(clEnqueueWriteBuffer(third, other, CL_FALSE, 0, 4, bytes, 1, &lost, NULL));
	MUST(clReleaseEvent(lost));
	EXPECT(pthread_create(&thread, NULL, waits, NULL) == 0);
	MUST(clFlush(queue));
	say("gone");
	_exit(0);
}
