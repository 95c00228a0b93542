/* Kernels: arguments of all kinds, shapes of launches, what is refused. */
#include "check.h"

static const char *source =
	"typedef struct { char a; int b; float4 c; short d[3]; } record;\n"
	"kernel void scalars(global long *out, char c, uchar uc, short s, int i, uint u, long l, ulong ul, float f, "
	"double d)\n"
	"{ out[0] = c; out[1] = uc; out[2] = s; out[3] = i; out[4] = u; out[5] = l; out[6] = ul; out[7] = f * 4; "
	"out[8] = d * 8; }\n"
	"kernel void vectors(global float *out, float4 a, int2 b, uchar16 c, double3 d)\n"
	"{ vstore4(a, 0, out); out[4] = b.x; out[5] = b.y; out[6] = c.sf; out[7] = d.z; }\n"
	"kernel void structs(global int *out, record r)\n"
	"{ out[0] = r.a; out[1] = r.b; out[2] = r.c.w; out[3] = r.d[2]; }\n"
	"kernel void locals(global int *out, local int *a, local float4 *b, constant int *c)\n"
	"{ size_t l = get_local_id(0); a[l] = c[l]; b[l] = (float4)(l); barrier(CLK_LOCAL_MEM_FENCE);\n"
	"  size_t o = get_local_size(0) - 1 - l; out[get_global_id(0)] = a[o] + (int)b[o].w; }\n"
	"kernel void nullable(global int *out, global int *maybe) { out[0] = maybe ? maybe[0] : -1; }\n"
	"kernel void where(global int *out)\n"
	"{ size_t x = get_global_id(0) - get_global_offset(0), y = get_global_id(1) - get_global_offset(1),\n"
	"  z = get_global_id(2) - get_global_offset(2);\n"
	"  out[(z * get_global_size(1) + y) * get_global_size(0) + x] = get_global_id(0) + 100 * get_global_id(1)\n"
	"  + 10000 * get_global_id(2) + 1000000 * get_group_id(0); }\n"
	"kernel __attribute__((reqd_work_group_size(4, 2, 1))) void fixed(global int *out)\n"
	"{ out[get_global_id(1) * get_global_size(0) + get_global_id(0)] = get_local_id(0) + 10 * get_local_id(1); }\n"
	"kernel void count(global int *out, int step) { out[0] += step; }\n"
	"kernel void whole(global char *big, int n) { for (int i = get_global_id(0); i < n; i += get_global_size(0)) "
	"big[i]++; }\n";

static cl_program program;
static cl_mem out;

static void set(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
	MUST(clSetKernelArg(kernel, index, size, value));
}

static void launch1(cl_kernel kernel, size_t global, size_t local)
{
	MUST(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL));
}

static void show_int(const char *what, size_t count)
{
	int values[64];
	char line[1024] = "";
	MUST(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, count * sizeof(int), values, 0, NULL, NULL));
	for (size_t i = 0; i < count; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " %d", values[i]);
	say("%s:%s", what, line);
}

