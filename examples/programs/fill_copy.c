/*
 * Moves bytes in every way that a buffer offers: fill, copy, writes and reads of sub-ranges, map and unmap,
 * with and without blocking, ordered by events. After each step the whole buffer is compared with a copy on
 * the host, and the times that the events recorded must be in order.
 */
#include "program.h"
#include <stdint.h>
#include <string.h>

enum { BYTES = 1 << 20, PAGE = 4096 };

static uint8_t wanted[2][BYTES], found[BYTES];

static void compare(struct device device, cl_mem buffer, const uint8_t *want, const char *step)
{
	memset(found, 0xEE, sizeof found);
	check("clEnqueueReadBuffer",
	      clEnqueueReadBuffer(device.queue, buffer, CL_TRUE, 0, BYTES, found, 0, NULL, NULL));
	for (size_t i = 0; i < BYTES; i++) {
		if (found[i] != want[i]) {
			printf("wrong: %s: byte %zu is %u, want %u\n", step, i, found[i], want[i]);
			exit(STATUS_WRONG);
		}
	}
	printf("%s: right\n", step);
}

/* Waits for the event and checks that it was queued, submitted, started and ended in this order. */
static void check_times(cl_event event, const char *step)
{
	static const cl_profiling_info names[] = {CL_PROFILING_COMMAND_QUEUED, CL_PROFILING_COMMAND_SUBMIT,
						  CL_PROFILING_COMMAND_START, CL_PROFILING_COMMAND_END};
	cl_ulong times[4];
	check("clWaitForEvents", clWaitForEvents(1, &event));
	cl_int status;
	check("clGetEventInfo", clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
	expect(status == CL_COMPLETE, "the status of an event that was waited for");
	for (int i = 0; i < 4; i++) {
		check("clGetEventProfilingInfo",
		      clGetEventProfilingInfo(event, names[i], sizeof times[i], &times[i], NULL));
		expect(i == 0 || times[i] >= times[i - 1], "the order of an event's times");
	}
	check("clReleaseEvent", clReleaseEvent(event));
	printf("%s: took %.1f us\n", step, (double)(times[3] - times[2]) / 1e3);
}

static void fill(struct device device, cl_mem buffer)
{
	cl_event event;
	uint32_t pattern = 0x01020304U;
	check("clEnqueueFillBuffer",
	      clEnqueueFillBuffer(device.queue, buffer, &pattern, sizeof pattern, 0, BYTES, 0, NULL, &event));
	check_times(event, "fill");
	for (size_t i = 0; i < BYTES; i += sizeof pattern) {
		memcpy(&wanted[0][i], &pattern, sizeof pattern);
	}
	uint8_t single = 0x7F;
	check("clEnqueueFillBuffer", clEnqueueFillBuffer(device.queue, buffer, &single, 1, 3, PAGE + 1, 0, NULL, NULL));
	memset(&wanted[0][3], single, PAGE + 1);
	compare(device, buffer, wanted[0], "fill of a sub-range");
}

static void write_sub_ranges(struct device device, cl_mem buffer)
{
	static uint8_t values[2][PAGE];
	for (size_t i = 0; i < PAGE; i++) {
		values[0][i] = (uint8_t)(i * 7);
		values[1][i] = (uint8_t)(i * 13 + 1);
	}
	/* The second overlaps the first and waits for it. */
	cl_event events[2];
	check("clEnqueueWriteBuffer",
	      clEnqueueWriteBuffer(device.queue, buffer, CL_FALSE, 2 * PAGE + 5, PAGE, values[0], 0, NULL, &events[0]));
	check("clEnqueueWriteBuffer", clEnqueueWriteBuffer(device.queue, buffer, CL_FALSE, 3 * PAGE, PAGE, values[1], 1,
							   &events[0], &events[1]));
	check_times(events[1], "write");
	check("clReleaseEvent", clReleaseEvent(events[0]));
	memcpy(&wanted[0][2 * PAGE + 5], values[0], PAGE);
	memcpy(&wanted[0][3 * PAGE], values[1], PAGE);
	compare(device, buffer, wanted[0], "writes of sub-ranges");
}

static void copy(struct device device, cl_mem from, cl_mem to)
{
	uint8_t zero = 0;
	check("clEnqueueFillBuffer", clEnqueueFillBuffer(device.queue, to, &zero, 1, 0, BYTES, 0, NULL, NULL));
	cl_event event;
	check("clEnqueueCopyBuffer",
	      clEnqueueCopyBuffer(device.queue, from, to, PAGE - 1, 9 * PAGE, 5 * PAGE, 0, NULL, &event));
	check_times(event, "copy");
	memcpy(&wanted[1][9 * PAGE], &wanted[0][PAGE - 1], 5 * PAGE);
	compare(device, to, wanted[1], "copy of a sub-range");
}

static void read_sub_ranges(struct device device, cl_mem buffer)
{
	uint8_t values[101];
	for (size_t offset = 0; offset + sizeof values <= BYTES; offset += BYTES / 7) {
		cl_event event;
		check("clEnqueueReadBuffer", clEnqueueReadBuffer(device.queue, buffer, CL_FALSE, offset, sizeof values,
								 values, 0, NULL, &event));
		check("clWaitForEvents", clWaitForEvents(1, &event));
		check("clReleaseEvent", clReleaseEvent(event));
		expect(memcmp(values, &wanted[1][offset], sizeof values) == 0, "a read of a sub-range");
	}
	printf("reads of sub-ranges: right\n");
}

static void map(struct device device, cl_mem buffer)
{
	cl_int code;
	cl_event event;
	uint8_t *mapped = clEnqueueMapBuffer(device.queue, buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 8 * PAGE,
					     4 * PAGE, 0, NULL, &event, &code);
	check("clEnqueueMapBuffer", code);
	check_times(event, "map");
	expect(memcmp(mapped, &wanted[1][8 * PAGE], 4 * PAGE) == 0, "what a map shows");
	for (size_t i = 0; i < 4 * PAGE; i++) {
		mapped[i] = (uint8_t)(i % 251);
		wanted[1][8 * PAGE + i] = (uint8_t)(i % 251);
	}
	check("clEnqueueUnmapMemObject", clEnqueueUnmapMemObject(device.queue, buffer, mapped, 0, NULL, &event));
	check_times(event, "unmap");
	compare(device, buffer, wanted[1], "map and unmap");

	mapped = clEnqueueMapBuffer(device.queue, buffer, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, PAGE, 0, NULL,
				    NULL, &code);
	check("clEnqueueMapBuffer", code);
	memset(mapped, 0x55, PAGE);
	memset(wanted[1], 0x55, PAGE);
	check("clEnqueueUnmapMemObject", clEnqueueUnmapMemObject(device.queue, buffer, mapped, 0, NULL, NULL));
	compare(device, buffer, wanted[1], "map for overwriting");
}

int main(void)
{
	struct device device = open_device();
	cl_mem buffers[2];
	for (int i = 0; i < 2; i++) {
		cl_int code;
		buffers[i] = clCreateBuffer(device.context, CL_MEM_READ_WRITE, BYTES, NULL, &code);
		check("clCreateBuffer", code);
	}
	fill(device, buffers[0]);
	write_sub_ranges(device, buffers[0]);
	copy(device, buffers[0], buffers[1]);
	read_sub_ranges(device, buffers[1]);
	map(device, buffers[1]);
	for (int i = 0; i < 2; i++) {
		check("clReleaseMemObject", clReleaseMemObject(buffers[i]));
	}
	close_device(device);
	printf("fill_copy: every step is right\n");
	return 0;
}
