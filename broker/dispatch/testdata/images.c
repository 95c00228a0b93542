/* Images and samplers: formats, infos, transfers, copies, fills, maps, kernels, refusals. */
#include "check.h"

static const cl_image_format rgba8 = {CL_RGBA, CL_UNSIGNED_INT8}, rgba32f = {CL_RGBA, CL_FLOAT},
			     r32 = {CL_R, CL_UNSIGNED_INT32};

static unsigned sum(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	unsigned result = 0;
	for (size_t i = 0; i < size; i++)
		result = result * 31 + bytes[i];
	return result;
}

static void formats(void)
{
	cl_uint count = 0;
	cl_image_format all[256];
	CALL(clGetSupportedImageFormats(context, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, 0, NULL, &count));
	EXPECT(count <= COUNT(all));
	MUST(clGetSupportedImageFormats(context, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, count, all, NULL));
	say("%u formats: %u", count, sum(all, count * sizeof(all[0])));
	CALL(clGetSupportedImageFormats(NULL, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, 0, NULL, &count));
	CALL(clGetSupportedImageFormats(context, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, 0, all, NULL));
}

static void number(cl_mem image, const char *name, cl_image_info info)
{
	size_t value = 0, size = 0;
	cl_int status = clGetImageInfo(image, info, sizeof(value), &value, &size);
	say("  %s: %s, %zu bytes, %zu", name, status_name(status), size, value);
}

static void infos(cl_mem image)
{
	cl_mem_object_type type = 0;
	cl_image_format format = {0};
	MUST(clGetMemObjectInfo(image, CL_MEM_TYPE, sizeof(type), &type, NULL));
	MUST(clGetImageInfo(image, CL_IMAGE_FORMAT, sizeof(format), &format, NULL));
	say("type %#x, format %#x %#x", type, format.image_channel_order, format.image_channel_data_type);
	number(image, "element", CL_IMAGE_ELEMENT_SIZE);
	number(image, "width", CL_IMAGE_WIDTH);
	number(image, "height", CL_IMAGE_HEIGHT);
	number(image, "depth", CL_IMAGE_DEPTH);
	number(image, "array", CL_IMAGE_ARRAY_SIZE);
	number(image, "levels", CL_IMAGE_NUM_MIP_LEVELS);
	number(image, "samples", CL_IMAGE_NUM_SAMPLES);
	CALL(clGetImageInfo(image, CL_IMAGE_FORMAT, 1, &format, NULL));
	CALL(clGetImageInfo(image, 0x9999, sizeof(format), &format, NULL));
}

/* What is written to a region is read from it, and the rest stays. */
static void round_trip(const char *what, cl_mem image, size_t element, const size_t *whole, const size_t *origin,
		       const size_t *region)
{
	const size_t zero[3] = {0}, size = whole[0] * whole[1] * whole[2] * element;
	const size_t part = region[0] * region[1] * region[2] * element;
	uint8_t *all = malloc(size), *bytes = malloc(part), *back = calloc(1, size + 4096);
	for (int way = 0; way < 4; way++) {
		cl_event event = NULL;
		pattern_fill(all, size, (unsigned)way);
		MUST(clEnqueueWriteImage(queue, image, way & 1, zero, whole, 0, 0, all, 0, NULL, NULL));
		pattern_fill(bytes, part, 77);
		MUST(clEnqueueWriteImage(queue, image, way & 1, origin, region, 0, 0, bytes, 0, NULL, &event));
		memset(back, 0, size);
		MUST(clEnqueueReadImage(queue, image, way & 2, zero, whole, 0, 0, back, 1, &event, NULL));
		MUST(clFinish(queue));
		unsigned seen = sum(back, size);
		memset(back, 0, size);
		MUST(clEnqueueReadImage(queue, image, way & 2, origin, region, 0, 0, back, 0, NULL, NULL));
		MUST(clFinish(queue));
		say("%s, way %d: whole %u, part %s", what, way, seen,
		    memcmp(back, bytes, part) == 0 ? "right" : "WRONG");
		MUST(clReleaseEvent(event));
	}
	/* Rows and slices that lie apart in the program's memory. */
	if (region[1] > 1) {
		size_t row = region[0] * element + 24;
		memset(back, 0, size);
		MUST(clEnqueueReadImage(queue, image, CL_TRUE, origin, region, row, 0, back, 0, NULL, NULL));
		bool right = true;
		for (size_t y = 0; y < region[1] && region[2] == 1; y++)
			right = right &&
				memcmp(back + y * row, bytes + y * region[0] * element, region[0] * element) == 0;
		say("%s with a pitch: %s", what, right ? "right" : "WRONG");
	}
	free(all);
	free(bytes);
	free(back);
}