static void values(void)
{
	say("# values");
	cl_kernel kernel = kernel_of(program, "scalars");
	cl_char c = -7;
	cl_uchar uc = 200;
	cl_short s = -3000;
	cl_int i = -100000;
	cl_uint u = 4000000000u;
	cl_long l = -5000000000ll, read[9];
	cl_ulong ul = 1ull << 62;
	cl_float f = 2.25f;
	cl_double d = -1.125;
	set(kernel, 0, sizeof(out), &out);
	set(kernel, 1, sizeof(c), &c);
	set(kernel, 2, sizeof(uc), &uc);
	set(kernel, 3, sizeof(s), &s);
	set(kernel, 4, sizeof(i), &i);
	set(kernel, 5, sizeof(u), &u);
	set(kernel, 6, sizeof(l), &l);
	set(kernel, 7, sizeof(ul), &ul);
	set(kernel, 8, sizeof(f), &f);
	set(kernel, 9, sizeof(d), &d);
	launch1(kernel, 1, 1);
	MUST(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, sizeof(read), read, 0, NULL, NULL));
	for (size_t k = 0; k < COUNT(read); k++)
		say("%zu: %lld", k, (long long)read[k]);
	/* A value is taken when it is set, and again when it is set again. */
	for (int round = 0; round < 3; round++) {
		i = round;
		set(kernel, 4, sizeof(i), &i);
		i = 999;
		launch1(kernel, 1, 1);
		MUST(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, sizeof(read), read, 0, NULL, NULL));
		say("round %d: %lld", round, (long long)read[3]);
	}
	MUST(clReleaseKernel(kernel));

	kernel = kernel_of(program, "vectors");
	cl_float4 v4 = {{1, 2, 3, 4}};
	cl_int2 v2 = {{-5, 6}};
	cl_uchar16 v16 = {{[15] = 250}};
	cl_double3 v3 = {{0, 0, 8.5}};
	float floats[8];
	set(kernel, 0, sizeof(out), &out);
	set(kernel, 1, sizeof(v4), &v4);
	set(kernel, 2, sizeof(v2), &v2);
	set(kernel, 3, sizeof(v16), &v16);
	set(kernel, 4, sizeof(v3), &v3);
	launch1(kernel, 1, 1);
	MUST(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, sizeof(floats), floats, 0, NULL, NULL));
	for (size_t k = 0; k < COUNT(floats); k++)
		say("%zu: %g", k, floats[k]);
	MUST(clReleaseKernel(kernel));

	kernel = kernel_of(program, "structs");
	struct {
		cl_char a;
		cl_int b;
		cl_float4 c;
		cl_short d[3];
	} record = {.a = 1, .b = 2, .c = {{0, 0, 0, 3}}, .d = {0, 0, 4}};
	set(kernel, 0, sizeof(out), &out);
	set(kernel, 1, sizeof(record), &record);
	launch1(kernel, 1, 1);
	show_int("struct", 4);
	MUST(clReleaseKernel(kernel));
}

static void memory(void)
{
	say("# memory");
	cl_kernel kernel = kernel_of(program, "locals");
	int constants[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	cl_mem constant = MUST_MAKE(clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof(constants),
						   constants, &status));
	set(kernel, 0, sizeof(out), &out);
	set(kernel, 1, 8 * sizeof(cl_int), NULL);
	set(kernel, 2, 8 * sizeof(cl_float4), NULL);
	set(kernel, 3, sizeof(constant), &constant);
	launch1(kernel, 16, 8);
	show_int("local", 16);
	CALL(clSetKernelArg(kernel, 1, 0, NULL));
	CALL(clSetKernelArg(kernel, 1, 4, constants));
	MUST(clReleaseMemObject(constant));
	MUST(clReleaseKernel(kernel));

	kernel = kernel_of(program, "nullable");
	cl_mem none = NULL;
	set(kernel, 0, sizeof(out), &out);
	CALL(clSetKernelArg(kernel, 1, sizeof(cl_mem), NULL));
	launch1(kernel, 1, 1);
	show_int("NULL", 1);
	CALL(clSetKernelArg(kernel, 1, sizeof(cl_mem), &none));
	launch1(kernel, 1, 1);
	show_int("pointer to NULL", 1);
	cl_mem some = buffer_of(64);
	int value = 12;
	MUST(clEnqueueWriteBuffer(queue, some, CL_TRUE, 0, 4, &value, 0, NULL, NULL));
	set(kernel, 1, sizeof(some), &some);
	launch1(kernel, 1, 1);
	show_int("a buffer", 1);
	/* A sub-buffer's argument points behind its buffer's start. */
	cl_mem large = buffer_of(4096);
	cl_buffer_region region = {1024, 64};
	cl_mem sub = MUST_MAKE(clCreateSubBuffer(large, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &status));
	value = 13;
	MUST(clEnqueueWriteBuffer(queue, large, CL_TRUE, 1024, 4, &value, 0, NULL, NULL));
	set(kernel, 1, sizeof(sub), &sub);
	launch1(kernel, 1, 1);
	show_int("a sub-buffer", 1);
	/* The launch keeps what it needs. */
	launch1(kernel, 1, 1);
	MUST(clReleaseMemObject(sub));
	MUST(clReleaseMemObject(large));
	MUST(clReleaseMemObject(some));
	MUST(clReleaseKernel(kernel));
	MUST(clFinish(queue));
}

