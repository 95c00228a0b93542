/* Programs: sources, builds that fail, options, binaries, kernels and what is known of their arguments. */
#include "check.h"

static int run(cl_program program, const char *name)
{
	cl_kernel kernel = kernel_of(program, name);
	cl_mem out = buffer_of(64);
	int value = 0;
	size_t one = 1;
	MUST(clSetKernelArg(kernel, 0, sizeof(out), &out));
	MUST(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, sizeof(value), &value, 0, NULL, NULL));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseMemObject(out));
	return value;
}

static void sources(void)
{
	say("# sources");
	const char *parts[] = {"kernel void k(global int *o) XXX", "{ o[0] = ", "V;", " }YYYY"};
	const size_t lengths[] = {29, 0, 0, 2};
	char text[256];
	size_t size;
	cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 4, parts, lengths, &status));
	MUST(clGetProgramInfo(program, CL_PROGRAM_SOURCE, sizeof(text), text, &size));
	say("%zu: %s", size, text);
	CALL(clBuildProgram(program, 0, NULL, "-D V=17", NULL, NULL));
	say("ran: %d", run(program, "k"));
	MUST(clReleaseProgram(program));
}

static void builds(void)
{
	say("# builds");
	static const char *const options[] = {"", "-DV=5 -DW=6", "-cl-std=CL1.2 -DV=3", "-cl-fast-relaxed-math -w"};
	for (size_t i = 0; i < COUNT(options); i++) {
		const char *text = "#ifndef V\n#define V 1\n#endif\nkernel void k(global int *o) { o[0] = V; }";
		cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 1, &text, NULL, &status));
		CALL(clBuildProgram(program, 1, &device, options[i], NULL, NULL));
		cl_build_status built = 1;
		MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_STATUS, sizeof(built), &built, NULL));
		cl_program_binary_type type = 99;
		MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BINARY_TYPE, sizeof(type), &type, NULL));
		char given[128] = "";
		MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_OPTIONS, sizeof(given), given, NULL));
		say("status %d, type %u, options '%s', ran %d", built, type, given, run(program, "k"));
		/* A second build with other options takes their place. */
		if (i == 0) {
			CALL(clBuildProgram(program, 1, &device, "-DV=8", NULL, NULL));
			say("built again: %d", run(program, "k"));
		}
		MUST(clReleaseProgram(program));
	}
	const char *text = "kernel void k(global int *o) { o[0] = 1; }";
	cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 1, &text, NULL, &status));
	cl_device_id none = NULL;
	cl_build_status built = 1;
	MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_STATUS, sizeof(built), &built, NULL));
	say("before: %d", built);
	CALL(clBuildProgram(program, 1, NULL, "", NULL, NULL));
	CALL(clBuildProgram(program, 0, &device, "", NULL, NULL));
	SHIM_ONLY(clBuildProgram(program, 1, &none, "", NULL, NULL), CL_INVALID_DEVICE);
	CALL(clBuildProgram(program, 1, &device, "-no-such-option", NULL, NULL));
	CALL(clBuildProgram(program, 1, &device, "", NULL, &built));
	CALL(clGetProgramBuildInfo(program, NULL, CL_PROGRAM_BUILD_STATUS, sizeof(built), &built, NULL));
	CALL(clGetProgramBuildInfo(program, device, 0x9999, sizeof(built), &built, NULL));
	MUST(clReleaseProgram(program));
}

static void failures(void)
{
	say("# failures");
	const char *text = "kernel void k(global int *o) { o[0] = undeclared; }";
	cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 1, &text, NULL, &status));
	CALL(clBuildProgram(program, 1, &device, "", NULL, NULL));
	cl_build_status built = 1;
	MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_STATUS, sizeof(built), &built, NULL));
	size_t size = 0;
	MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size));
	char *log = calloc(1, size + 1);
	MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log, NULL));
	CALL(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size - 1, log, NULL));
	say("status %d, the log names the mistake: %s", built, strstr(log, "undeclared") ? "yes" : "no");
	free(log);
	MAKE(clCreateKernel(program, "k", &status));
	cl_uint count = 0;
	CALL(clCreateKernelsInProgram(program, 0, NULL, &count));
	MUST(clReleaseProgram(program));
}

