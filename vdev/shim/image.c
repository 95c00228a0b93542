/* Images and samplers. An image's bytes lie in the arena without gaps, as a buffer's do. */
#include "gen/calls.h"
#include "gen/messages.h"
#include "transfer.h"

#include <stdlib.h>

static size_t channel_count(cl_channel_order order)
{
	switch (order) {
	case CL_RG:
	case CL_RA:
	case CL_RGx:
		return 2;
	case CL_RGB:
	case CL_RGBx:
	case CL_sRGB:
		return 3;
	case CL_RGBA:
	case CL_BGRA:
	case CL_ARGB:
	case CL_ABGR:
	case CL_sRGBA:
	case CL_sBGRA:
	case CL_sRGBx:
		return 4;
	default:
		return 1;
	}
}

/* Bytes of one element, 0 for a type that no version of OpenCL knows: OpenCL 3.0, 5.3.1.1. */
static size_t element_size(const cl_image_format *format)
{
	size_t channels = channel_count(format->image_channel_order);
	switch (format->image_channel_data_type) {
	case CL_SNORM_INT8:
	case CL_UNORM_INT8:
	case CL_SIGNED_INT8:
	case CL_UNSIGNED_INT8:
		return channels;
	case CL_SNORM_INT16:
	case CL_UNORM_INT16:
	case CL_SIGNED_INT16:
	case CL_UNSIGNED_INT16:
	case CL_HALF_FLOAT:
		return 2 * channels;
	case CL_SIGNED_INT32:
	case CL_UNSIGNED_INT32:
	case CL_FLOAT:
		return 4 * channels;
	case CL_UNORM_SHORT_565:
	case CL_UNORM_SHORT_555:
		return 2;
	case CL_UNORM_INT_101010:
	case CL_UNORM_INT_101010_2:
		return 4;
	default:
		return 0;
	}
}

/* Whether the image has slices: a depth, or layers of any kind. */
bool sl_image_sliced(const struct sl_image *image)
{
	switch (image->description.image_type) {
	case CL_MEM_OBJECT_IMAGE3D:
	case CL_MEM_OBJECT_IMAGE2D_ARRAY:
	case CL_MEM_OBJECT_IMAGE1D_ARRAY:
		return true;
	default:
		return false;
	}
}

/* Rows and slices of the whole image. */
static void extent(const cl_image_desc *d, size_t whole[3])
{
	whole[0] = d->image_width;
	whole[1] = whole[2] = 1;
	switch (d->image_type) {
	case CL_MEM_OBJECT_IMAGE2D:
		whole[1] = d->image_height;
		break;
	case CL_MEM_OBJECT_IMAGE3D:
		whole[1] = d->image_height;
		whole[2] = d->image_depth;
		break;
	case CL_MEM_OBJECT_IMAGE1D_ARRAY:
		whole[1] = d->image_array_size;
		break;
	case CL_MEM_OBJECT_IMAGE2D_ARRAY:
		whole[1] = d->image_height;
		whole[2] = d->image_array_size;
		break;
	default:
		break;
	}
}

/* How a region lies with the given pitches; the layers of a 1D array lie a slice pitch apart, not a row pitch. */
static void layout(const struct sl_image *image, const size_t *region, size_t row_pitch, size_t slice_pitch,
		   struct sl_layout *to)
{
	bool layers = image->description.image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
	memset(to, 0, sizeof(*to));
	to->region[0] = region[0] * image->element_size;
	to->region[1] = region[1];
	to->region[2] = region[2];
	to->row_pitch = row_pitch ? row_pitch : to->region[0];
	if (layers && slice_pitch)
		to->row_pitch = slice_pitch;
	to->slice_pitch = slice_pitch && !layers ? slice_pitch : to->row_pitch * region[1];
}

void sl_image_layout(const struct sl_image *image, const size_t *region, struct sl_layout *to)
{
	layout(image, region, image->row_pitch, image->slice_pitch, to);
}

size_t sl_image_host_offset(const struct sl_image *image, const size_t *origin)
{
	bool layers = image->description.image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
	return origin[0] * image->element_size + origin[1] * (layers ? image->slice_pitch : image->row_pitch) +
	       origin[2] * image->slice_pitch;
}