static void shapes(void)
{
	say("# shapes");
	cl_kernel kernel = kernel_of(program, "where");
	set(kernel, 0, sizeof(out), &out);
	const size_t g1[] = {8}, l1[] = {4}, o1[] = {5}, g2[] = {4, 3}, l2[] = {2, 1}, o2[] = {1, 2}, g3[] = {2, 3, 2},
		     l3[] = {2, 1, 2}, o3[] = {1, 0, 7};
	MUST(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, g1, l1, 0, NULL, NULL));
	show_int("one dimension", 8);
	MUST(clEnqueueNDRangeKernel(queue, kernel, 1, o1, g1, l1, 0, NULL, NULL));
	show_int("with an offset", 8);
	MUST(clEnqueueNDRangeKernel(queue, kernel, 2, NULL, g2, l2, 0, NULL, NULL));
	show_int("two dimensions", 12);
	MUST(clEnqueueNDRangeKernel(queue, kernel, 2, o2, g2, l2, 0, NULL, NULL));
	show_int("with an offset", 12);
	MUST(clEnqueueNDRangeKernel(queue, kernel, 3, NULL, g3, l3, 0, NULL, NULL));
	show_int("three dimensions", 12);
	MUST(clEnqueueNDRangeKernel(queue, kernel, 3, o3, g3, l3, 0, NULL, NULL));
	show_int("with an offset", 12);
	MUST(clReleaseKernel(kernel));

	kernel = kernel_of(program, "fixed");
	set(kernel, 0, sizeof(out), &out);
	const size_t g[] = {8, 4}, right[] = {4, 2}, wrong[] = {2, 4};
	size_t required[3];
	CALL(clEnqueueNDRangeKernel(queue, kernel, 2, NULL, g, right, 0, NULL, NULL));
	show_int("required", 32);
	CALL(clEnqueueNDRangeKernel(queue, kernel, 2, NULL, g, wrong, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 2, NULL, g, NULL, 0, NULL, NULL));
	MUST(clGetKernelWorkGroupInfo(kernel, device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof(required), required,
				      NULL));
	say("required: %zu %zu %zu", required[0], required[1], required[2]);
	CALL(clGetKernelWorkGroupInfo(kernel, device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, 8, required, NULL));
	CALL(clGetKernelWorkGroupInfo(kernel, device, 0x9999, sizeof(required), required, NULL));
	CALL(clGetKernelWorkGroupInfo(kernel, NULL, CL_KERNEL_WORK_GROUP_SIZE, sizeof(required), required, NULL));
	say("at most: %zu", required[0]);
	cl_ulong bytes = 0;
	CALL(clGetKernelWorkGroupInfo(kernel, device, CL_KERNEL_PRIVATE_MEM_SIZE, sizeof(bytes), &bytes, NULL));
	MUST(clFinish(queue));
	MUST(clReleaseKernel(kernel));
}

static void refusals(void)
{
	say("# refusals");
	cl_kernel kernel = kernel_of(program, "count"), fresh = kernel_of(program, "count");
	int step = 1, steps[2] = {1, 2};
	size_t one = 1, two = 2, three = 3, none = 0, huge = 1 << 20;
	CALL(clSetKernelArg(kernel, 2, sizeof(step), &step));
	CALL(clSetKernelArg(kernel, 1, 3, &step));
	CALL(clSetKernelArg(kernel, 1, 8, steps));
	CALL(clSetKernelArg(kernel, 1, 0, &step));
	CALL(clSetKernelArg(kernel, 1, sizeof(step), NULL));
	CALL(clSetKernelArg(kernel, 0, 4, &out));
	CALL(clSetKernelArg(kernel, 0, sizeof(out), &out));
	CALL(clEnqueueNDRangeKernel(queue, fresh, 1, NULL, &one, &one, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL));
	CALL(clSetKernelArg(kernel, 1, sizeof(step), &step));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 0, NULL, &one, &one, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 4, NULL, &one, &one, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, NULL, &one, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &three, &two, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &none, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &huge, &huge, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL));
	/* The like of a launch that was refused is refused again, and the like of one that was not is not. */
	CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &three, &two, 0, NULL, NULL));
	CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL));
	cl_context other = MUST_MAKE(clCreateContext(NULL, 1, &device, NULL, NULL, &status));
	cl_command_queue elsewhere = MUST_MAKE(clCreateCommandQueue(other, device, 0, &status));
	CALL(clEnqueueNDRangeKernel(elsewhere, kernel, 1, NULL, &one, &one, 0, NULL, NULL));
	MUST(clReleaseCommandQueue(elsewhere));
	MUST(clReleaseContext(other));
	MUST(clFinish(queue));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseKernel(fresh));
}

