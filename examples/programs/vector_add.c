/* Adds two vectors on an OpenCL device and compares every element with the host's sum. */
#include "program.h"

enum { COUNT = 1 << 20 };

static const char source[] = "kernel void add(global const float *a, global const float *b, global float *sum) {\n"
			     "    size_t i = get_global_id(0);\n"
			     "    sum[i] = a[i] + b[i];\n"
			     "}\n";

static float a[COUNT], b[COUNT], sum[COUNT];

static cl_mem buffer_of(struct device device, cl_mem_flags flags, void *values)
{
	cl_int code;
	cl_mem buffer = clCreateBuffer(device.context, flags, sizeof a, values, &code);
	check("clCreateBuffer", code);
	return buffer;
}

int main(void)
{
	for (int i = 0; i < COUNT; i++) {
		a[i] = (float)i * 0.5F;
		b[i] = (float)(COUNT - i);
	}
	struct device device = open_device();
	cl_kernel kernel = build_kernel(device, source, "add");
	cl_mem buffers[3] = {
		buffer_of(device, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, a),
		buffer_of(device, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, b),
		buffer_of(device, CL_MEM_WRITE_ONLY, NULL),
	};
	for (cl_uint i = 0; i < 3; i++) {
		check("clSetKernelArg", clSetKernelArg(kernel, i, sizeof buffers[i], &buffers[i]));
	}
	size_t count = COUNT;
	check("clEnqueueNDRangeKernel",
	      clEnqueueNDRangeKernel(device.queue, kernel, 1, NULL, &count, NULL, 0, NULL, NULL));
	check("clEnqueueReadBuffer",
	      clEnqueueReadBuffer(device.queue, buffers[2], CL_TRUE, 0, sizeof sum, sum, 0, NULL, NULL));
	for (int i = 0; i < COUNT; i++) {
		expect(sum[i] == a[i] + b[i], "an element of the sum");
	}
	for (int i = 0; i < 3; i++) {
		check("clReleaseMemObject", clReleaseMemObject(buffers[i]));
	}
	check("clReleaseKernel", clReleaseKernel(kernel));
	close_device(device);
	printf("vector_add: %d sums are right\n", COUNT);
	return 0;
}
