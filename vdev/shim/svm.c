/* Shared virtual memory: places of the arena, which the worker has mapped at the same address. */
#include "gen/calls.h"
#include "gen/messages.h"
#include "turn.h"

#include <stdlib.h>

/* The largest type of OpenCL C, in bytes: OpenCL 3.0, 5.6.1 demands no larger alignment. */
#define ALIGNMENT_MAX 128

/* The place in the list of the last allocation at or before pointer, plus one. */
static size_t allocations_before(const struct sl_session *session, const uint8_t *pointer)
{
	size_t low = 0, high = session->svm_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (session->svm[middle].first <= pointer)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Whether a pointer is of shared virtual memory; room is the bytes from there to its allocation's end. */
bool sl_svm_at(struct sl_session *session, const void *pointer, size_t *room)
{
	const uint8_t *byte = pointer;
	*room = 0;
	if (!session->addresses_equal || byte < session->arena || byte >= session->arena + session->arena_size)
		return false;
	pthread_mutex_lock(&session->svm_lock);
	size_t before = allocations_before(session, byte);
	if (before) {
		const struct sl_svm *found = &session->svm[before - 1];
		size_t offset = (size_t)(byte - found->first);
		*room = offset < found->size ? found->size - offset : 0;
	}
	pthread_mutex_unlock(&session->svm_lock);
	return *room != 0;
}

bool sl_svm_spans(struct sl_session *session, const void *pointer, size_t size)
{
	size_t room;
	return sl_svm_at(session, pointer, &room) && size <= room;
}

static bool allocation_add(struct sl_session *session, uint8_t *first, size_t size)
{
	bool added = true;
	pthread_mutex_lock(&session->svm_lock);
	if (session->svm_count == session->svm_room) {
		size_t room = session->svm_room ? 2 * session->svm_room : 64;
		struct sl_svm *grown = realloc(session->svm, room * sizeof(*grown));
		if (grown) {
			session->svm = grown;
			session->svm_room = room;
		}
		added = grown != NULL;
	}
	if (added) {
		size_t at = allocations_before(session, first);
		memmove(session->svm + at + 1, session->svm + at, (session->svm_count++ - at) * sizeof(struct sl_svm));
		session->svm[at] = (struct sl_svm){first, size};
	}
	pthread_mutex_unlock(&session->svm_lock);
	return added;
}

static bool allocation_take(struct sl_session *session, const void *first)
{
	pthread_mutex_lock(&session->svm_lock);
	size_t before = allocations_before(session, first);
	bool found = before && session->svm[before - 1].first == first;
	if (found)
		memmove(session->svm + before - 1, session->svm + before,
			(session->svm_count-- - before) * sizeof(struct sl_svm));
	pthread_mutex_unlock(&session->svm_lock);
	return found;
}

/* OpenCL 3.0, 5.6.1: what an allocation refuses. */
static bool allocation_valid(const sl_object *context, cl_svm_mem_flags flags, size_t size, cl_uint alignment)
{
	const cl_svm_mem_flags access = CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY,
			       fine = CL_MEM_SVM_FINE_GRAIN_BUFFER, atomics = CL_MEM_SVM_ATOMICS;
	cl_device_svm_capabilities has = sl_context_number(context, CL_DEVICE_SVM_CAPABILITIES);
	cl_svm_mem_flags accesses = flags & access;
	if ((flags & ~(access | fine | atomics)) || (accesses & (accesses - 1)))
		return false;
	if ((flags & fine && !(has & CL_DEVICE_SVM_FINE_GRAIN_BUFFER)) ||
	    (flags & atomics && !(flags & fine && has & CL_DEVICE_SVM_ATOMICS)))
		return false;
	if (alignment & (alignment - 1) || alignment > ALIGNMENT_MAX)
		return false;
	return has && size && size <= sl_context_number(context, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
}

void *CL_API_CALL sl_clSVMAlloc(cl_context context, cl_svm_mem_flags flags, size_t size, cl_uint alignment)
{
	sl_object *object = sl_find(context, SL_CONTEXT);
	if (!object || !object->session->addresses_equal)
		return NULL;
	struct sl_session *session = object->session;
	if (!allocation_valid(object, flags, size, alignment) || sl_credit_take(object, size) != CL_SUCCESS)
		return NULL;
	uint64_t offset = 0;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_clSVMAlloc(session, slot, object, size));
	memcpy(&offset, slot->payload, sizeof(offset));
	sl_slot_give(session, slot);
	if (status != CL_SUCCESS) {
		sl_credit_give(object, size);
		return NULL;
	}
	if (offset > session->arena_size || size > session->arena_size - offset)
		return NULL;
	uint8_t *first = session->arena + offset;
	if (allocation_add(session, first, size))
		return first;
	(void)sl_send_clSVMFree(session, NULL, first);
	return NULL;
}

void CL_API_CALL sl_clSVMFree(cl_context context, void *svm_pointer)
{
	sl_object *object = sl_find(context, SL_CONTEXT);
	if (object && svm_pointer && allocation_take(object->session, svm_pointer))
		(void)sl_send_clSVMFree(object->session, NULL, svm_pointer);
}

/* The queue of a command on shared virtual memory. */
static cl_int svm_queue(cl_command_queue command_queue, sl_object **queue)
{
	*queue = sl_find(command_queue, SL_QUEUE);
	if (!*queue)
		return CL_INVALID_COMMAND_QUEUE;
	return (*queue)->session->addresses_equal ? CL_SUCCESS : CL_INVALID_OPERATION;
}

/* Checks what a command waits for, and makes the event that the program wants of it. */
static cl_int event_begin(sl_object *queue, cl_command_type command, cl_uint wait_count, const cl_event *wait_list,
			  const cl_event *event, sl_object **made_event)
{
	cl_int status = sl_check_wait_list(queue, wait_count, wait_list);
	if (status == CL_SUCCESS && event && !(*made_event = sl_event_new(queue, command)))
		status = CL_OUT_OF_HOST_MEMORY;
	return status;
}

/* Hands the event of a command to the program, or gives it up. */
static cl_int event_end(sl_object *made_event, cl_int status, bool made, cl_event *event)
{
	if (status == CL_SUCCESS && event)
		*event = (cl_event)made_event;
	else if (made_event && made)
		sl_release(made_event);
	else
		sl_discard(made_event);
	return status;
}

/* A free that waits for its turn. */
struct later_free {
	sl_object *queue;
	sl_svm_free_callback call;
	void *data;
	cl_uint count;
	void *pointers[];
};

static void later_free(void *data, const struct sl_turn_bytes *bytes)
{
	struct later_free *later = data;
	(void)bytes;
	if (later->call)
		later->call((cl_command_queue)later->queue, later->count, later->pointers, later->data);
	for (cl_uint i = 0; !later->call && i < later->count; i++)
		sl_clSVMFree((cl_context)later->queue->context, later->pointers[i]);
}

static void later_free_forget(void *data)
{
	sl_unhold(((struct later_free *)data)->queue);
	free(data);
}

cl_int CL_API_CALL sl_clEnqueueSVMFree(cl_command_queue command_queue, cl_uint num_svm_pointers, void **svm_pointers,
				       sl_svm_free_callback pfn_free_func, void *user_data,
				       cl_uint num_events_in_wait_list, const cl_event *event_wait_list,
				       cl_event *event)
{
	sl_object *queue, *made_event = NULL;
	cl_int status = svm_queue(command_queue, &queue);
	if (status != CL_SUCCESS)
		return status;
	if (!num_svm_pointers || !svm_pointers)
		return CL_INVALID_VALUE;
	status = event_begin(queue, CL_COMMAND_SVM_FREE, num_events_in_wait_list, event_wait_list, event, &made_event);
	if (status != CL_SUCCESS)
		return status;
	size_t size = num_svm_pointers * sizeof(void *);
	struct later_free *later = malloc(sizeof(*later) + size);
	if (!later)
		return event_end(made_event, CL_OUT_OF_HOST_MEMORY, false, event);
	*later = (struct later_free){queue, pfn_free_func, user_data, num_svm_pointers};
	memcpy(later->pointers, svm_pointers, size);
	sl_hold(queue);
	const struct sl_turn turn = {.queue = queue,
				     .wait_count = num_events_in_wait_list,
				     .wait_list = event_wait_list,
				     .event = made_event,
				     .work = later_free,
				     .data = later,
				     .forget = later_free_forget};
	bool made;
	status = sl_turn_take(&turn, false, &made);
	return event_end(made_event, status, made, event);
}

/* A copy from or to memory that is the program's alone. */
struct copy {
	void *to;
	const void *from;
	size_t size;
};

static void copy(void *data, const struct sl_turn_bytes *bytes)
{
	const struct copy *c = data;
	(void)bytes;
	memcpy(c->to, c->from, c->size);
}

static cl_int copy_in_turn(struct sl_turn *turn, struct copy what, bool blocking, bool *made)
{
	struct copy *kept = malloc(sizeof(*kept));
	if (!kept)
		return CL_OUT_OF_HOST_MEMORY;
	*kept = what;
	turn->work = copy;
	turn->data = kept;
	turn->forget = free;
	return sl_turn_take(turn, blocking, made);
}

cl_int CL_API_CALL sl_clEnqueueSVMMemcpy(cl_command_queue command_queue, cl_bool blocking_copy, void *dst_ptr,
					 const void *src_ptr, size_t size, cl_uint num_events_in_wait_list,
					 const cl_event *event_wait_list, cl_event *event)
{
	sl_object *queue, *made_event = NULL;
	cl_int status = svm_queue(command_queue, &queue);
	if (status != CL_SUCCESS)
		return status;
	struct sl_session *session = queue->session;
	if (!dst_ptr || !src_ptr || !size)
		return CL_INVALID_VALUE;
	uintptr_t to = (uintptr_t)dst_ptr, from = (uintptr_t)src_ptr;
	if ((to >= from ? to - from : from - to) < size)
		return CL_MEM_COPY_OVERLAP;
	status =
		event_begin(queue, CL_COMMAND_SVM_MEMCPY, num_events_in_wait_list, event_wait_list, event, &made_event);
	if (status != CL_SUCCESS)
		return status;
	bool made = false;
	if (!sl_svm_spans(session, dst_ptr, size) || !sl_svm_spans(session, src_ptr, size)) {
		struct sl_turn turn = {.queue = queue,
				       .wait_count = num_events_in_wait_list,
				       .wait_list = event_wait_list,
				       .event = made_event};
		status = copy_in_turn(&turn, (struct copy){dst_ptr, src_ptr, size}, blocking_copy, &made);
		return event_end(made_event, status, made, event);
	}
	struct sl_slot *slot = blocking_copy ? sl_slot_take(session) : NULL;
	status = sl_send_clEnqueueSVMMemcpy(session, slot, queue, blocking_copy, dst_ptr, src_ptr, size,
					    num_events_in_wait_list, event_wait_list, made_event);
	if (slot)
		status = sl_finish_command(session, slot, status, &made);
	return event_end(made_event, status, made, event);
}

cl_int CL_API_CALL sl_clEnqueueSVMMap(cl_command_queue command_queue, cl_bool blocking_map, cl_map_flags flags,
				      void *svm_ptr, size_t size, cl_uint num_events_in_wait_list,
				      const cl_event *event_wait_list, cl_event *event)
{
	const cl_map_flags known = CL_MAP_READ | CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION;
	sl_object *queue, *made_event = NULL;
	cl_int status = svm_queue(command_queue, &queue);
	if (status != CL_SUCCESS)
		return status;
	struct sl_session *session = queue->session;
	if (flags & ~known || ((flags & CL_MAP_WRITE_INVALIDATE_REGION) && (flags & (CL_MAP_READ | CL_MAP_WRITE))) ||
	    !size || !sl_svm_spans(session, svm_ptr, size))
		return CL_INVALID_VALUE;
	status = event_begin(queue, CL_COMMAND_SVM_MAP, num_events_in_wait_list, event_wait_list, event, &made_event);
	if (status != CL_SUCCESS)
		return status;
	bool made = false;
	struct sl_slot *slot = blocking_map ? sl_slot_take(session) : NULL;
	status = sl_send_clEnqueueSVMMap(session, slot, queue, blocking_map, flags, svm_ptr, size,
					 num_events_in_wait_list, event_wait_list, made_event);
	if (slot)
		status = sl_finish_command(session, slot, status, &made);
	return event_end(made_event, status, made, event);
}

cl_int CL_API_CALL sl_clEnqueueSVMMigrateMem(cl_command_queue command_queue, cl_uint num_svm_pointers,
					     const void **svm_pointers, const size_t *sizes,
					     cl_mem_migration_flags flags, cl_uint num_events_in_wait_list,
					     const cl_event *event_wait_list, cl_event *event)
{
	sl_object *queue, *made_event = NULL;
	cl_int status = svm_queue(command_queue, &queue);
	if (status != CL_SUCCESS)
		return status;
	struct sl_session *session = queue->session;
	if (!num_svm_pointers || !svm_pointers || num_svm_pointers > SL_LIST_MAX)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < num_svm_pointers; i++)
		if (!sl_svm_spans(session, svm_pointers[i], sizes ? sizes[i] : 0))
			return CL_INVALID_VALUE;
	status = event_begin(queue, CL_COMMAND_SVM_MIGRATE_MEM, num_events_in_wait_list, event_wait_list, event,
			     &made_event);
	if (status != CL_SUCCESS)
		return status;
	size_t words = num_svm_pointers * sizeof(void *);
	status = sl_send_clEnqueueSVMMigrateMem(session, NULL, queue, words, svm_pointers, sizes ? words : 0, sizes,
						flags, num_events_in_wait_list, event_wait_list, made_event);
	return event_end(made_event, status, false, event);
}