static cl_mem image_of(const cl_image_format *format, cl_mem_object_type type, size_t width, size_t height,
		       size_t depth)
{
	cl_image_desc description = {
		.image_type = type, .image_width = width, .image_height = height, .image_depth = depth};
	if (type == CL_MEM_OBJECT_IMAGE2D_ARRAY) {
		description.image_array_size = depth;
		description.image_depth = 0;
	} else if (type == CL_MEM_OBJECT_IMAGE1D_ARRAY) {
		description.image_array_size = height;
		description.image_height = 0;
	}
	return MUST_MAKE(clCreateImage(context, CL_MEM_READ_WRITE, format, &description, NULL, &status));
}

static void kinds(void)
{
	const size_t line[3] = {100, 1, 1}, plane[3] = {60, 40, 1}, box[3] = {20, 10, 6}, large[3] = {1000, 700, 1};
	const size_t one[3] = {7, 0, 0}, two[3] = {5, 3, 0}, three[3] = {2, 1, 3};
	const size_t row[3] = {50, 1, 1}, rectangle[3] = {31, 20, 1}, cube[3] = {10, 4, 2}, much[3] = {900, 600, 1};
	cl_mem image = image_of(&rgba8, CL_MEM_OBJECT_IMAGE1D, 100, 0, 0);
	infos(image);
	round_trip("1D", image, 4, line, one, row);
	MUST(clReleaseMemObject(image));
	image = image_of(&rgba32f, CL_MEM_OBJECT_IMAGE2D, 60, 40, 0);
	infos(image);
	round_trip("2D", image, 16, plane, two, rectangle);
	MUST(clReleaseMemObject(image));
	image = image_of(&r32, CL_MEM_OBJECT_IMAGE3D, 20, 10, 6);
	infos(image);
	round_trip("3D", image, 4, box, three, cube);
	MUST(clReleaseMemObject(image));
	image = image_of(&rgba8, CL_MEM_OBJECT_IMAGE2D_ARRAY, 20, 10, 6);
	infos(image);
	round_trip("2D array", image, 4, box, three, cube);
	MUST(clReleaseMemObject(image));
	image = image_of(&rgba8, CL_MEM_OBJECT_IMAGE2D, 1000, 700, 0);
	round_trip("large 2D", image, 4, large, two, much);
	MUST(clReleaseMemObject(image));
}