/* A log of many kilobytes, and a source of many more than a frame holds. */
static void large(void)
{
	say("# large");
	enum { LINES = 3000 };
	size_t room = LINES * 64 + 256, at = 0;
	char *text = malloc(room);
	for (int i = 0; i < LINES; i++)
		at += (size_t)snprintf(text + at, room - at, "int f%04d(int a) { return a + %d; }\n", i, i);
	snprintf(text + at, room - at, "kernel void k(global int *o) { o[0] = f%04d(1) + f0001(0); }\n", LINES - 1);
	const char *sources[] = {text};
	say("source: %zu bytes", strlen(text));
	cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 1, sources, NULL, &status));
	CALL(clBuildProgram(program, 1, &device, "", NULL, NULL));
	say("ran: %d", run(program, "k"));
	size_t size = 0;
	MUST(clGetProgramInfo(program, CL_PROGRAM_SOURCE, 0, NULL, &size));
	char *back = malloc(size);
	MUST(clGetProgramInfo(program, CL_PROGRAM_SOURCE, size, back, NULL));
	say("source: %zu bytes, %s", size, strcmp(text, back) == 0 ? "the same" : "OTHERS");
	free(back);
	MUST(clReleaseProgram(program));
	at = 0;
	for (int i = 0; i < 400; i++)
		at += (size_t)snprintf(text + at, room - at, "#warning a long line of no use at all, number %d\n", i);
	snprintf(text + at, room - at, "kernel void k(global int *o) { o[0] = 3; } oops\n");
	program = MUST_MAKE(clCreateProgramWithSource(context, 1, sources, NULL, &status));
	CALL(clBuildProgram(program, 1, &device, "", NULL, NULL));
	MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size));
	char *log = malloc(size);
	CALL(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log, NULL));
	say("the log is larger than a slot: %s, its end is there: %s", size > 8192 ? "yes" : "no",
	    size && strlen(log) == size - 1 ? "yes" : "no");
	free(log);
	MUST(clReleaseProgram(program));
	free(text);
}

static void binaries(void)
{
	say("# binaries");
	cl_program program =
		program_of("kernel void k(global int *o) { o[0] = 23; }\nkernel void l(global int *o) {}\n", "");
	size_t size = 0, returned = 0;
	MUST(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, &returned));
	say("a binary: %s, %zu bytes of sizes", size ? "yes" : "no", returned);
	unsigned char *binary = malloc(size), *binaries[] = {binary};
	CALL(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(binaries), binaries, &returned));
	say("%zu bytes of pointers", returned);
	CALL(clGetProgramInfo(program, CL_PROGRAM_BINARIES, 1, binaries, NULL));
	const unsigned char *given[] = {binary};
	cl_int binary_status = 1;
	cl_program again = MAKE(clCreateProgramWithBinary(context, 1, &device, &size, given, &binary_status, &status));
	say("binary status %s", status_name(binary_status));
	CALL(clBuildProgram(again, 1, &device, "", NULL, NULL));
	say("ran: %d", run(again, "k"));
	MUST(clReleaseProgram(again));
	size_t none = 0;
	const unsigned char *nothing[] = {NULL};
	MAKE(clCreateProgramWithBinary(context, 1, &device, &none, given, NULL, &status));
	MAKE(clCreateProgramWithBinary(context, 1, &device, &size, nothing, NULL, &status));
	MAKE(clCreateProgramWithBinary(context, 0, &device, &size, given, NULL, &status));
	MAKE(clCreateProgramWithBinary(context, 1, NULL, &size, given, NULL, &status));
	memset(binary, 'x', size);
	again = MAKE(clCreateProgramWithBinary(context, 1, &device, &size, given, &binary_status, &status));
	if (again)
		MUST(clReleaseProgram(again));
	free(binary);
	MUST(clReleaseProgram(program));
}

static void kernels(void)
{
	say("# kernels of a program");
	cl_program program =
		program_of("kernel void a(global const float *restrict x, int n, local char *l, constant int4 *c) {}\n"
			   "kernel void b(float2 v, global volatile uint *p) {}\n"
			   "kernel void c(void) {}\n",
			   "-cl-kernel-arg-info");
	cl_kernel kernels[4] = {NULL};
	cl_uint count = 0;
	CALL(clCreateKernelsInProgram(program, 0, NULL, &count));
	say("kernels: %u", count);
	CALL(clCreateKernelsInProgram(program, 2, kernels, &count));
	CALL(clCreateKernelsInProgram(program, 4, kernels, &count));
	for (cl_uint i = 0; i < count; i++) {
		char name[64] = "";
		cl_uint arguments = 99;
		MUST(clGetKernelInfo(kernels[i], CL_KERNEL_FUNCTION_NAME, sizeof(name), name, NULL));
		MUST(clGetKernelInfo(kernels[i], CL_KERNEL_NUM_ARGS, sizeof(arguments), &arguments, NULL));
		say("kernel %s: %u arguments", name, arguments);
		for (cl_uint k = 0; k < arguments; k++) {
			cl_kernel_arg_address_qualifier address = 0;
			cl_kernel_arg_access_qualifier access = 0;
			cl_kernel_arg_type_qualifier qualifier = 0;
			char type[64] = "", argument[64] = "";
			MUST(clGetKernelArgInfo(kernels[i], k, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof(address),
						&address, NULL));
			MUST(clGetKernelArgInfo(kernels[i], k, CL_KERNEL_ARG_ACCESS_QUALIFIER, sizeof(access), &access,
						NULL));
			MUST(clGetKernelArgInfo(kernels[i], k, CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof(qualifier),
						&qualifier, NULL));
			MUST(clGetKernelArgInfo(kernels[i], k, CL_KERNEL_ARG_TYPE_NAME, sizeof(type), type, NULL));
			MUST(clGetKernelArgInfo(kernels[i], k, CL_KERNEL_ARG_NAME, sizeof(argument), argument, NULL));
			say("  %s %s: %#x %#x %#llx", type, argument, address, access, (unsigned long long)qualifier);
		}
		CALL(clGetKernelArgInfo(kernels[i], arguments, CL_KERNEL_ARG_NAME, 0, NULL, NULL));
		MUST(clReleaseKernel(kernels[i]));
	}
	MUST(clReleaseProgram(program));
}

