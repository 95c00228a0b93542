/* Objects: the shim names them, counts their references and tells the worker of the last release. */
#include "gen/messages.h"
#include "trace.h"

#include <stdlib.h>

static uint32_t handle_take(struct sl_session *session)
{
	uint32_t handle = 0;
	pthread_mutex_lock(&session->handles);
	if (session->handles_free_count)
		handle = session->handles_free[--session->handles_free_count];
	else if (session->handles_next < SL_HANDLE_MAX)
		handle = session->handles_next++;
	pthread_mutex_unlock(&session->handles);
	return handle;
}

static void handle_give(struct sl_session *session, uint32_t handle)
{
	pthread_mutex_lock(&session->handles);
	session->handles_free[session->handles_free_count++] = handle;
	pthread_mutex_unlock(&session->handles);
}

/* A new object with one reference, which keeps its context and its parent. NULL where memory or handles run out. */
sl_object *sl_object_new(struct sl_session *session, uint32_t kind, sl_object *context, sl_object *parent)
{
	sl_object *object = calloc(1, sizeof(*object));
	if (!object || !(object->handle = handle_take(session))) {
		free(object);
		return NULL;
	}
	object->dispatch = sl_calls;
	object->magic = SL_OBJECT_MAGIC;
	object->kind = kind;
	object->session = session;
	object->serial = atomic_fetch_add_explicit(&session->serial, 1, memory_order_relaxed) + 1;
	object->context = context;
	object->parent = parent;
	atomic_store_explicit(&object->references, 1, memory_order_relaxed);
	atomic_store_explicit(&object->holders, 1, memory_order_relaxed);
	if (context)
		atomic_fetch_add(&context->holders, 1);
	if (parent)
		atomic_fetch_add(&parent->holders, 1);
	return object;
}

/* The event of a command on the queue, or of a user's on the context. */
sl_object *sl_event_new(sl_object *of, cl_command_type command)
{
	bool queued = of->kind == SL_QUEUE;
	sl_object *event = sl_object_new(of->session, SL_EVENT, queued ? of->context : of, queued ? of : NULL);
	if (event)
		event->as.event.command = command;
	return event;
}

static void drop(sl_object *object, bool known);

/* Lets go of the devices that a context was made with, once the worker has heard of its release. */
static void drop_devices(sl_object **devices, cl_uint count)
{
	for (cl_uint i = 0; i < count; i++)
		drop(devices[i], true);
	free(devices);
}

static void drop(sl_object *object, bool known)
{
	while (object && atomic_fetch_sub(&object->holders, 1) == 1) {
		sl_object *parent = object->parent, *context = object->context, **devices = NULL;
		cl_uint device_count = 0;
		struct sl_session *session = object->session;
		sl_destruct(object);
		if (object->kind == SL_MEM)
			sl_mem_retire(object);
		if (object->kind == SL_KERNEL)
			sl_kernel_retire(object);
		if (object->kind == SL_PROGRAM) {
			sl_signatures_forget(object);
			pthread_mutex_destroy(&object->as.program.lock);
		}
		if (object->kind == SL_DEVICE)
			sl_facts_free(&object->as.facts);
		if (object->kind == SL_CONTEXT) {
			devices = object->as.context.devices;
			device_count = object->as.context.given_count;
		}
		if (known)
			(void)sl_send_release(session, NULL, object->kind, object->handle);
		handle_give(session, object->handle);
		object->magic = 0;
		free(object);
		drop_devices(devices, device_count);
		known = true;
		if (context)
			drop(context, true);
		object = parent;
	}
}

/* Forgets an object that the worker never heard of. */
void sl_discard(sl_object *object)
{
	if (object)
		drop(object, false);
}

/* Keeps an object for one that refers to it. */
void sl_hold(sl_object *object)
{
	atomic_fetch_add(&object->holders, 1);
}

void sl_unhold(sl_object *object)
{
	drop(object, true);
}

void sl_retain(sl_object *object)
{
	atomic_fetch_add(&object->references, 1);
}

void sl_release(sl_object *object)
{
	if (atomic_fetch_sub(&object->references, 1) == 1)
		drop(object, true);
}

cl_int sl_check_list(uint32_t kind, cl_uint count, void *const *list, cl_int invalid)
{
	const sl_object *first = count ? sl_find(list[0], kind) : NULL;
	for (cl_uint i = 0; i < count; i++) {
		const sl_object *object = sl_find(list[i], kind);
		if (!object)
			return invalid;
		if (object->context != first->context)
			return CL_INVALID_CONTEXT;
	}
	return CL_SUCCESS;
}

/* OpenCL 3.0, 5.11: a list and its count are both given or both absent, and its events share the queue's context. */
cl_int sl_check_wait_list(const sl_object *of, cl_uint count, const cl_event *list)
{
	if (!count != !list)
		return CL_INVALID_EVENT_WAIT_LIST;
	if (count > SL_LIST_MAX)
		return CL_OUT_OF_RESOURCES;
	for (cl_uint i = 0; i < count; i++) {
		const sl_object *event = sl_find(list[i], SL_EVENT);
		if (!event)
			return CL_INVALID_EVENT_WAIT_LIST;
		if (event->context != of->context)
			return CL_INVALID_CONTEXT;
	}
	return CL_SUCCESS;
}