static void many(void)
{
	say("# many");
	cl_kernel kernel = kernel_of(program, "count");
	int zero = 0, step, sum = 0;
	set(kernel, 0, sizeof(out), &out);
	MUST(clEnqueueWriteBuffer(queue, out, CL_TRUE, 0, 4, &zero, 0, NULL, NULL));
	for (int i = 0; i < 5000; i++) {
		step = i % 7;
		sum += step;
		set(kernel, 1, sizeof(step), &step);
		launch1(kernel, 1, 1);
	}
	show_int("sum", 1);
	say("expected: %d", sum);
	cl_event events[200];
	size_t one = 1;
	for (int i = 0; i < 200; i++)
		MUST(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, &events[i]));
	CALL(clWaitForEvents(200, events));
	for (int i = 0; i < 200; i++)
		MUST(clReleaseEvent(events[i]));
	CALL(clEnqueueTask(queue, kernel, 0, NULL, NULL));
	MUST(clFinish(queue));
	MUST(clReleaseKernel(kernel));
	cl_mem big = buffer_of(8 * MIB);
	kernel = kernel_of(program, "whole");
	int n = 8 * MIB;
	char *bytes = calloc(8, MIB);
	set(kernel, 0, sizeof(big), &big);
	set(kernel, 1, sizeof(n), &n);
	MUST(clEnqueueWriteBuffer(queue, big, CL_FALSE, 0, 8 * MIB, bytes, 0, NULL, NULL));
	for (int i = 0; i < 3; i++)
		launch1(kernel, 64, 16);
	MUST(clEnqueueReadBuffer(queue, big, CL_TRUE, 0, 8 * MIB, bytes, 0, NULL, NULL));
	int wrong = 0;
	for (size_t i = 0; i < 8 * MIB; i++)
		wrong += bytes[i] != 3;
	say("wrong: %d", wrong);
	free(bytes);
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseMemObject(big));
}

