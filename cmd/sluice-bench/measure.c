#define CL_TARGET_OPENCL_VERSION 120
#include "measure.h"

#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIPELINED 2000
#define REPEATED 1000
#define BUFFER_BYTES ((size_t)64 << 20)

static cl_device_id device;
static cl_context context;
static cl_command_queue queue;
static cl_kernel nop, one;
static cl_mem buffer;
static char *host;

double measure_now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void check(cl_int status, const char *what)
{
	if (status == CL_SUCCESS)
		return;
	fprintf(stderr, "sluice-bench: %s: OpenCL status %d\n", what, status);
	exit(3);
}

double measure_start(void)
{
	cl_platform_id platform;
	cl_int status;
	double begin = measure_now_us();
	check(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
	check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
	context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
	check(status, "clCreateContext");
	queue = clCreateCommandQueue(context, device, 0, &status);
	check(status, "clCreateCommandQueue");
	double elapsed = measure_now_us() - begin;

	const char *source = "__kernel void nop(void) {} __kernel void one(int a) {}";
	cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &status);
	check(status, "clCreateProgramWithSource");
	check(clBuildProgram(program, 1, &device, "", NULL, NULL), "clBuildProgram");
	nop = clCreateKernel(program, "nop", &status);
	check(status, "clCreateKernel");
	one = clCreateKernel(program, "one", &status);
	check(status, "clCreateKernel");
	buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, BUFFER_BYTES, NULL, &status);
	check(status, "clCreateBuffer");
	host = malloc(BUFFER_BYTES);
	memset(host, 1, BUFFER_BYTES);
	/* First touch of the buffer, on either side. */
	check(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 0, BUFFER_BYTES, host, 0, NULL, NULL),
	      "clEnqueueWriteBuffer");
	check(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, BUFFER_BYTES, host, 0, NULL, NULL), "clEnqueueReadBuffer");
	return elapsed;
}

static void enqueue_nop(void)
{
	const size_t global = 1, local = 1;
	check(clEnqueueNDRangeKernel(queue, nop, 1, NULL, &global, &local, 0, NULL, NULL), "clEnqueueNDRangeKernel");
}

static double nop_finish(void)
{
	double begin = measure_now_us();
	enqueue_nop();
	check(clFinish(queue), "clFinish");
	return measure_now_us() - begin;
}

static double nop_pipelined(void)
{
	double begin = measure_now_us();
	for (int i = 0; i < PIPELINED; i++)
		enqueue_nop();
	check(clFinish(queue), "clFinish");
	return (measure_now_us() - begin) / PIPELINED;
}

/* What the program itself spends on an enqueue that it does not wait for. */
static double enqueue(void)
{
	double begin = measure_now_us();
	for (int i = 0; i < PIPELINED; i++)
		enqueue_nop();
	double elapsed = measure_now_us() - begin;
	check(clFinish(queue), "clFinish");
	return elapsed / PIPELINED;
}

static double set_arg(void)
{
	double begin = measure_now_us();
	for (cl_int i = 0; i < REPEATED; i++)
		check(clSetKernelArg(one, 0, sizeof(i), &i), "clSetKernelArg");
	double elapsed = measure_now_us() - begin;
	check(clFinish(queue), "clFinish");
	return elapsed / REPEATED;
}

static double device_info(void)
{
	cl_uint units;
	double begin = measure_now_us();
	for (int i = 0; i < REPEATED; i++)
		check(clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(units), &units, NULL),
		      "clGetDeviceInfo");
	return (measure_now_us() - begin) / REPEATED;
}

static double retain_release(void)
{
	double begin = measure_now_us();
	for (int i = 0; i < REPEATED; i++) {
		check(clRetainMemObject(buffer), "clRetainMemObject");
		check(clReleaseMemObject(buffer), "clReleaseMemObject");
	}
	return (measure_now_us() - begin) / (2 * REPEATED);
}

static const char product[] =
	"#define TILE 8\n"
	"__kernel void product(__global const float *a, __global const float *b, __global float *c, int n) {\n"
	"  __local float x[TILE][TILE], y[TILE][TILE];\n"
	"  int row = get_global_id(1), column = get_global_id(0), r = get_local_id(1), q = get_local_id(0);\n"
	"  float sum = NUMBER;\n"
	"  for (int tile = 0; tile < n / TILE; tile++) {\n"
	"    x[r][q] = a[row * n + tile * TILE + q];\n"
	"    y[r][q] = b[(tile * TILE + r) * n + column];\n"
	"    barrier(CLK_LOCAL_MEM_FENCE);\n"
	"    for (int i = 0; i < TILE; i++) sum += x[r][i] * y[i][q];\n"
	"    barrier(CLK_LOCAL_MEM_FENCE);\n"
	"  }\n"
	"  c[row * n + column] = sum - NUMBER;\n"
	"}\n";

