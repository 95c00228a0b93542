/* Programs that include files of the program's own file system. */
#include "check.h"

#include <limits.h>
#include <sys/stat.h>

static char folder[PATH_MAX];

static void file(const char *name, const char *text)
{
	FILE *out = fopen(name, "w");
	EXPECT(out && fputs(text, out) >= 0 && fclose(out) == 0);
}

static void files(void)
{
	char made[] = "/tmp/includes-XXXXXX";
	EXPECT(mkdtemp(made) && realpath(made, folder) && chdir(folder) == 0);
	EXPECT(mkdir("one", 0755) == 0 && mkdir("one/deep", 0755) == 0 && mkdir("two", 0755) == 0);
	file("here.h", "#define HERE 1\n");
	file("one/a.h", "#define A 10\n#include \"deep/b.h\"\n");
	file("one/deep/b.h", "#define B 100\n#include \"../c.h\"\n#include <d.h>\n");
	file("one/c.h", "#pragma once\n#define C 1000\n#include \"a.h\"\n");
	file("one/d.h", "#define D 3\n");
	file("two/d.h", "#define D 4\n");
	file("two/wrong.h", "#define E 1\n#error wrong\n");
	file("two/long.h", "/*"
			   " a comment of many lines\n"
			   "*/\n#if 0\n#include <not-there.h>\n#endif\n#define LONG 5\n");
}

static void clean(void)
{
	const char *names[] = {"here.h",      "one/a.h",    "one/deep/b.h", "one/c.h", "one/d.h", "two/d.h",
			       "two/wrong.h", "two/long.h", "one/deep",	    "one",     "two"};
	for (size_t i = 0; i < COUNT(names); i++)
		EXPECT(remove(names[i]) == 0);
	EXPECT(chdir("/") == 0 && rmdir(folder) == 0);
}

/* Logs a build's log but for what differs from run to run: the folder, and the name of the program's own text. */
static void log_of(cl_program program)
{
	char text[8192] = "";
	MUST(clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof(text), text, NULL));
	for (char *line = strtok(text, "\n"), *at; line; line = strtok(NULL, "\n")) {
		if ((at = strstr(line, folder)))
			say("  FOLDER%s", at + strlen(folder));
		else if (strstr(line, ".h:"))
			say("  %s", line);
	}
}

static int run(cl_program program)
{
	cl_mem mem = buffer_of(sizeof(int));
	cl_kernel kernel = kernel_of(program, "f");
	int value = 0;
	const size_t one = 1;
	MUST(clSetKernelArg(kernel, 0, sizeof(mem), &mem));
	MUST(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, sizeof(value), &value, 0, NULL, NULL));
	MUST(clReleaseKernel(kernel));
	MUST(clReleaseMemObject(mem));
	return value;
}

static void build(const char *includes, const char *value, const char *options)
{
	char source[4 * PATH_MAX], given[PATH_MAX + 1024];
	const char *text = source;
	snprintf(source, sizeof(source), "%s\nkernel void f(global int *a) { *a = %s; }\n", includes, value);
	snprintf(given, sizeof(given), options, folder);
	cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 1, &text, NULL, &status));
	cl_int status = clBuildProgram(program, 1, &device, given, NULL, NULL);
	char *at = strstr(source, folder);
	say("%.*s%s with %s: %s", at ? (int)(at - source) : (int)strlen(includes), includes, at ? "FOLDER..." : "",
	    options, status_name(status));
	char kept[sizeof(source)] = "";
	MUST(clGetProgramInfo(program, CL_PROGRAM_SOURCE, sizeof(kept), kept, NULL));
	EXPECT(strcmp(kept, source) == 0);
	log_of(program);
	if (status == CL_SUCCESS)
		say("  %d", run(program));
	MUST(clReleaseProgram(program));
}

static void compile_and_link(void)
{
	const char *texts[] = {"#include \"embedded.h\"\nkernel void f(global int *a) { *a = A + D; }\n",
			       "#include <a.h>\n"};
	cl_program program = MUST_MAKE(clCreateProgramWithSource(context, 1, &texts[0], NULL, &status));
	cl_program header = MUST_MAKE(clCreateProgramWithSource(context, 1, &texts[1], NULL, &status));
	const char *name = "embedded.h";
	MUST(clCompileProgram(program, 1, &device, "-I two -I one", 1, &header, &name, NULL, NULL));
	cl_program linked = MUST_MAKE(clLinkProgram(context, 1, &device, "", 1, &program, NULL, NULL, &status));
	say("compiled and linked: %d", run(linked));
	MUST(clReleaseProgram(linked));
	MUST(clReleaseProgram(header));
	MUST(clReleaseProgram(program));
}

int main(void)
{
	begin();
	files();
	build("#include \"here.h\"", "HERE", "");
	build("#include <here.h>", "HERE", "-DX=1 -I.");
	build("#include \"a.h\"", "A + B + C + D", "-I one");
	build("#include <a.h>", "A + B + C + D", "-DX -Itwo -cl-fast-relaxed-math   -Ione -DY");
	build("#include <a.h>", "A + B + C + D", "-I %s/one");
	build("#include \"one/a.h\"", "A + B + C + D", "-I one/deep/..");
	build("#include \"d.h\"\n#include <long.h>", "D + LONG", "-Itwo/ -I one");
	build("#include \"wrong.h\"", "E", "-I two");
	build("#include \"wrong.h\"", "E", "-I %s/two/");
	build("#include \"not-there.h\"", "1", "-I one");
	build("#include <here.h>", "HERE", "-I not-there -I not/there");
	build("", "7", "-I one");
	char whole[2 * PATH_MAX + 64];
	snprintf(whole, sizeof(whole), "#include \"%s/one/a.h\"\n#  include <%s/two/long.h>", folder, folder);
	build(whole, "A + B + C + D + LONG", "-I one");
	snprintf(whole, sizeof(whole), "#include \"%s/two/wrong.h\"", folder);
	build(whole, "E", "");
	/* A file that has changed is read anew. */
	file("one/d.h", "#define D 33\n");
	build("#include <d.h>", "D", "-I one");
	compile_and_link();
	clean();
	end();
	return 0;
}
