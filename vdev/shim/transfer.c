/* Reads and writes. */
#include "gen/calls.h"
#include "gen/messages.h"
#include "transfer.h"
#include "turn.h"

#include <stdlib.h>

/* A read that the program does not wait for is done at once up to this size: a larger one would make it wait. */
#define READ_AT_ONCE_MAX (64U << 10)

/* Transfers up to this size go through the staging window; larger blocking ones happen in the buffer itself. */
#define SMALL_MAX (256U << 10)

cl_int sl_transfer_check(const struct sl_transfer *t, cl_mem_flags forbidden, bool image)
{
	if (t->mem->context != t->queue->context)
		return CL_INVALID_CONTEXT;
	if (image != (t->mem->as.mem.image != NULL))
		return CL_INVALID_MEM_OBJECT;
	cl_int status = sl_check_wait_list(t->queue, t->wait_count, t->wait_list);
	if (status != CL_SUCCESS)
		return status;
	if (t->mem->as.mem.flags & forbidden)
		return CL_INVALID_OPERATION;
	return sl_mem_misaligned(t->mem, t->queue) ? CL_MISALIGNED_SUB_BUFFER_OFFSET : CL_SUCCESS;
}

static cl_int bytes_check(const struct sl_transfer *t, const void *pointer)
{
	if (!pointer || !sl_mem_spans(t->mem, t->offset, t->size))
		return CL_INVALID_VALUE;
	return sl_transfer_check(t, CL_MEM_HOST_NO_ACCESS | (t->read ? CL_MEM_HOST_WRITE_ONLY : CL_MEM_HOST_READ_ONLY),
				 false);
}

static cl_int transfer_send(const struct sl_transfer *t, struct sl_slot *slot, bool blocking,
			    const struct sl_pending *place, uint32_t ticket)
{
	struct sl_session *session = t->queue->session;
	switch (t->command) {
	case CL_COMMAND_READ_BUFFER:
		return sl_send_clEnqueueReadBuffer(session, slot, t->queue, t->mem, blocking, t->offset, t->size,
						   place->place, place->offset, ticket, t->wait_count, t->wait_list,
						   t->event);
	case CL_COMMAND_WRITE_BUFFER:
		return sl_send_clEnqueueWriteBuffer(session, slot, t->queue, t->mem, blocking, t->offset, t->size,
						    place->place, place->offset, ticket, t->wait_count, t->wait_list,
						    t->event);
	case CL_COMMAND_READ_BUFFER_RECT:
		return sl_send_clEnqueueReadBufferRect(session, slot, t->queue, t->mem, blocking, 3, t->origin, 3,
						       t->region, t->buffer_row_pitch, t->buffer_slice_pitch,
						       place->place, place->offset, ticket, t->wait_count, t->wait_list,
						       t->event);
	case CL_COMMAND_WRITE_BUFFER_RECT:
		return sl_send_clEnqueueWriteBufferRect(session, slot, t->queue, t->mem, blocking, 3, t->origin, 3,
							t->region, t->buffer_row_pitch, t->buffer_slice_pitch,
							place->place, place->offset, ticket, t->wait_count,
							t->wait_list, t->event);
	case CL_COMMAND_READ_IMAGE:
		return sl_send_clEnqueueReadImage(session, slot, t->queue, t->mem, blocking, 3, t->origin, 3, t->region,
						  place->place, place->offset, ticket, t->wait_count, t->wait_list,
						  t->event);
	default:
		return sl_send_clEnqueueWriteImage(session, slot, t->queue, t->mem, blocking, 3, t->origin, 3,
						   t->region, place->place, place->offset, ticket, t->wait_count,
						   t->wait_list, t->event);
	}
}

static cl_int event_wait(const sl_object *event)
{
	const cl_event list[] = {(cl_event)(uintptr_t)event};
	struct sl_slot *slot = sl_slot_take(event->session);
	return sl_finish(event->session, slot, sl_send_clWaitForEvents(event->session, slot, 1, list));
}

