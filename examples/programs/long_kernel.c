/*
 * Runs one kernel for several seconds, to see what happens to a program whose device goes away.
 *
 *     long_kernel [SECONDS]        default 8
 *
 * It first measures how fast the device is, prints "running" once the long kernel is submitted, then waits
 * for its end and checks its result. If any call fails it prints the call with the error that it got and
 * how long the kernel had run, and ends with status 3.
 */
#define _POSIX_C_SOURCE 200809L

#include "program.h"
#include <stdint.h>
#include <time.h>

/* Each work item takes so many steps of a linear congruential generator (Knuth's MMIX). */
enum { ITEMS = 64, FIRST_STEPS = 1 << 16 };
#define MULTIPLIER 6364136223846793005ULL
#define INCREMENT 1442695040888963407ULL
#define MEASURED_SECONDS 0.1
#define MAX_SECONDS 3600.0

static const char source[] = "kernel void walk(global ulong *states, ulong steps) {\n"
			     "    size_t i = get_global_id(0);\n"
			     "    ulong state = states[i];\n"
			     "    for (ulong step = 0; step < steps; step++) {\n"
			     "        state = state * 6364136223846793005UL + 1442695040888963407UL;\n"
			     "    }\n"
			     "    states[i] = state;\n"
			     "}\n";

static double seconds_now(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The state after so many steps, by squaring: a step is an affine map, and so are two of them. */
static uint64_t walked(uint64_t state, uint64_t steps)
{
	uint64_t multiplier = MULTIPLIER, increment = INCREMENT;
	for (; steps > 0; steps /= 2) {
		if (steps % 2 == 1) {
			state = state * multiplier + increment;
		}
		increment = multiplier * increment + increment;
		multiplier *= multiplier;
	}
	return state;
}

/* Like check, and says how long the kernel had run. */
static void check_running(const char *call, cl_int code, double began)
{
	if (code != CL_SUCCESS) {
		printf("failed after %.3f s\n", seconds_now() - began);
	}
	check(call, code);
}

/* Runs the kernel for so many steps, verifies every item, and returns the seconds that it took. */
static double walk(struct device device, cl_kernel kernel, cl_mem buffer, uint64_t steps, int announce)
{
	uint64_t states[ITEMS];
	for (uint64_t i = 0; i < ITEMS; i++) {
		states[i] = i;
	}
	check("clEnqueueWriteBuffer",
	      clEnqueueWriteBuffer(device.queue, buffer, CL_TRUE, 0, sizeof states, states, 0, NULL, NULL));
	cl_ulong argument = steps;
	check("clSetKernelArg", clSetKernelArg(kernel, 0, sizeof buffer, &buffer));
	check("clSetKernelArg", clSetKernelArg(kernel, 1, sizeof argument, &argument));
	double began = seconds_now();
	size_t items = ITEMS, group = 1;
	check("clEnqueueNDRangeKernel",
	      clEnqueueNDRangeKernel(device.queue, kernel, 1, NULL, &items, &group, 0, NULL, NULL));
	check("clFlush", clFlush(device.queue));
	if (announce) {
		printf("running\n");
	}
	check_running("clFinish", clFinish(device.queue), began);
	double took = seconds_now() - began;
	check_running("clEnqueueReadBuffer",
		      clEnqueueReadBuffer(device.queue, buffer, CL_TRUE, 0, sizeof states, states, 0, NULL, NULL),
		      began);
	for (uint64_t i = 0; i < ITEMS; i++) {
		expect(states[i] == walked(i, steps), "a work item's state");
	}
	return took;
}

int main(int argc, char **argv)
{
	double seconds = 8;
	if (argc > 1) {
		char *end;
		seconds = strtod(argv[1], &end);
		if (argc > 2 || *end != '\0' || !(seconds > 0 && seconds <= MAX_SECONDS)) {
			printf("usage: long_kernel [SECONDS], above 0 and at most %.0f\n", MAX_SECONDS);
			return STATUS_USAGE;
		}
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	struct device device = open_device();
	cl_kernel kernel = build_kernel(device, source, "walk");
	cl_int code;
	cl_mem buffer = clCreateBuffer(device.context, CL_MEM_READ_WRITE, ITEMS * sizeof(uint64_t), NULL, &code);
	check("clCreateBuffer", code);

	uint64_t steps = FIRST_STEPS;
	double took = walk(device, kernel, buffer, steps, 0); /* the first run may compile */
	do {
		steps *= 2;
		took = walk(device, kernel, buffer, steps, 0);
	} while (took < MEASURED_SECONDS);
	steps = (uint64_t)((double)steps * (seconds / took));
	took = walk(device, kernel, buffer, steps, 1);
	printf("long_kernel: %.3f s, every state is right\n", took);

	check("clReleaseMemObject", clReleaseMemObject(buffer));
	check("clReleaseKernel", clReleaseKernel(kernel));
	close_device(device);
	return 0;
}
