/* What a device without pipes, device-side queues and intermediate languages refuses. */
#include "check.h"

static void pipes(void)
{
	say("# pipes");
	cl_bool supported = CL_TRUE;
	cl_uint size;
	MUST(clGetDeviceInfo(device, CL_DEVICE_PIPE_SUPPORT, sizeof(supported), &supported, NULL));
	say("supported: %d", (int)supported);
	(void)MAKE(clCreatePipe(context, CL_MEM_HOST_NO_ACCESS, 4, 4, NULL, &status));
	(void)MAKE(clCreatePipe(context, 0, 4, 4, NULL, &status));
	(void)MAKE(clCreatePipe(NULL, CL_MEM_HOST_NO_ACCESS, 4, 4, NULL, &status));
	cl_mem mem = buffer_of(16);
	CALL(clGetPipeInfo(mem, CL_PIPE_PACKET_SIZE, sizeof(size), &size, NULL));
	SHIM_ONLY(clGetPipeInfo(NULL, CL_PIPE_PACKET_SIZE, sizeof(size), &size, NULL), CL_INVALID_MEM_OBJECT);
	MUST(clReleaseMemObject(mem));
}

static void device_queues(void)
{
	say("# device queues");
	CALL(clSetDefaultDeviceCommandQueue(context, device, queue));
	SHIM_ONLY(clSetDefaultDeviceCommandQueue(NULL, device, queue), CL_INVALID_CONTEXT);
	SHIM_ONLY(clSetDefaultDeviceCommandQueue(context, NULL, queue), CL_INVALID_DEVICE);
	CALL(clSetDefaultDeviceCommandQueue(context, device, NULL));
}

/* Of OpenCL 1.0 alone; PoCL 3.1 ends the process. */
static void queue_property(void)
{
	cl_command_queue_properties old;
	SHIM_ONLY(clSetCommandQueueProperty(queue, CL_QUEUE_PROFILING_ENABLE, CL_FALSE, &old), CL_INVALID_OPERATION);
	SHIM_ONLY(clSetCommandQueueProperty(NULL, CL_QUEUE_PROFILING_ENABLE, CL_FALSE, &old), CL_INVALID_COMMAND_QUEUE);
}

static void intermediate_languages(void)
{
	say("# intermediate languages");
	cl_int value = 1;
	cl_program program = program_of("kernel void k(global int *a) { a[0] = 1; }", "");
	/* PoCL 3.1 says that the program is invalid. */
	CALL_DIFFERS(clSetProgramSpecializationConstant(program, 0, sizeof(value), &value));
	SHIM_ONLY(clSetProgramSpecializationConstant(program, 0, sizeof(value), &value), CL_INVALID_OPERATION);
	CALL(clSetProgramSpecializationConstant(NULL, 0, sizeof(value), &value));
	MUST(clReleaseProgram(program));
}

int main(void)
{
	begin();
	pipes();
	device_queues();
	queue_property();
	intermediate_languages();
	end();
	return 0;
}