/* Waits for the queue, then reads or writes the buffer's bytes in place: one copy, whatever the size. */
static cl_int transfer_in_place(struct sl_transfer *t, void *pointer)
{
	struct sl_session *session = t->queue->session;
	sl_object *gate = sl_event_new(t->queue->context, CL_COMMAND_USER);
	if (!gate)
		return CL_OUT_OF_HOST_MEMORY;
	struct sl_slot *slot = sl_slot_take(session);
	cl_map_flags flags = t->read ? CL_MAP_READ : CL_MAP_WRITE_INVALIDATE_REGION;
	cl_int status = sl_wait(session, slot,
				sl_send_access(session, slot, t->queue, t->mem, flags, t->offset, t->size,
					       t->wait_count, t->wait_list, gate, t->event));
	uint64_t place;
	memcpy(&place, slot->payload, 8);
	t->made = slot->length != 0;
	sl_slot_give(session, slot);
	if (!t->made) {
		sl_discard(gate);
		return status;
	}
	if (place > session->arena_size || t->size > session->arena_size - place)
		status = CL_OUT_OF_RESOURCES;
	if (status == CL_SUCCESS)
		sl_layout_copy(&(struct sl_layout){0}, t->size, pointer, session->arena + place, t->read);
	(void)sl_send_leave(session, NULL, gate);
	sl_release(gate);
	/* Whoever looks at the event of a transfer that was waited for finds it complete. */
	if (status == CL_SUCCESS && t->event)
		status = event_wait(t->event);
	return status;
}

struct turn_copy {
	uint8_t *program;
	size_t size;
	struct sl_layout layout;
	bool read;
};

static void turn_copy(void *data, const struct sl_turn_bytes *bytes)
{
	struct turn_copy *copy = data;
	if (bytes->row_pitch) {
		copy->layout.place_row_pitch = bytes->row_pitch;
		copy->layout.place_slice_pitch = bytes->slice_pitch;
	}
	sl_layout_copy(&copy->layout, copy->size, copy->program, bytes->first, copy->read);
}

/* Reads or writes in place when the queue has come so far, whatever the size and though nothing may wait for it. */
static cl_int transfer_in_turn(struct sl_transfer *t, void *pointer)
{
	struct turn_copy *copy = malloc(sizeof(*copy));
	if (!copy)
		return CL_OUT_OF_HOST_MEMORY;
	*copy = (struct turn_copy){pointer, t->size, t->layout, t->read};
	struct sl_turn turn = {.queue = t->queue,
			       .mem = t->mem,
			       .map_flags = t->read ? CL_MAP_READ : CL_MAP_WRITE_INVALIDATE_REGION,
			       .offset = t->offset,
			       .size = t->size,
			       .wait_count = t->wait_count,
			       .wait_list = t->wait_list,
			       .event = t->event,
			       .work = turn_copy,
			       .data = copy,
			       .forget = free};
	if (t->mem->as.mem.image) {
		turn.origin = t->origin;
		turn.region = t->region;
	} else if (t->region) {
		/* A map has no rectangles: it is of all from the first byte to the last, and keeps what lies between.
		 */
		const size_t *region = t->region, *origin = t->origin;
		turn.map_flags = t->read ? CL_MAP_READ : CL_MAP_READ | CL_MAP_WRITE;
		turn.offset = origin[2] * t->buffer_slice_pitch + origin[1] * t->buffer_row_pitch + origin[0];
		turn.size = (region[2] - 1) * t->buffer_slice_pitch + (region[1] - 1) * t->buffer_row_pitch + region[0];
		copy->layout.place_row_pitch = t->buffer_row_pitch;
		copy->layout.place_slice_pitch = t->buffer_slice_pitch;
	}
	return sl_turn_take(&turn, t->blocking, &t->made);
}

static void count_bytes(struct sl_session *session, size_t word, size_t size)
{
	atomic_fetch_add_explicit((_Atomic uint64_t *)(void *)(session->segment + word), size, memory_order_relaxed);
}

/*
 * Does the transfer's work here and now, where the device works on the object's bytes in place and all earlier commands
 * of the queue are over; those of a queue that is in order are waited for where the program waits anyway. Returns false
 * where it is to be sent as a command.
 */