/* Whether a region lies within the image. */
bool sl_image_holds(const struct sl_image *image, const size_t *origin, const size_t *region)
{
	size_t whole[3];
	extent(&image->description, whole);
	for (int i = 0; i < 3; i++)
		if (!region[i] || origin[i] > whole[i] || region[i] > whole[i] - origin[i])
			return false;
	return true;
}

/* Where an element lies in the image's place, and how its rows and slices lie there: without gaps. */
size_t sl_image_place_offset(const struct sl_image *image, const size_t *origin, size_t *row_pitch, size_t *slice_pitch)
{
	size_t whole[3];
	extent(&image->description, whole);
	*row_pitch = whole[0] * image->element_size;
	*slice_pitch = *row_pitch * whole[1];
	size_t offset = origin[0] * image->element_size + origin[1] * *row_pitch + origin[2] * *slice_pitch;
	if (image->description.image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY)
		*slice_pitch = *row_pitch;
	return offset;
}

/* Bytes of the image as the program sees it, with the gaps of its pitches. */
size_t sl_image_span(const struct sl_image *image)
{
	size_t whole[3];
	extent(&image->description, whole);
	if (!sl_image_sliced(image))
		return image->row_pitch * whole[1];
	return image->slice_pitch *
	       (image->description.image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? whole[1] : whole[2]);
}

/* Bytes of the image without gaps, or 0 where they are more than can be. */
static size_t image_size(const struct sl_image *image)
{
	size_t whole[3], size = image->element_size;
	extent(&image->description, whole);
	for (int i = 0; i < 3; i++)
		if (__builtin_mul_overflow(size, whole[i], &size))
			return 0;
	return size;
}

/* Fills in the pitches that the program left to us, and refuses those that do not fit: OpenCL 3.0, 5.3.1.2. */
static cl_int image_pitches(struct sl_image *image, const void *host_ptr)
{
	const cl_image_desc *d = &image->description;
	size_t whole[3];
	extent(d, whole);
	size_t row = whole[0] * image->element_size;
	if (!host_ptr && !d->mem_object && (d->image_row_pitch || d->image_slice_pitch))
		return CL_INVALID_IMAGE_DESCRIPTOR;
	image->row_pitch = d->image_row_pitch ? d->image_row_pitch : row;
	if (image->row_pitch < row || image->row_pitch % image->element_size)
		return CL_INVALID_IMAGE_DESCRIPTOR;
	size_t slice = d->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? image->row_pitch : image->row_pitch * whole[1];
	image->slice_pitch = !sl_image_sliced(image) ? 0 : d->image_slice_pitch ? d->image_slice_pitch : slice;
	if (sl_image_sliced(image) && (image->slice_pitch < slice || image->slice_pitch % image->row_pitch))
		return CL_INVALID_IMAGE_DESCRIPTOR;
	return CL_SUCCESS;
}

static cl_int image_describe(struct sl_image *image, const cl_image_format *format, const cl_image_desc *description,
			     const void *host_ptr)
{
	if (!format || !element_size(format))
		return CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
	if (!description || description->num_mip_levels || description->num_samples)
		return CL_INVALID_IMAGE_DESCRIPTOR;
	image->format = *format;
	image->description = *description;
	image->element_size = element_size(format);
	cl_int status = image_pitches(image, host_ptr);
	if (status == CL_SUCCESS && !image_size(image))
		status = CL_INVALID_IMAGE_SIZE;
	return status;
}

static struct sl_made_image made_image(const sl_object *mem, cl_mem_flags flags)
{
	const struct sl_image *image = mem->as.mem.image;
	const cl_image_desc *d = &image->description;
	return (struct sl_made_image){.wholes = mem->context->as.context.wholes,
				      .flags = flags,
				      .format = image->format,
				      .type = d->image_type,
				      .most = {d->image_width, d->image_height, d->image_depth, d->image_array_size}};
}

/* Whether an image as large or larger, and else the same, was made before. */
static bool made_before(struct sl_session *session, const struct sl_made_image *like)
{
	bool found = false;
	pthread_mutex_lock(&session->making);
	for (size_t i = 0; i < SL_CONFIRMED_MAX && !found; i++) {
		const struct sl_made_image *made = &session->made_images[i];
		found = made->wholes == like->wholes && made->flags == like->flags && made->type == like->type &&
			memcmp(&made->format, &like->format, sizeof(like->format)) == 0;
		for (int k = 0; k < 4 && found; k++)
			found = like->most[k] <= made->most[k];
	}
	pthread_mutex_unlock(&session->making);
	return found;
}