cl_int CL_API_CALL sl_clSetKernelArgSVMPointer(cl_kernel kernel, cl_uint arg_index, const void *arg_value)
{
	sl_object *object = sl_find(kernel, SL_KERNEL);
	if (!object)
		return CL_INVALID_KERNEL;
	struct sl_session *session = object->session;
	if (!session->addresses_equal)
		return CL_INVALID_OPERATION;
	const struct sl_signature *signature = object->as.kernel.signature;
	if (arg_index >= signature->argument_count)
		return CL_INVALID_ARG_INDEX;
	if (signature->arguments[arg_index].form != SL_ARGUMENT_BUFFER ||
	    (arg_value && !sl_svm_spans(session, arg_value, 1)))
		return CL_INVALID_ARG_VALUE;
	cl_int status = sl_send_clSetKernelArgSVMPointer(session, NULL, object, arg_index, arg_value);
	if (status == CL_SUCCESS)
		sl_argument_given(object, arg_index);
	return status;
}

cl_int CL_API_CALL sl_clSetKernelExecInfo(cl_kernel kernel, cl_kernel_exec_info param_name, size_t param_value_size,
					  const void *param_value)
{
	sl_object *object = sl_find(kernel, SL_KERNEL);
	if (!object)
		return CL_INVALID_KERNEL;
	struct sl_session *session = object->session;
	if (!session->addresses_equal)
		return CL_INVALID_OPERATION;
	/* No pointers at all take those back that were set before. */
	bool none = param_name == CL_KERNEL_EXEC_INFO_SVM_PTRS && !param_value_size;
	if (!param_value != none)
		return CL_INVALID_VALUE;
	if (param_name == CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM) {
		cl_bool wanted;
		if (param_value_size != sizeof(wanted))
			return CL_INVALID_VALUE;
		memcpy(&wanted, param_value, sizeof(wanted));
		return wanted ? CL_INVALID_OPERATION : CL_SUCCESS;
	}
	size_t count = param_value_size / sizeof(void *);
	if (param_name != CL_KERNEL_EXEC_INFO_SVM_PTRS || param_value_size % sizeof(void *) || count > SL_LIST_MAX)
		return CL_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		void *pointer;
		memcpy(&pointer, (const uint8_t *)param_value + i * sizeof(pointer), sizeof(pointer));
		if (!sl_svm_spans(session, pointer, 1))
			return CL_INVALID_VALUE;
	}
	struct sl_slot *slot = sl_slot_take(session);
	return sl_finish(session, slot,
			 sl_send_clSetKernelExecInfo(session, slot, object, param_value_size, param_value));
}