static bool transfer_stood_in(struct sl_transfer *t, void *pointer, cl_int *status)
{
	uint8_t *bytes;
	if (!sl_queue_stands_in(t->queue, t->wait_count, t->event) ||
	    (t->read && !t->blocking && t->size > READ_AT_ONCE_MAX) || !sl_mem_in_place(t->mem, t->size, &bytes))
		return false;
	if (!sl_queue_take_after(t->queue, t->blocking, &t->earlier))
		return false;
	struct sl_layout layout = t->layout;
	size_t offset = t->offset;
	if (t->mem->as.mem.image) {
		offset = sl_image_place_offset(t->mem->as.mem.image, t->origin, &layout.place_row_pitch,
					       &layout.place_slice_pitch);
	} else if (t->region) {
		offset = t->origin[2] * t->buffer_slice_pitch + t->origin[1] * t->buffer_row_pitch + t->origin[0];
		layout.place_row_pitch = t->buffer_row_pitch;
		layout.place_slice_pitch = t->buffer_slice_pitch;
	}
	sl_layout_copy(&layout, t->size, pointer, bytes + offset, t->read);
	sl_queue_leave(t->queue);
	count_bytes(t->queue->session, t->read ? SL_WORD_FROM_DEVICE : SL_WORD_TO_DEVICE, t->size);
	*status = t->event ? sl_event_over(t->event, &t->made) : CL_SUCCESS;
	return true;
}

/*
 * Where the program's memory is the bytes of a memory object, mapped or shared, as of a program that wants memory which
 * the device reaches at full speed: the driver is told that place, and nothing is copied in between.
 */
static bool transfer_between_objects(const struct sl_transfer *t, const void *pointer, struct sl_pending *place)
{
	const struct sl_session *session = t->queue->session;
	const struct sl_layout *layout = &t->layout;
	uintptr_t offset = (uintptr_t)pointer - (uintptr_t)session->arena;
	bool gaps = layout->region[0] && (layout->row_pitch != layout->region[0] ||
					  layout->slice_pitch != layout->row_pitch * layout->region[1]);
	if (gaps || offset >= session->arena_size || t->size > session->arena_size - offset)
		return false;
	*place = (struct sl_pending){.place = SL_PLACE_OBJECT, .offset = offset};
	return true;
}

/* Sends a transfer whose bytes need nothing more once it is over, so no ticket; waits for it where the program does. */
static cl_int transfer_placed(struct sl_transfer *t, const struct sl_pending *place)
{
	if (!t->blocking)
		return transfer_send(t, NULL, false, place, 0);
	struct sl_slot *slot = sl_slot_take(t->queue->session);
	return sl_finish_command(t->queue->session, slot, transfer_send(t, slot, true, place, 0), &t->made);
}

/* A blocking read, or a write whose event somebody may look at as soon as this returns. */
static cl_int transfer_waited(struct sl_transfer *t, void *pointer)
{
	struct sl_session *session = t->queue->session;
	struct sl_pending place = {.size = t->size};
	bool small = t->size <= SMALL_MAX && sl_stage(session, t->size, false, &place);
	if (!small) {
		cl_int status = sl_reserve(session, t->size, &place.offset);
		if (status != CL_SUCCESS)
			return status;
		place.place = SL_PLACE_ARENA;
	}
	uint8_t *bytes = sl_pending_bytes(session, &place);
	if (!t->read)
		sl_layout_copy(&t->layout, t->size, pointer, bytes, false);
	cl_int status = transfer_placed(t, &place);
	if (t->read && status == CL_SUCCESS)
		sl_layout_copy(&t->layout, t->size, pointer, bytes, true);
	if (small)
		sl_unstage(session, &place);
	else
		sl_unreserve(session, place.offset);
	return status;
}

/* A transfer that the program does not wait for: a write's bytes are taken now, a read's are given when it is seen. */
static cl_int transfer_later(struct sl_transfer *t, void *pointer)
{
	struct sl_session *session = t->queue->session;
	struct sl_pending place = {.size = t->size, .layout = t->layout, .destination = t->read ? pointer : NULL};
	if (t->size > SMALL_MAX || !sl_stage(session, t->size, true, &place)) {
		cl_int status = sl_stage_large(session, t->size, &place);
		if (status != CL_SUCCESS)
			return status;
	}
	if (!t->read)
		sl_stage_copy(session, &place, pointer);
	if (t->read || place.place == SL_PLACE_ARENA)
		sl_pending_add(session, &place);
	return transfer_send(t, NULL, t->blocking, &place, place.ticket + 1);
}