/* What is known of one kernel is not taken for another of its name, nor for one of a program that was built again. */
static void alike(void)
{
	say("# alike");
	cl_kernel first = kernel_of(program, "locals"), second = kernel_of(program, "locals"), third;
	cl_mem numbers = buffer_of(64 * sizeof(int));
	size_t one = 1;
	int zeros[64] = {0};
	MUST(clEnqueueWriteBuffer(queue, numbers, CL_TRUE, 0, sizeof(zeros), zeros, 0, NULL, NULL));
	set(first, 0, sizeof(out), &out);
	set(first, 1, 64 * sizeof(int), NULL);
	set(first, 2, 64 * sizeof(cl_float4), NULL);
	set(first, 3, sizeof(numbers), &numbers);
	launch1(first, 4, 4);
	launch1(first, 4, 4);
	show_int("first", 4);
	CALL(clEnqueueNDRangeKernel(queue, second, 1, NULL, &one, &one, 0, NULL, NULL));
	set(second, 0, sizeof(out), &out);
	set(second, 3, sizeof(numbers), &numbers);
	set(second, 1, 64 * sizeof(int), NULL);
	CALL(clEnqueueNDRangeKernel(queue, second, 1, NULL, &one, &one, 0, NULL, NULL));
	third = MAKE(clCloneKernel(second, &status));
	CALL(clEnqueueNDRangeKernel(queue, third, 1, NULL, &one, &one, 0, NULL, NULL));
	set(second, 2, 64 * sizeof(cl_float4), NULL);
	launch1(second, 4, 4);
	CALL(clSetKernelArg(second, 0, 3, &out));
	CALL(clSetKernelArg(second, 4, sizeof(int), zeros));
	CALL(clSetKernelArg(second, 1, (size_t)1 << 40, NULL));
	MUST(clFinish(queue));
	MUST(clReleaseKernel(first));
	MUST(clReleaseKernel(second));
	MUST(clReleaseKernel(third));
	MUST(clReleaseMemObject(numbers));

	cl_program twice = program_of("#ifdef MORE\nkernel void f(global int *out, int a, int b) { out[0] = a + b; }\n"
				      "#else\nkernel void f(global int *out, char a) { out[0] = a; }\n#endif\n",
				      "");
	cl_uint count = 0;
	int value = 7;
	for (int i = 0; i < 3; i++) {
		cl_kernel kernel = kernel_of(twice, "f");
		MUST(clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof(count), &count, NULL));
		say("arguments: %u", count);
		set(kernel, 0, sizeof(out), &out);
		CALL(clSetKernelArg(kernel, 1, sizeof(char), &value));
		CALL(clSetKernelArg(kernel, 1, sizeof(int), &value));
		CALL(clSetKernelArg(kernel, 2, sizeof(int), &value));
		CALL(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL));
		show_int("f", 1);
		MUST(clReleaseKernel(kernel));
		if (i < 2)
			MUST(clBuildProgram(twice, 1, &device, i ? "" : "-DMORE", NULL, NULL));
	}
	CALL(clBuildProgram(twice, 1, &device, "-DMORE -Dkernel=broken", NULL, NULL));
	EXPECT(!MAKE(clCreateKernel(twice, "f", &status)));
	MUST(clReleaseProgram(twice));
}

/* The last word on an argument counts, whoever takes the kernel up, and a new object is not taken for a gone one. */
static void again(void)
{
	say("# again");
	cl_kernel kernel = kernel_of(program, "count");
	int zero = 0, steps[] = {1, 10, 100, 1000};
	MUST(clEnqueueWriteBuffer(queue, out, CL_TRUE, 0, 4, &zero, 0, NULL, NULL));
	set(kernel, 0, sizeof(out), &out);
	set(kernel, 1, sizeof(int), &steps[0]);
	launch1(kernel, 1, 1);
	set(kernel, 1, sizeof(int), &steps[3]);
	set(kernel, 1, sizeof(int), &steps[1]);
	launch1(kernel, 1, 1);
	set(kernel, 1, sizeof(int), &steps[1]);
	launch1(kernel, 1, 1);
	show_int("1 + 10 + 10", 1);
	set(kernel, 1, sizeof(int), &steps[2]);
	cl_kernel clone = MAKE(clCloneKernel(kernel, &status));
	set(kernel, 1, sizeof(int), &steps[0]);
	launch1(clone, 1, 1);
	MUST(clEnqueueTask(queue, kernel, 0, NULL, NULL));
	show_int("and 100 + 1", 1);
	MUST(clReleaseKernel(clone));
	for (int i = 0; i < 20; i++) {
		cl_mem fresh = buffer_of(4096);
		int read;
		MUST(clEnqueueWriteBuffer(queue, fresh, CL_TRUE, 0, 4, &i, 0, NULL, NULL));
		set(kernel, 0, sizeof(fresh), &fresh);
		if (i % 3 == 0)
			set(kernel, 0, sizeof(out), &out);
		set(kernel, 0, sizeof(fresh), &fresh);
		launch1(kernel, 1, 1);
		MUST(clEnqueueReadBuffer(queue, fresh, CL_TRUE, 0, 4, &read, 0, NULL, NULL));
		EXPECT(read == i + 1);
		MUST(clReleaseMemObject(fresh));
	}
	cl_mem left = buffer_of(4096);
	set(kernel, 0, sizeof(left), &left);
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseMemObject(left));
}

int main(void)
{
	begin();
	program = program_of(source, "");
	out = buffer_of(4096);
	values();
	memory();
	shapes();
	refusals();
	many();
	alike();
	again();
	MUST(clReleaseMemObject(out));
	MUST(clReleaseProgram(program));
	end();
	return 0;
}