/* Sources compiled with headers, and linked. */
static void links(void)
{
	say("# compile and link");
	const char *text = "#include \"sub/one.h\"\nint two(int a);\nkernel void k(global int *o) { o[0] = two(ONE); }";
	const char *other = "int two(int a) { return 2 * a + EXTRA; }", *header = "#define ONE 11\n";
	cl_program main_program = MUST_MAKE(clCreateProgramWithSource(context, 1, &text, NULL, &status));
	cl_program library = MUST_MAKE(clCreateProgramWithSource(context, 1, &other, NULL, &status));
	cl_program include = MUST_MAKE(clCreateProgramWithSource(context, 1, &header, NULL, &status));
	const char *names[] = {"sub/one.h"};
	CALL(clCompileProgram(main_program, 1, &device, "", 0, NULL, NULL, NULL, NULL));
	CALL(clCompileProgram(main_program, 1, &device, "", 1, &include, names, NULL, NULL));
	CALL(clCompileProgram(library, 1, &device, "-DEXTRA=5", 0, NULL, NULL, NULL, NULL));
	cl_program both[] = {main_program, library};
	cl_program linked = MAKE(clLinkProgram(context, 1, &device, "", 2, both, NULL, NULL, &status));
	if (linked) {
		cl_program_binary_type type = 99;
		MUST(clGetProgramBuildInfo(linked, device, CL_PROGRAM_BINARY_TYPE, sizeof(type), &type, NULL));
		say("type %u, ran: %d", type, run(linked, "k"));
		MUST(clReleaseProgram(linked));
	}
	/* The answer may be there before its program looks. */
	for (int i = 0; i < 20; i++) {
		linked = clLinkProgram(context, 1, &device, "", 2, both, NULL, NULL, NULL);
		EXPECT(linked);
		MUST(clReleaseProgram(linked));
	}
	SHIM_ONLY(clCompileProgram(main_program, 1, &device, "", 1, NULL, names, NULL, NULL), CL_INVALID_VALUE);
	CALL(clCompileProgram(NULL, 1, &device, "", 0, NULL, NULL, NULL, NULL));
	MAKE(clLinkProgram(context, 1, &device, "", 0, NULL, NULL, NULL, &status));
	MAKE(clLinkProgram(NULL, 1, &device, "", 2, both, NULL, NULL, &status));
	MUST(clReleaseProgram(main_program));
	MUST(clReleaseProgram(library));
	MUST(clReleaseProgram(include));
}

static void clones(void)
{
	say("# clones");
	cl_program program = program_of("kernel void k(global int *o, int v) { o[0] = v; }", "");
	cl_kernel kernel = kernel_of(program, "k");
	cl_mem out = buffer_of(64);
	int value = 41, back = 0;
	size_t one = 1;
	MUST(clSetKernelArg(kernel, 0, sizeof(out), &out));
	MUST(clSetKernelArg(kernel, 1, sizeof(value), &value));
	cl_kernel clone = MAKE(clCloneKernel(kernel, &status));
	value = 42;
	MUST(clSetKernelArg(kernel, 1, sizeof(value), &value));
	if (clone) {
		MUST(clEnqueueNDRangeKernel(queue, clone, 1, NULL, &one, &one, 0, NULL, NULL));
		MUST(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, sizeof(back), &back, 0, NULL, NULL));
		say("the clone has its own arguments: %d", back);
		MUST(clReleaseKernel(clone));
	}
	MAKE(clCloneKernel(NULL, &status));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseMemObject(out));
	MUST(clReleaseProgram(program));
}

int main(void)
{
	begin();
	sources();
	builds();
	failures();
	large();
	binaries();
	kernels();
	links();
	clones();
	end();
	return 0;
}