/* A transfer of nothing waits, and is waited for, like any other. */
static cl_int transfer_of_nothing(struct sl_transfer *t)
{
	sl_object *event = t->event ? t->event : sl_event_new(t->queue, t->command);
	if (!event)
		return CL_OUT_OF_HOST_MEMORY;
	cl_int status = sl_send_clEnqueueMarkerWithWaitList(t->queue->session, NULL, t->queue, t->wait_count,
							    t->wait_list, event);
	t->made = status == CL_SUCCESS;
	if (t->made && t->blocking)
		status = event_wait(event);
	if (!t->event && t->made)
		sl_release(event);
	else if (!t->event)
		sl_discard(event);
	return status;
}

void sl_transfer_abandon(const struct sl_transfer *t)
{
	if (t->event && t->made)
		sl_release(t->event);
	else
		sl_discard(t->event);
}

cl_int sl_transfer(struct sl_transfer *t, void *pointer, cl_event *event)
{
	cl_int status;
	struct sl_pending place;
	if (event && !(t->event = sl_event_new(t->queue, t->command)))
		return CL_OUT_OF_HOST_MEMORY;
	bool timed = t->event && t->queue->as.queue.flags & CL_QUEUE_PROFILING_ENABLE;
	if (!t->size)
		status = transfer_of_nothing(t);
	else if (transfer_stood_in(t, pointer, &status))
		;
	else if (transfer_between_objects(t, pointer, &place))
		status = transfer_placed(t, &place);
	else if (!t->blocking)
		status = transfer_later(t, pointer);
	else if (t->size <= SMALL_MAX || timed || t->region)
		status = transfer_waited(t, pointer);
	else
		status = transfer_in_place(t, pointer);
	/* A transfer larger than all the places for it still has the memory object itself. */
	if (status == CL_OUT_OF_RESOURCES && !t->made && t->size > SMALL_MAX && sl_session_alive(t->queue->session))
		status = t->blocking && !t->region ? transfer_in_place(t, pointer) : transfer_in_turn(t, pointer);
	if (status == CL_SUCCESS && t->earlier != CL_SUCCESS)
		status = t->earlier;
	if (!t->event)
		return status;
	if (status == CL_SUCCESS)
		*event = (cl_event)t->event;
	else
		sl_transfer_abandon(t);
	return status;
}

cl_int CL_API_CALL sl_clEnqueueReadBuffer(cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_read,
					  size_t offset, size_t size, void *ptr, cl_uint num_events_in_wait_list,
					  const cl_event *event_wait_list, cl_event *event)
{
	struct sl_transfer t = {.queue = sl_find(command_queue, SL_QUEUE),
				.mem = sl_find(buffer, SL_MEM),
				.command = CL_COMMAND_READ_BUFFER,
				.blocking = blocking_read,
				.read = true,
				.offset = offset,
				.size = size,
				.wait_count = num_events_in_wait_list,
				.wait_list = event_wait_list};
	if (!t.queue)
		return CL_INVALID_COMMAND_QUEUE;
	if (!t.mem)
		return CL_INVALID_MEM_OBJECT;
	cl_int status = bytes_check(&t, ptr);
	return status == CL_SUCCESS ? sl_transfer(&t, ptr, event) : status;
}

cl_int CL_API_CALL sl_clEnqueueWriteBuffer(cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_write,
					   size_t offset, size_t size, const void *ptr, cl_uint num_events_in_wait_list,
					   const cl_event *event_wait_list, cl_event *event)
{
	struct sl_transfer t = {.queue = sl_find(command_queue, SL_QUEUE),
				.mem = sl_find(buffer, SL_MEM),
				.command = CL_COMMAND_WRITE_BUFFER,
				.blocking = blocking_write,
				.offset = offset,
				.size = size,
				.wait_count = num_events_in_wait_list,
				.wait_list = event_wait_list};
	if (!t.queue)
		return CL_INVALID_COMMAND_QUEUE;
	if (!t.mem)
		return CL_INVALID_MEM_OBJECT;
	cl_int status = bytes_check(&t, ptr);
	return status == CL_SUCCESS ? sl_transfer(&t, (void *)(uintptr_t)ptr, event) : status;
}

