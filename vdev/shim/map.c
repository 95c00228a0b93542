/* Maps: a memory object's own bytes in the arena, or the program's memory where it gave some. */
#include "gen/calls.h"
#include "gen/messages.h"
#include "transfer.h"

#include <stdlib.h>

static cl_int map_check(const struct sl_transfer *t, cl_map_flags flags, bool image)
{
	const cl_map_flags writes = CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION;
	if (flags & ~(CL_MAP_READ | writes))
		return CL_INVALID_VALUE;
	if ((flags & CL_MAP_WRITE_INVALIDATE_REGION) && (flags & (CL_MAP_READ | CL_MAP_WRITE)))
		return CL_INVALID_VALUE;
	cl_mem_flags forbidden = CL_MEM_HOST_NO_ACCESS;
	if (flags & CL_MAP_READ)
		forbidden |= CL_MEM_HOST_WRITE_ONLY;
	if (flags & writes)
		forbidden |= CL_MEM_HOST_READ_ONLY;
	return sl_transfer_check(t, forbidden, image);
}

static void mapping_add(sl_object *mem, struct sl_mapping *mapping)
{
	pthread_mutex_lock(&mem->as.mem.lock);
	mapping->next = mem->as.mem.mappings;
	mem->as.mem.mappings = mapping;
	mem->as.mem.map_count++;
	pthread_mutex_unlock(&mem->as.mem.lock);
}

static cl_int map(struct sl_transfer *t, cl_map_flags flags, void **pointer)
{
	sl_object *mem = t->mem;
	struct sl_session *session = t->queue->session;
	uint8_t *bytes, *host = mem->as.mem.host_pointer;
	cl_int status = sl_mem_place(mem, &bytes);
	struct sl_mapping *mapping = malloc(sizeof(*mapping));
	if (status != CL_SUCCESS || !mapping) {
		free(mapping);
		return status != CL_SUCCESS ? status : CL_OUT_OF_HOST_MEMORY;
	}
	/* Bytes that the program wants at an address of its own must be there when it looks, so that map always waits.
	 */
	bool blocking = t->blocking || host;
	struct sl_slot *slot = blocking ? sl_slot_take(session) : NULL;
	status = sl_send_clEnqueueMapBuffer(session, slot, t->queue, mem, blocking, flags, t->offset, t->size,
					    t->wait_count, t->wait_list, t->event);
	if (slot)
		status = sl_finish_command(session, slot, status, &t->made);
	if (status != CL_SUCCESS) {
		free(mapping);
		return status;
	}
	*pointer = (host ? host : bytes) + t->offset;
	if (host && !(flags & CL_MAP_WRITE_INVALIDATE_REGION))
		memcpy(*pointer, bytes + t->offset, t->size);
	*mapping = (struct sl_mapping){.pointer = *pointer, .offset = t->offset, .size = t->size, .flags = flags};
	mapping_add(mem, mapping);
	return CL_SUCCESS;
}

void *CL_API_CALL sl_clEnqueueMapBuffer(cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_map,
					cl_map_flags map_flags, size_t offset, size_t size,
					cl_uint num_events_in_wait_list, const cl_event *event_wait_list,
					cl_event *event, cl_int *errcode_ret)
{
	struct sl_transfer t = {.queue = sl_find(command_queue, SL_QUEUE),
				.mem = sl_find(buffer, SL_MEM),
				.blocking = blocking_map,
				.offset = offset,
				.size = size,
				.wait_count = num_events_in_wait_list,
				.wait_list = event_wait_list};
	if (!t.queue)
		return sl_fail(errcode_ret, CL_INVALID_COMMAND_QUEUE);
	if (!t.mem)
		return sl_fail(errcode_ret, CL_INVALID_MEM_OBJECT);
	void *pointer = NULL;
	cl_int status =
		t.size && sl_mem_spans(t.mem, t.offset, t.size) ? map_check(&t, map_flags, false) : CL_INVALID_VALUE;
	if (status == CL_SUCCESS && event && !(t.event = sl_event_new(t.queue, CL_COMMAND_MAP_BUFFER)))
		status = CL_OUT_OF_HOST_MEMORY;
	if (status == CL_SUCCESS)
		status = map(&t, map_flags, &pointer);
	if (status != CL_SUCCESS)
		sl_transfer_abandon(&t);
	else if (event)
		*event = (cl_event)t.event;
	sl_fail(errcode_ret, status);
	return pointer;
}

/*
 * Maps an image. Its bytes lie without gaps in the arena; where the program gave memory of its own, they are copied to
 * and from there with the pitches that it gave.
 */
