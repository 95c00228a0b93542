#define CL_TARGET_OPENCL_VERSION 120
#include "measure.h"

#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

// A library of tuned kernels that is loaded where it is installed: CLBlast's C interface, clblast_c.h.
#define LIBRARY "libclblast.so.1"
#define ROW_MAJOR 101
#define NOT_TRANSPOSED 111

typedef int (*sgemm)(int layout, int a_transpose, int b_transpose, size_t m, size_t n, size_t k, float alpha, cl_mem a,
		     size_t a_offset, size_t a_ld, cl_mem b, size_t b_offset, size_t b_ld, float beta, cl_mem c,
		     size_t c_offset, size_t c_ld, cl_command_queue *queue, cl_event *event);

enum { SIDE = 512, PRODUCTS = 8 };

static void must(int status, const char *what)
{
	if (status == CL_SUCCESS)
		return;
	fprintf(stderr, "sluice-bench: %s: status %d\n", what, status);
	exit(3);
}

// The value of a matrix's element: small whole numbers, whose products are exact.
static float element(size_t i, size_t period)
{
	return (float)(i % period);
}

static float product_of(const float *a, const float *b, size_t row, size_t column)
{
	float sum = 0;
	for (size_t i = 0; i < SIDE; i++)
		sum += a[row * SIDE + i] * b[i * SIDE + column];
	return sum;
}

double measure_clblast(void)
{
	static float a[SIDE * SIDE], b[SIDE * SIDE], c[SIDE * SIDE];
	void *library = dlopen(LIBRARY, RTLD_NOW);
	sgemm multiply = library ? (sgemm)dlsym(library, "CLBlastSgemm") : NULL;
	cl_platform_id platform;
	cl_device_id device;
	cl_int status;
	if (!multiply)
		return -1;
	for (size_t i = 0; i < SIDE * SIDE; i++) {
		a[i] = element(i, 7);
		b[i] = element(i, 5);
	}
	double begin = measure_now_us();
	must(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
	must(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
	cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
	must(status, "clCreateContext");
	cl_command_queue queue = clCreateCommandQueue(context, device, 0, &status);
	must(status, "clCreateCommandQueue");
	cl_mem mem[3];
	for (size_t i = 0; i < 3; i++) {
		mem[i] = clCreateBuffer(context, CL_MEM_READ_WRITE, sizeof(a), NULL, &status);
		must(status, "clCreateBuffer");
	}
	for (int i = 0; i < PRODUCTS; i++) {
		must(clEnqueueWriteBuffer(queue, mem[0], CL_TRUE, 0, sizeof(a), a, 0, NULL, NULL),
		     "clEnqueueWriteBuffer");
		must(clEnqueueWriteBuffer(queue, mem[1], CL_TRUE, 0, sizeof(b), b, 0, NULL, NULL),
		     "clEnqueueWriteBuffer");
		must(multiply(ROW_MAJOR, NOT_TRANSPOSED, NOT_TRANSPOSED, SIDE, SIDE, SIDE, 1, mem[0], 0, SIDE, mem[1],
			      0, SIDE, 0, mem[2], 0, SIDE, &queue, NULL),
		     "CLBlastSgemm");
		must(clEnqueueReadBuffer(queue, mem[2], CL_TRUE, 0, sizeof(c), c, 0, NULL, NULL),
		     "clEnqueueReadBuffer");
	}
	double elapsed = measure_now_us() - begin;
	for (size_t i = 0; i < SIDE; i += 37)
		if (c[i * SIDE + SIDE - 1 - i] != product_of(a, b, i, SIDE - 1 - i))
			must(1, "a wrong product");
	return elapsed;
}