/* The pitches of a rectangle as OpenCL 3.0, 5.2.2 fills in those that are 0, or 0 in *span where they do not fit. */
static void rectangle_span(const size_t *origin, const size_t *region, size_t *row_pitch, size_t *slice_pitch,
			   size_t *span)
{
	size_t area, offset;
	*span = 0;
	if (!*row_pitch)
		*row_pitch = region[0];
	if (!*slice_pitch && __builtin_mul_overflow(region[1], *row_pitch, slice_pitch))
		return;
	if (*row_pitch < region[0] || __builtin_mul_overflow(region[1], *row_pitch, &area) || *slice_pitch < area ||
	    *slice_pitch % *row_pitch)
		return;
	size_t last_z, last_y, last_x;
	if (__builtin_add_overflow(origin[2], region[2] - 1, &last_z) ||
	    __builtin_mul_overflow(last_z, *slice_pitch, &offset))
		return;
	if (__builtin_add_overflow(origin[1], region[1] - 1, &last_y) ||
	    __builtin_mul_overflow(last_y, *row_pitch, &area))
		return;
	if (__builtin_add_overflow(origin[0], region[0], &last_x) || __builtin_add_overflow(offset, area, &offset) ||
	    __builtin_add_overflow(offset, last_x, span))
		*span = 0;
}

static cl_int rectangle(struct sl_transfer *t, const size_t *host_origin, size_t host_row_pitch,
			size_t host_slice_pitch, const void *pointer, cl_event *event)
{
	if (!t->queue)
		return CL_INVALID_COMMAND_QUEUE;
	if (!t->mem)
		return CL_INVALID_MEM_OBJECT;
	if (!t->origin || !host_origin || !t->region || !t->region[0] || !t->region[1] || !t->region[2])
		return CL_INVALID_VALUE;
	size_t span, host_span;
	rectangle_span(t->origin, t->region, &t->buffer_row_pitch, &t->buffer_slice_pitch, &span);
	rectangle_span(host_origin, t->region, &host_row_pitch, &host_slice_pitch, &host_span);
	if (!span || !host_span || !pointer)
		return CL_INVALID_VALUE;
	t->size = span;
	cl_int status = bytes_check(t, pointer);
	if (status != CL_SUCCESS)
		return status;
	memcpy(t->layout.region, t->region, sizeof(t->layout.region));
	t->layout.row_pitch = host_row_pitch;
	t->layout.slice_pitch = host_slice_pitch;
	t->size = t->region[0] * t->region[1] * t->region[2];
	size_t start = host_origin[2] * host_slice_pitch + host_origin[1] * host_row_pitch + host_origin[0];
	return sl_transfer(t, (uint8_t *)(uintptr_t)pointer + start, event);
}

cl_int CL_API_CALL sl_clEnqueueReadBufferRect(cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_read,
					      const size_t *buffer_origin, const size_t *host_origin,
					      const size_t *region, size_t buffer_row_pitch, size_t buffer_slice_pitch,
					      size_t host_row_pitch, size_t host_slice_pitch, void *ptr,
					      cl_uint num_events_in_wait_list, const cl_event *event_wait_list,
					      cl_event *event)
{
	struct sl_transfer t = {.queue = sl_find(command_queue, SL_QUEUE),
				.mem = sl_find(buffer, SL_MEM),
				.command = CL_COMMAND_READ_BUFFER_RECT,
				.blocking = blocking_read,
				.read = true,
				.origin = buffer_origin,
				.region = region,
				.buffer_row_pitch = buffer_row_pitch,
				.buffer_slice_pitch = buffer_slice_pitch,
				.wait_count = num_events_in_wait_list,
				.wait_list = event_wait_list};
	return rectangle(&t, host_origin, host_row_pitch, host_slice_pitch, ptr, event);
}

cl_int CL_API_CALL sl_clEnqueueWriteBufferRect(cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_write,
					       const size_t *buffer_origin, const size_t *host_origin,
					       const size_t *region, size_t buffer_row_pitch, size_t buffer_slice_pitch,
					       size_t host_row_pitch, size_t host_slice_pitch, const void *ptr,
					       cl_uint num_events_in_wait_list, const cl_event *event_wait_list,
					       cl_event *event)
{
	struct sl_transfer t = {.queue = sl_find(command_queue, SL_QUEUE),
				.mem = sl_find(buffer, SL_MEM),
				.command = CL_COMMAND_WRITE_BUFFER_RECT,
				.blocking = blocking_write,
				.origin = buffer_origin,
				.region = region,
				.buffer_row_pitch = buffer_row_pitch,
				.buffer_slice_pitch = buffer_slice_pitch,
				.wait_count = num_events_in_wait_list,
				.wait_list = event_wait_list};
	return rectangle(&t, host_origin, host_row_pitch, host_slice_pitch, ptr, event);
}