static void copies(void)
{
	const size_t whole[3] = {32, 16, 1}, zero[3] = {0}, at[3] = {8, 4, 0}, part[3] = {16, 8, 1};
	static uint8_t bytes[32 * 16 * 4], back[32 * 16 * 4];
	cl_mem a = image_of(&rgba8, CL_MEM_OBJECT_IMAGE2D, 32, 16, 0),
	       b = image_of(&rgba8, CL_MEM_OBJECT_IMAGE2D, 32, 16, 0);
	cl_mem mem = buffer_of(sizeof(bytes));
	const cl_uint color[4] = {1, 2, 3, 250};
	pattern_fill(bytes, sizeof(bytes), 3);
	CALL(clEnqueueFillImage(queue, b, color, zero, whole, 0, NULL, NULL));
	MUST(clEnqueueReadImage(queue, b, CL_TRUE, at, part, 0, 0, back, 0, NULL, NULL));
	say("filled: %d %d %d %d", back[0], back[1], back[510], back[511]);
	MUST(clEnqueueWriteImage(queue, a, CL_TRUE, zero, whole, 0, 0, bytes, 0, NULL, NULL));
	CALL(clEnqueueCopyImage(queue, a, b, at, zero, part, 0, NULL, NULL));
	MUST(clEnqueueReadImage(queue, b, CL_TRUE, zero, whole, 0, 0, back, 0, NULL, NULL));
	say("copied: %u", sum(back, sizeof(back)));
	CALL(clEnqueueCopyImageToBuffer(queue, a, mem, at, part, 100, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, mem, CL_TRUE, 100, 16 * 8 * 4, back, 0, NULL, NULL));
	say("to a buffer: %u", sum(back, 16 * 8 * 4));
	CALL(clEnqueueCopyBufferToImage(queue, mem, b, 100, at, part, 0, NULL, NULL));
	MUST(clEnqueueReadImage(queue, b, CL_TRUE, zero, whole, 0, 0, back, 0, NULL, NULL));
	say("from a buffer: %u", sum(back, sizeof(back)));
	size_t row = 0, slice = 77;
	uint8_t *p = MUST_MAKE(clEnqueueMapImage(queue, a, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, at, part, &row, &slice,
						 0, NULL, NULL, &status));
	bool right = true;
	for (size_t y = 0; y < 8; y++)
		right = right && memcmp(p + y * row, bytes + ((4 + y) * 32 + 8) * 4, 16 * 4) == 0;
	say("mapped: %s, slice %zu", right ? "right" : "WRONG", slice);
	p[row] = 99;
	MUST(clEnqueueUnmapMemObject(queue, a, p, 0, NULL, NULL));
	MUST(clEnqueueReadImage(queue, a, CL_TRUE, zero, whole, 0, 0, back, 0, NULL, NULL));
	say("written through the map: %d", back[(5 * 32 + 8) * 4]);
	MUST(clReleaseMemObject(a));
	MUST(clReleaseMemObject(b));
	MUST(clReleaseMemObject(mem));
}

static void host_pointers(void)
{
	enum { WIDTH = 30, HEIGHT = 20, PITCH = 40 * 4 };
	static uint8_t host[PITCH * HEIGHT] __attribute__((aligned(4096))), back[WIDTH * HEIGHT * 4];
	const size_t whole[3] = {WIDTH, HEIGHT, 1}, zero[3] = {0};
	cl_image_desc description = {.image_type = CL_MEM_OBJECT_IMAGE2D,
				     .image_width = WIDTH,
				     .image_height = HEIGHT,
				     .image_row_pitch = PITCH};
	pattern_fill(host, sizeof(host), 8);
	for (int use = 0; use < 2; use++) {
		cl_mem_flags flags = use ? CL_MEM_USE_HOST_PTR : CL_MEM_COPY_HOST_PTR;
		cl_mem image = MUST_MAKE(clCreateImage(context, flags, &rgba8, &description, host, &status));
		MUST(clEnqueueReadImage(queue, image, CL_TRUE, zero, whole, 0, 0, back, 0, NULL, NULL));
		bool right = true;
		for (size_t y = 0; y < HEIGHT; y++)
			right = right && memcmp(back + y * WIDTH * 4, host + y * PITCH, WIDTH * 4) == 0;
		say("from the program's memory: %s", right ? "right" : "WRONG");
		MUST(clReleaseMemObject(image));
	}
}