static cl_int map_image(struct sl_transfer *t, cl_map_flags flags, void **pointer, size_t *row_pitch,
			size_t *slice_pitch)
{
	sl_object *mem = t->mem;
	struct sl_session *session = t->queue->session;
	const struct sl_image *image = mem->as.mem.image;
	uint8_t *bytes, *host = mem->as.mem.host_pointer;
	uint64_t answer[3];
	cl_int status = sl_mem_place(mem, &bytes);
	struct sl_mapping *mapping = calloc(1, sizeof(*mapping));
	if (status != CL_SUCCESS || !mapping) {
		free(mapping);
		return status != CL_SUCCESS ? status : CL_OUT_OF_HOST_MEMORY;
	}
	struct sl_slot *slot = sl_slot_take(session);
	slot->length = 0;
	status = sl_wait(session, slot,
			 sl_send_clEnqueueMapImage(session, slot, t->queue, mem, t->blocking || host, flags, 3,
						   t->origin, 3, t->region, t->wait_count, t->wait_list, t->event));
	t->made = slot->length != 0;
	memcpy(answer, slot->payload, sizeof(answer));
	sl_slot_give(session, slot);
	if (status == CL_SUCCESS && answer[0] >= mem->as.mem.size)
		status = CL_OUT_OF_RESOURCES;
	if (status != CL_SUCCESS) {
		free(mapping);
		return status;
	}
	*mapping = (struct sl_mapping){.pointer = bytes + answer[0], .offset = answer[0], .flags = flags};
	*row_pitch = answer[1];
	*slice_pitch = answer[2];
	if (host) {
		sl_image_layout(image, t->region, &mapping->layout);
		mapping->pointer = host + sl_image_host_offset(image, t->origin);
		*row_pitch = image->row_pitch;
		*slice_pitch = image->slice_pitch;
		mapping->layout.place_row_pitch = answer[1];
		mapping->layout.place_slice_pitch = answer[2];
		if (!(flags & CL_MAP_WRITE_INVALIDATE_REGION))
			sl_layout_copy(&mapping->layout, 0, mapping->pointer, bytes + mapping->offset, true);
	}
	*pointer = mapping->pointer;
	mapping_add(mem, mapping);
	return CL_SUCCESS;
}

void *CL_API_CALL sl_clEnqueueMapImage(cl_command_queue command_queue, cl_mem image, cl_bool blocking_map,
				       cl_map_flags map_flags, const size_t *origin, const size_t *region,
				       size_t *image_row_pitch, size_t *image_slice_pitch,
				       cl_uint num_events_in_wait_list, const cl_event *event_wait_list,
				       cl_event *event, cl_int *errcode_ret)
{
	struct sl_transfer t = {.queue = sl_find(command_queue, SL_QUEUE),
				.mem = sl_find(image, SL_MEM),
				.blocking = blocking_map,
				.origin = origin,
				.region = region,
				.wait_count = num_events_in_wait_list,
				.wait_list = event_wait_list};
	if (!t.queue)
		return sl_fail(errcode_ret, CL_INVALID_COMMAND_QUEUE);
	if (!t.mem || !t.mem->as.mem.image)
		return sl_fail(errcode_ret, CL_INVALID_MEM_OBJECT);
	void *pointer = NULL;
	size_t row_pitch, slice_pitch;
	bool sliced = sl_image_sliced(t.mem->as.mem.image);
	cl_int status = !origin || !region || !image_row_pitch || (sliced && !image_slice_pitch)
				? CL_INVALID_VALUE
				: map_check(&t, map_flags, true);
	if (status == CL_SUCCESS && event && !(t.event = sl_event_new(t.queue, CL_COMMAND_MAP_IMAGE)))
		status = CL_OUT_OF_HOST_MEMORY;
	if (status == CL_SUCCESS)
		status = map_image(&t, map_flags, &pointer, &row_pitch, &slice_pitch);
	sl_fail(errcode_ret, status);
	if (status != CL_SUCCESS) {
		sl_transfer_abandon(&t);
		return NULL;
	}
	*image_row_pitch = row_pitch;
	if (image_slice_pitch)
		*image_slice_pitch = sliced ? slice_pitch : 0;
	if (event)
		*event = (cl_event)t.event;
	return pointer;
}

/* Takes the mapping that pointer belongs to out of the buffer's list. */
static struct sl_mapping *mapping_take(sl_object *mem, const void *pointer)
{
	struct sl_mapping *found = NULL;
	pthread_mutex_lock(&mem->as.mem.lock);
	for (struct sl_mapping **link = &mem->as.mem.mappings; *link; link = &(*link)->next) {
		if ((*link)->pointer == pointer) {
			found = *link;
			*link = found->next;
			mem->as.mem.map_count--;
			break;
		}
	}
	pthread_mutex_unlock(&mem->as.mem.lock);
	return found;
}

cl_int CL_API_CALL sl_clEnqueueUnmapMemObject(cl_command_queue command_queue, cl_mem memobj, void *mapped_ptr,
					      cl_uint num_events_in_wait_list, const cl_event *event_wait_list,
					      cl_event *event)
{
	sl_object *queue = sl_find(command_queue, SL_QUEUE), *mem = sl_find(memobj, SL_MEM), *event_object = NULL;
	uint8_t *bytes;
	if (!queue)
		return CL_INVALID_COMMAND_QUEUE;
	if (!mem)
		return CL_INVALID_MEM_OBJECT;
	if (mem->context != queue->context)
		return CL_INVALID_CONTEXT;
	cl_int status = sl_check_wait_list(queue, num_events_in_wait_list, event_wait_list);
	if (status != CL_SUCCESS)
		return status;
	struct sl_mapping *mapping = mapping_take(mem, mapped_ptr);
	if (!mapping)
		return CL_INVALID_VALUE;
	status = sl_mem_place(mem, &bytes);
	if (status == CL_SUCCESS && event && !(event_object = sl_event_new(queue, CL_COMMAND_UNMAP_MEM_OBJECT)))
		status = CL_OUT_OF_HOST_MEMORY;
	if (status == CL_SUCCESS) {
		if (mem->as.mem.host_pointer && mapping->flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION))
			sl_layout_copy(&mapping->layout, mapping->size, mapping->pointer, bytes + mapping->offset,
				       false);
		status = sl_send_clEnqueueUnmapMemObject(queue->session, NULL, queue, mem, mapping->offset,
							 num_events_in_wait_list, event_wait_list, event_object);
	}
	free(mapping);
	if (status != CL_SUCCESS)
		sl_discard(event_object);
	else if (event)
		*event = (cl_event)event_object;
	return status;
}
