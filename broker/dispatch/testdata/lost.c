/* A program whose worker goes away in the middle: every call returns, with an error. */
#include "check.h"

#include <pthread.h>

static cl_event gate;
static cl_mem mem;

static void *finishes(void *argument)
{
	(void)argument;
	EXPECT(clFinish(queue) != CL_SUCCESS);
	return NULL;
}

static void *waits(void *argument)
{
	(void)argument;
	EXPECT(clWaitForEvents(1, &gate) != CL_SUCCESS);
	return NULL;
}

static void CL_CALLBACK called(cl_event event, cl_int status, void *count)
{
	(void)event;
	EXPECT(status < 0);
	*(_Atomic int *)count += 1;
}

int main(void)
{
	static char large[MIB];
	pthread_t threads[2];
	_Atomic int callbacks = 0;
	begin();
	cl_program program = program_of("kernel void k(global int *a) { a[0] = 1; }", "");
	cl_kernel kernel = kernel_of(program, "k");
	cl_command_queue other = MUST_MAKE(clCreateCommandQueue(context, device, 0, &status));
	mem = buffer_of(MIB);
	gate = MUST_MAKE(clCreateUserEvent(context, &status));
	MUST(clSetEventCallback(gate, CL_COMPLETE, called, &callbacks));
	MUST(clEnqueueMarkerWithWaitList(queue, 1, &gate, NULL));
	EXPECT(pthread_create(&threads[0], NULL, finishes, NULL) == 0);
	EXPECT(pthread_create(&threads[1], NULL, waits, NULL) == 0);
	char *mapped = MUST_MAKE(clEnqueueMapBuffer(other, mem, CL_TRUE, CL_MAP_READ, 0, MIB, 0, NULL, NULL, &status));
	say("ready");
	while (clEnqueueWriteBuffer(other, mem, CL_FALSE, 0, 4, large, 0, NULL, NULL) == CL_SUCCESS &&
	       clEnqueueReadBuffer(other, mem, CL_TRUE, 0, 4, large, 0, NULL, NULL) == CL_SUCCESS)
		;
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	while (!callbacks)
		usleep(1000);
	/* Mapped memory does not vanish under the program. */
	EXPECT(mapped[0] == mapped[0]);
	size_t one = 1;
	EXPECT(clFinish(other) != CL_SUCCESS);
	EXPECT(clEnqueueNDRangeKernel(other, kernel, 1, NULL, &one, &one, 0, NULL, NULL) != CL_SUCCESS);
	EXPECT(clEnqueueReadBuffer(other, mem, CL_TRUE, 0, MIB, large, 0, NULL, NULL) != CL_SUCCESS);
	EXPECT(clEnqueueWriteBuffer(other, mem, CL_FALSE, 0, MIB, large, 0, NULL, NULL) != CL_SUCCESS);
	EXPECT(clEnqueueUnmapMemObject(other, mem, mapped, 0, NULL, NULL) != CL_SUCCESS);
	EXPECT(!clCreateBuffer(context, 0, 64 * MIB, NULL, NULL));
	EXPECT(clSetUserEventStatus(gate, CL_COMPLETE) != CL_SUCCESS);
	MUST(clReleaseEvent(gate));
	MUST(clReleaseMemObject(mem));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseProgram(program));
	MUST(clReleaseCommandQueue(other));
	MUST(clReleaseCommandQueue(queue));
	MUST(clReleaseContext(context));
	say("end");
	return 0;
}