static void kernels(void)
{
	static const char *source =
		"constant sampler_t nearest = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP | CLK_FILTER_NEAREST;\n"
		"kernel void swap(read_only image2d_t from, write_only image2d_t to)\n"
		"{ int2 at = (int2)(get_global_id(0), get_global_id(1)); write_imageui(to, at, read_imageui(from, "
		"nearest, at).wzyx); }\n"
		"kernel void look(read_only image2d_t from, sampler_t with, global uint *out)\n"
		"{ out[0] = read_imageui(from, with, (int2)(-1, -1)).x; out[1] = read_imageui(from, with, (int2)(1, "
		"1)).x; }\n";
	const size_t whole[3] = {16, 8, 1}, zero[3] = {0}, global[2] = {16, 8}, local[2] = {4, 2}, single = 1;
	static uint8_t bytes[16 * 8 * 4], back[16 * 8 * 4];
	cl_program program = program_of(source, "");
	cl_kernel swap = kernel_of(program, "swap"), look = kernel_of(program, "look");
	cl_mem a = image_of(&rgba8, CL_MEM_OBJECT_IMAGE2D, 16, 8, 0),
	       b = image_of(&rgba8, CL_MEM_OBJECT_IMAGE2D, 16, 8, 0);
	cl_mem out = buffer_of(8);
	pattern_fill(bytes, sizeof(bytes), 12);
	MUST(clEnqueueWriteImage(queue, a, CL_TRUE, zero, whole, 0, 0, bytes, 0, NULL, NULL));
	MUST(clSetKernelArg(swap, 0, sizeof(a), &a));
	MUST(clSetKernelArg(swap, 1, sizeof(b), &b));
	MUST(clEnqueueNDRangeKernel(queue, swap, 2, NULL, global, local, 0, NULL, NULL));
	MUST(clEnqueueReadImage(queue, b, CL_TRUE, zero, whole, 0, 0, back, 0, NULL, NULL));
	bool right = true;
	for (size_t i = 0; i < sizeof(bytes); i++)
		right = right && back[i] == bytes[i / 4 * 4 + 3 - i % 4];
	say("a kernel on images: %s", right ? "right" : "WRONG");

	const cl_addressing_mode modes[] = {CL_ADDRESS_CLAMP, CL_ADDRESS_CLAMP_TO_EDGE};
	for (size_t i = 0; i < COUNT(modes); i++) {
		cl_sampler sampler =
			MUST_MAKE(clCreateSampler(context, CL_FALSE, modes[i], CL_FILTER_NEAREST, &status));
		cl_uint seen[2] = {0}, value = 99;
		MUST(clGetSamplerInfo(sampler, CL_SAMPLER_ADDRESSING_MODE, sizeof(value), &value, NULL));
		CALL(clGetSamplerInfo(sampler, CL_SAMPLER_FILTER_MODE, 1, &value, NULL));
		MUST(clRetainSampler(sampler));
		MUST(clReleaseSampler(sampler));
		MUST(clSetKernelArg(look, 0, sizeof(a), &a));
		MUST(clSetKernelArg(look, 1, sizeof(sampler), &sampler));
		MUST(clSetKernelArg(look, 2, sizeof(out), &out));
		MUST(clEnqueueNDRangeKernel(queue, look, 1, NULL, &single, &single, 0, NULL, NULL));
		MUST(clEnqueueReadBuffer(queue, out, CL_TRUE, 0, sizeof(seen), seen, 0, NULL, NULL));
		say("sampler %#x: %u %u", value, seen[0], seen[1]);
		MUST(clReleaseSampler(sampler));
	}
	MUST(clReleaseMemObject(a));
	MUST(clReleaseMemObject(b));
	MUST(clReleaseMemObject(out));
	MUST(clReleaseKernel(swap));
	MUST(clReleaseKernel(look));
	MUST(clReleaseProgram(program));
}