double measure_build(unsigned number)
{
	char text[sizeof(product) + 64];
	const char *source = text;
	const size_t global[2] = {8, 8}, local[2] = {8, 8};
	const cl_int n = 8;
	cl_int status;
	snprintf(text, sizeof(text), "#define NUMBER %uu\n%s", number, product);
	double begin = measure_now_us();
	cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &status);
	check(status, "clCreateProgramWithSource");
	check(clBuildProgram(program, 1, &device, "", NULL, NULL), "clBuildProgram");
	cl_kernel kernel = clCreateKernel(program, "product", &status);
	check(status, "clCreateKernel");
	for (cl_uint i = 0; i < 3; i++)
		check(clSetKernelArg(kernel, i, sizeof(buffer), &buffer), "clSetKernelArg");
	check(clSetKernelArg(kernel, 3, sizeof(n), &n), "clSetKernelArg");
	check(clEnqueueNDRangeKernel(queue, kernel, 2, NULL, global, local, 0, NULL, NULL), "clEnqueueNDRangeKernel");
	check(clFinish(queue), "clFinish");
	double elapsed = measure_now_us() - begin;
	check(clReleaseKernel(kernel), "clReleaseKernel");
	check(clReleaseProgram(program), "clReleaseProgram");
	return elapsed;
}

double measure_rate(double seconds)
{
	double begin = measure_now_us(), elapsed;
	int done = 0;
	do {
		for (int i = 0; i < PIPELINED; i++)
			enqueue_nop();
		check(clFinish(queue), "clFinish");
		done += PIPELINED;
		elapsed = measure_now_us() - begin;
	} while (elapsed < seconds * 1e6);
	return done / elapsed * 1e6;
}

static double write_bytes(size_t size)
{
	double begin = measure_now_us();
	check(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 0, size, host, 0, NULL, NULL), "clEnqueueWriteBuffer");
	double elapsed = measure_now_us() - begin;
	check(clFinish(queue), "clFinish");
	return elapsed;
}

static double read_bytes(size_t size)
{
	double begin = measure_now_us();
	check(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, size, host, 0, NULL, NULL), "clEnqueueReadBuffer");
	return measure_now_us() - begin;
}

static double map_bytes(size_t size)
{
	cl_int status;
	double begin = measure_now_us();
	void *mapped =
		clEnqueueMapBuffer(queue, buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 0, NULL, NULL, &status);
	check(status, "clEnqueueMapBuffer");
	check(clEnqueueUnmapMemObject(queue, buffer, mapped, 0, NULL, NULL), "clEnqueueUnmapMemObject");
	check(clFinish(queue), "clFinish");
	return measure_now_us() - begin;
}

static double write_4B(void)
{
	return write_bytes(4);
}

static double read_4B(void)
{
	return read_bytes(4);
}

static double write_1MiB(void)
{
	return write_bytes((size_t)1 << 20);
}

static double read_1MiB(void)
{
	return read_bytes((size_t)1 << 20);
}

static double write_64MiB(void)
{
	return write_bytes(BUFFER_BYTES);
}

static double read_64MiB(void)
{
	return read_bytes(BUFFER_BYTES);
}

static double map_4KiB(void)
{
	return map_bytes((size_t)4 << 10);
}

static double map_16MiB(void)
{
	return map_bytes((size_t)16 << 20);
}

const struct measure measures[] = {
	{"nop_finish", 2000, nop_finish}, {"nop_pipelined", 15, nop_pipelined}, {"enqueue", 15, enqueue},
	{"set_arg", 100, set_arg},	  {"device_info", 100, device_info},	{"retain_release", 100, retain_release},
	{"write_4B", 2000, write_4B},	  {"read_4B", 2000, read_4B},		{"write_1MiB", 200, write_1MiB},
	{"read_1MiB", 200, read_1MiB},	  {"write_64MiB", 9, write_64MiB},	{"read_64MiB", 9, read_64MiB},
	{"map_4KiB", 1000, map_4KiB},	  {"map_16MiB", 300, map_16MiB},	{NULL, 0, NULL},
};
