/* Maps: a memory object's own bytes in the arena, or the program's memory where it gave some. */
#include "gen/calls.h"
#include "gen/messages.h"
#include "transfer.h"
#include "turn.h"

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

/* Bytes of a map that the program wants at an address of its own. */
struct host_copy {
	struct sl_layout layout;
	size_t size;
	uint8_t *program, *place;
};

static void host_copy(void *data, const struct sl_turn_bytes *bytes)
{
	const struct host_copy *copy = data;
	(void)bytes;
	sl_layout_copy(&copy->layout, copy->size, copy->program, copy->place, true);
}

/* Copies what was mapped without waiting to the program's memory when the map's turn has come. */
static cl_int host_copy_later(struct sl_transfer *t, const struct sl_layout *layout, size_t size, uint8_t *program,
			      uint8_t *place)
{
	struct host_copy *copy = malloc(sizeof(*copy));
	if (!copy)
		return CL_OUT_OF_HOST_MEMORY;
	*copy = (struct host_copy){*layout, size, program, place};
	const struct sl_turn turn = {
		.queue = t->queue, .event = t->event, .work = host_copy, .data = copy, .forget = free};
	return sl_turn_take(&turn, false, &t->made);
}

/*
 * Maps without the driver, where the device works on the object's bytes in place and all earlier commands of the queue
 * are over: there is nothing to copy. Returns false where the map is to be sent as a command.
 */
static bool map_stood_in(struct sl_transfer *t, cl_int *status)
{
	uint8_t *bytes;
	if (!sl_queue_stands_in(t->queue, t->wait_count, t->event) || t->mem->as.mem.host_pointer ||
	    !sl_mem_in_place(t->mem, t->mem->as.mem.size, &bytes))
		return false;
	if (!sl_queue_take_after(t->queue, t->blocking, &t->earlier))
		return false;
	sl_queue_leave(t->queue);
	*status = t->event ? sl_event_over(t->event, &t->made) : CL_SUCCESS;
	return true;
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
	bool copies = host && !(flags & CL_MAP_WRITE_INVALIDATE_REGION), later = copies && !t->blocking;
	bool unsent = map_stood_in(t, &status);
	if (!unsent) {
		struct sl_slot *slot = t->blocking || later ? sl_slot_take(session) : NULL;
		status = sl_send_clEnqueueMapBuffer(session, slot, t->queue, mem, t->blocking, flags, t->offset,
						    t->size, t->wait_count, t->wait_list, later ? NULL : t->event);
		if (slot)
			status = sl_finish_command(session, slot, status, &t->made);
	}
	if (status == CL_SUCCESS)
		status = t->earlier;
	uint8_t *there = (host ? host : bytes) + t->offset;
	if (status == CL_SUCCESS && later)
		status = host_copy_later(t, &(struct sl_layout){0}, t->size, there, bytes + t->offset);
	if (status != CL_SUCCESS) {
		free(mapping);
		return status;
	}
	if (copies && !later)
		sl_layout_copy(&(struct sl_layout){0}, t->size, there, bytes + t->offset, true);
	*pointer = there;
	*mapping = (struct sl_mapping){
		.pointer = there, .offset = t->offset, .size = t->size, .flags = flags, .unsent = unsent};
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
	bool copies = host && !(flags & CL_MAP_WRITE_INVALIDATE_REGION), later = copies && !t->blocking;
	bool unsent = sl_image_holds(image, t->origin, t->region) && map_stood_in(t, &status);
	if (unsent) {
		if (status == CL_SUCCESS)
			status = t->earlier;
		answer[0] = sl_image_place_offset(image, t->origin, row_pitch, slice_pitch);
		answer[1] = *row_pitch;
		answer[2] = *slice_pitch;
	} else {
		struct sl_slot *slot = sl_slot_take(session);
		status = sl_wait(session, slot,
				 sl_send_clEnqueueMapImage(session, slot, t->queue, mem, t->blocking, flags, 3,
							   t->origin, 3, t->region, t->wait_count, t->wait_list,
							   later ? NULL : t->event));
		t->made = slot->length != 0;
		memcpy(answer, slot->payload, sizeof(answer));
		sl_slot_give(session, slot);
	}
	if (status == CL_SUCCESS && answer[0] >= mem->as.mem.size)
		status = CL_OUT_OF_RESOURCES;
	if (status != CL_SUCCESS) {
		free(mapping);
		return status;
	}
	*mapping = (struct sl_mapping){
		.pointer = bytes + answer[0], .offset = answer[0], .flags = flags, .unsent = unsent};
	*row_pitch = answer[1];
	*slice_pitch = answer[2];
	if (host) {
		sl_image_layout(image, t->region, &mapping->layout);
		mapping->pointer = host + sl_image_host_offset(image, t->origin);
		*row_pitch = image->row_pitch;
		*slice_pitch = image->slice_pitch;
		mapping->layout.place_row_pitch = answer[1];
		mapping->layout.place_slice_pitch = answer[2];
		if (copies && !later)
			sl_layout_copy(&mapping->layout, 0, mapping->pointer, bytes + mapping->offset, true);
	}
	if (later && (status = host_copy_later(t, &mapping->layout, 0, mapping->pointer, bytes + mapping->offset)) !=
			     CL_SUCCESS) {
		free(mapping);
		return status;
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

/*
 * Unmaps what the driver does not know to be mapped. What remains of the command is its place in the queue: a marker,
 * or an event that is complete where the queue's order asks nothing of it.
 */
static cl_int unmap_unsent(sl_object *queue, cl_uint wait_count, const cl_event *wait_list, const sl_object *event)
{
	struct sl_session *session = queue->session;
	if (!wait_count && !event)
		return sl_session_alive(session) ? CL_SUCCESS : CL_OUT_OF_RESOURCES;
	if (wait_count || sl_queue_in_order(queue))
		return sl_send_clEnqueueMarkerWithWaitList(session, NULL, queue, wait_count, wait_list, event);
	bool made;
	return sl_event_over(event, &made);
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
	if (status == CL_SUCCESS && mapping->unsent) {
		status = unmap_unsent(queue, num_events_in_wait_list, event_wait_list, event_object);
	} else if (status == CL_SUCCESS) {
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