static void refusals(void)
{
	say("# refusals");
	cl_image_desc description = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 16, .image_height = 16};
	cl_image_desc flat = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 16};
	cl_image_desc huge = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = (size_t)1 << 40, .image_height = 16};
	cl_image_desc strange = {.image_type = 0x7777, .image_width = 16, .image_height = 16};
	const cl_image_format unknown = {0x7777, CL_FLOAT};
	static uint8_t bytes[16 * 16 * 4];
	MAKE(clCreateImage(NULL, 0, &rgba8, &description, NULL, &status));
	/* PoCL has errors of its own for what is CL_INVALID_IMAGE_SIZE. */
	MAKE_DIFFERS(clCreateImage(context, 0, &rgba8, &flat, NULL, &status));
	MAKE_DIFFERS(clCreateImage(context, 0, &rgba8, &huge, NULL, &status));
	MAKE(clCreateImage(context, 0, &rgba8, &strange, NULL, &status));
	MAKE(clCreateImage(context, 0, &rgba8, NULL, NULL, &status));
	MAKE(clCreateImage(context, 0, NULL, &description, NULL, &status));
	MAKE(clCreateImage(context, CL_MEM_USE_HOST_PTR, &rgba8, &description, NULL, &status));
	MAKE(clCreateImage(context, 0, &rgba8, &description, bytes, &status));
	EXPECT(!MAKE_DIFFERS(clCreateImage(context, 0, &unknown, &description, NULL, &status)));
	cl_mem image = image_of(&rgba8, CL_MEM_OBJECT_IMAGE2D, 16, 16, 0), mem = buffer_of(64);
	const size_t zero[3] = {0}, whole[3] = {16, 16, 1}, more[3] = {17, 16, 1}, deep[3] = {16, 16, 2},
		     none[3] = {0, 16, 1};
	CALL(clEnqueueReadImage(queue, image, CL_TRUE, zero, more, 0, 0, bytes, 0, NULL, NULL));
	CALL(clEnqueueReadImage(queue, image, CL_TRUE, zero, deep, 0, 0, bytes, 0, NULL, NULL));
	/* PoCL reads nothing, and takes a pitch under a row. */
	SHIM_ONLY(clEnqueueReadImage(queue, image, CL_TRUE, zero, none, 0, 0, bytes, 0, NULL, NULL), CL_INVALID_VALUE);
	CALL(clEnqueueReadImage(queue, image, CL_TRUE, whole, whole, 0, 0, bytes, 0, NULL, NULL));
	CALL(clEnqueueReadImage(queue, image, CL_TRUE, NULL, whole, 0, 0, bytes, 0, NULL, NULL));
	CALL(clEnqueueReadImage(queue, image, CL_TRUE, zero, NULL, 0, 0, bytes, 0, NULL, NULL));
	CALL(clEnqueueReadImage(queue, image, CL_TRUE, zero, whole, 0, 0, NULL, 0, NULL, NULL));
	SHIM_ONLY(clEnqueueReadImage(queue, image, CL_TRUE, zero, whole, 10, 0, bytes, 0, NULL, NULL),
		  CL_INVALID_VALUE);
	CALL(clEnqueueReadImage(queue, NULL, CL_TRUE, zero, whole, 0, 0, bytes, 0, NULL, NULL));
	CALL(clEnqueueReadImage(NULL, image, CL_TRUE, zero, whole, 0, 0, bytes, 0, NULL, NULL));
	SHIM_ONLY(clEnqueueReadImage(queue, mem, CL_TRUE, zero, whole, 0, 0, bytes, 0, NULL, NULL),
		  CL_INVALID_MEM_OBJECT);
	SHIM_ONLY(clEnqueueReadBuffer(queue, image, CL_TRUE, 0, 16, bytes, 0, NULL, NULL), CL_INVALID_MEM_OBJECT);
	CALL(clReleaseSampler(NULL));
	MAKE(clCreateSampler(NULL, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &status));
	MUST(clReleaseMemObject(image));
	MUST(clReleaseMemObject(mem));
}

int main(void)
{
	begin();
	formats();
	kinds();
	copies();
	host_pointers();
	kernels();
	refusals();
	end();
	return 0;
}