static void note_made(struct sl_session *session, const struct sl_made_image *made)
{
	pthread_mutex_lock(&session->making);
	session->made_images[session->next_made_image++ % SL_CONFIRMED_MAX] = *made;
	pthread_mutex_unlock(&session->making);
}

/* Makes the image at the worker. Nobody waits for one whose like it has made, as nobody does for a buffer. */
static cl_int image_create(sl_object *mem, sl_object *from, cl_mem_flags flags)
{
	struct sl_session *session = mem->session;
	const struct sl_image *image = mem->as.mem.image;
	const cl_image_desc *d = &image->description;
	const struct sl_made_image like = made_image(mem, flags);
	struct sl_slot *slot = !from && made_before(session, &like) ? NULL : sl_slot_take(session);
	cl_int status = sl_send_clCreateImage(session, slot, mem->context, mem, flags,
					      image->format.image_channel_order, image->format.image_channel_data_type,
					      d->image_type, d->image_width, d->image_height, d->image_depth,
					      d->image_array_size, from ? d->image_row_pitch : 0, from);
	if (slot)
		status = sl_finish(session, slot, status);
	if (slot && !from && status == CL_SUCCESS)
		note_made(session, &like);
	return status;
}

/* Copies the program's bytes into a new image. */
static cl_int image_fill(sl_object *mem, const void *host_ptr)
{
	uint8_t *bytes;
	cl_int status = sl_mem_place(mem, &bytes);
	if (status != CL_SUCCESS)
		return status;
	struct sl_layout whole;
	size_t region[3];
	extent(&mem->as.mem.image->description, region);
	sl_image_layout(mem->as.mem.image, region, &whole);
	sl_layout_copy(&whole, 0, (uint8_t *)(uintptr_t)host_ptr, bytes, false);
	return CL_SUCCESS;
}

cl_mem CL_API_CALL sl_clCreateImage(cl_context context, cl_mem_flags flags, const cl_image_format *image_format,
				    const cl_image_desc *image_desc, void *host_ptr, cl_int *errcode_ret)
{
	sl_object *context_object = sl_find(context, SL_CONTEXT), *from = NULL;
	if (!context_object)
		return sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	struct sl_image described;
	cl_int status = sl_mem_check_flags(flags, host_ptr);
	if (status == CL_SUCCESS && !sl_context_number(context_object, CL_DEVICE_IMAGE_SUPPORT))
		status = CL_INVALID_OPERATION;
	if (status == CL_SUCCESS)
		status = image_describe(&described, image_format, image_desc, host_ptr);
	if (status == CL_SUCCESS && image_desc->mem_object && !(from = sl_find(image_desc->mem_object, SL_MEM)))
		status = CL_INVALID_IMAGE_DESCRIPTOR;
	size_t size = status == CL_SUCCESS ? image_size(&described) : 0;
	if (status == CL_SUCCESS && !from)
		status = sl_credit_take(context_object, size);
	if (status != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	if (!(flags & (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY)))
		flags |= CL_MEM_READ_WRITE;
	sl_object *mem = sl_mem_new(context_object, from, flags, size);
	struct sl_image *image = mem ? malloc(sizeof(*image)) : NULL;
	status = CL_OUT_OF_HOST_MEMORY;
	if (image) {
		*image = described;
		mem->as.mem.image = image;
		if (flags & CL_MEM_USE_HOST_PTR)
			mem->as.mem.host_pointer = host_ptr;
		status = image_create(mem, from, flags);
	}
	if (status != CL_SUCCESS) {
		if (!from)
			sl_credit_give(context_object, size);
		sl_discard(mem);
		return sl_fail(errcode_ret, status);
	}
	if (host_ptr && (status = image_fill(mem, host_ptr)) != CL_SUCCESS) {
		sl_release(mem);
		return sl_fail(errcode_ret, status);
	}
	sl_fail(errcode_ret, CL_SUCCESS);
	return (cl_mem)mem;
}

cl_mem CL_API_CALL sl_clCreateImageWithProperties(cl_context context, const cl_mem_properties *properties,
						  cl_mem_flags flags, const cl_image_format *image_format,
						  const cl_image_desc *image_desc, void *host_ptr, cl_int *errcode_ret)
{
	if (!sl_find(context, SL_CONTEXT))
		return sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	if (properties && properties[0])
		return sl_fail(errcode_ret, CL_INVALID_PROPERTY);
	cl_mem image = sl_clCreateImage(context, flags, image_format, image_desc, host_ptr, errcode_ret);
	if (image)
		((sl_object *)(void *)image)->as.mem.has_properties = properties != NULL;
	return image;
}

cl_mem CL_API_CALL sl_clCreateImage2D(cl_context context, cl_mem_flags flags, const cl_image_format *image_format,
				      size_t image_width, size_t image_height, size_t image_row_pitch, void *host_ptr,
				      cl_int *errcode_ret)
{
	const cl_image_desc description = {.image_type = CL_MEM_OBJECT_IMAGE2D,
					   .image_width = image_width,
					   .image_height = image_height,
					   .image_row_pitch = image_row_pitch};
	return sl_clCreateImage(context, flags, image_format, &description, host_ptr, errcode_ret);
}

cl_mem CL_API_CALL sl_clCreateImage3D(cl_context context, cl_mem_flags flags, const cl_image_format *image_format,
				      size_t image_width, size_t image_height, size_t image_depth,
				      size_t image_row_pitch, size_t image_slice_pitch, void *host_ptr,
				      cl_int *errcode_ret)
{
	const cl_image_desc description = {.image_type = CL_MEM_OBJECT_IMAGE3D,
					   .image_width = image_width,
					   .image_height = image_height,
					   .image_depth = image_depth,
					   .image_row_pitch = image_row_pitch,
					   .image_slice_pitch = image_slice_pitch};
	return sl_clCreateImage(context, flags, image_format, &description, host_ptr, errcode_ret);
}

cl_int CL_API_CALL sl_clGetImageInfo(cl_mem image, cl_image_info param_name, size_t param_value_size, void *param_value,
				     size_t *param_value_size_ret)
{
	const sl_object *mem = sl_find(image, SL_MEM);
	const struct sl_image *i = mem ? mem->as.mem.image : NULL;
	if (!i)
		return CL_INVALID_MEM_OBJECT;
	const cl_image_desc *d = &i->description;
	bool layers = d->image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY || d->image_type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
	bool two_dimensional = d->image_type == CL_MEM_OBJECT_IMAGE2D || d->image_type == CL_MEM_OBJECT_IMAGE3D ||
			       d->image_type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
	size_t value;
	void *buffer = mem->parent;
	cl_uint none = 0;
	switch (param_name) {
	case CL_IMAGE_FORMAT:
		return sl_info(&i->format, sizeof(i->format), param_value_size, param_value, param_value_size_ret);
	case CL_IMAGE_BUFFER:
		return sl_info(&buffer, sizeof(buffer), param_value_size, param_value, param_value_size_ret);
	case CL_IMAGE_NUM_MIP_LEVELS:
	case CL_IMAGE_NUM_SAMPLES:
		return sl_info(&none, sizeof(none), param_value_size, param_value, param_value_size_ret);
	case CL_IMAGE_ELEMENT_SIZE:
		value = i->element_size;
		break;
	case CL_IMAGE_ROW_PITCH:
		value = i->row_pitch;
		break;
	case CL_IMAGE_SLICE_PITCH:
		value = i->slice_pitch;
		break;
	case CL_IMAGE_WIDTH:
		value = d->image_width;
		break;
	case CL_IMAGE_HEIGHT:
		value = two_dimensional ? d->image_height : 0;
		break;
	case CL_IMAGE_DEPTH:
		value = d->image_type == CL_MEM_OBJECT_IMAGE3D ? d->image_depth : 0;
		break;
	case CL_IMAGE_ARRAY_SIZE:
		value = layers ? d->image_array_size : 0;
		break;
	default:
		return CL_INVALID_VALUE;
	}
	return sl_info(&value, sizeof(value), param_value_size, param_value, param_value_size_ret);
}

cl_int CL_API_CALL sl_clGetSupportedImageFormats(cl_context context, cl_mem_flags flags, cl_mem_object_type image_type,
						 cl_uint num_entries, cl_image_format *image_formats,
						 cl_uint *num_image_formats)
{
	sl_object *object = sl_find(context, SL_CONTEXT);
	if (!object)
		return CL_INVALID_CONTEXT;
	if (!num_entries && image_formats)
		return CL_INVALID_VALUE;
	struct sl_session *session = object->session;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status =
		sl_wait(session, slot, sl_send_clGetSupportedImageFormats(session, slot, object, flags, image_type));
	size_t length = 0;
	const uint8_t *formats = status == CL_SUCCESS ? sl_reply(session, slot, &length) : NULL;
	size_t count = length / sizeof(cl_image_format);
	if (status == CL_SUCCESS && num_image_formats)
		*num_image_formats = (cl_uint)count;
	if (formats && image_formats)
		memcpy(image_formats, formats, (count < num_entries ? count : num_entries) * sizeof(cl_image_format));
	if (formats && slot->elsewhere)
		sl_unreserve(session, (uint64_t)(formats - session->arena));
	sl_slot_give(session, slot);
	return status;
}

static cl_int image_transfer(struct sl_transfer *t, size_t row_pitch, size_t slice_pitch, const void *pointer,
			     cl_event *event)
{
	if (!t->queue)
		return CL_INVALID_COMMAND_QUEUE;
	const struct sl_image *image = t->mem ? t->mem->as.mem.image : NULL;
	if (!image)
		return CL_INVALID_MEM_OBJECT;
	if (!pointer || !t->origin || !t->region)
		return CL_INVALID_VALUE;
	cl_int status = sl_transfer_check(
		t, CL_MEM_HOST_NO_ACCESS | (t->read ? CL_MEM_HOST_WRITE_ONLY : CL_MEM_HOST_READ_ONLY), true);
	if (status != CL_SUCCESS)
		return status;
	if (!sl_image_holds(image, t->origin, t->region))
		return CL_INVALID_VALUE;
	size_t row = t->region[0] * image->element_size;
	if ((row_pitch && row_pitch < row) || (slice_pitch && !sl_image_sliced(image)))
		return CL_INVALID_VALUE;
	layout(image, t->region, row_pitch, slice_pitch, &t->layout);
	if (t->layout.slice_pitch < t->layout.row_pitch * t->region[1])
		return CL_INVALID_VALUE;
	t->size = row * t->region[1] * t->region[2];
	return sl_transfer(t, (void *)(uintptr_t)pointer, event);
}

cl_int CL_API_CALL sl_clEnqueueReadImage(cl_command_queue command_queue, cl_mem image, cl_bool blocking_read,
					 const size_t *origin, const size_t *region, size_t row_pitch,
					 size_t slice_pitch, void *ptr, cl_uint num_events_in_wait_list,
					 const cl_event *event_wait_list, cl_event *event)
{
	struct sl_transfer t = {.queue = sl_find(command_queue, SL_QUEUE),
				.mem = sl_find(image, SL_MEM),
				.command = CL_COMMAND_READ_IMAGE,
				.blocking = blocking_read,
				.read = true,
				.origin = origin,
				.region = region,
				.wait_count = num_events_in_wait_list,
				.wait_list = event_wait_list};
	return image_transfer(&t, row_pitch, slice_pitch, ptr, event);
}

cl_int CL_API_CALL sl_clEnqueueWriteImage(cl_command_queue command_queue, cl_mem image, cl_bool blocking_write,
					  const size_t *origin, const size_t *region, size_t input_row_pitch,
					  size_t input_slice_pitch, const void *ptr, cl_uint num_events_in_wait_list,
					  const cl_event *event_wait_list, cl_event *event)
{
	struct sl_transfer t = {.queue = sl_find(command_queue, SL_QUEUE),
				.mem = sl_find(image, SL_MEM),
				.command = CL_COMMAND_WRITE_IMAGE,
				.blocking = blocking_write,
				.origin = origin,
				.region = region,
				.wait_count = num_events_in_wait_list,
				.wait_list = event_wait_list};
	return image_transfer(&t, input_row_pitch, input_slice_pitch, ptr, event);
}
