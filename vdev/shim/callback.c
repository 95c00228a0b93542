/* Callbacks: events' on a thread of their own, destructors' where the last reference goes. */
#include "gen/calls.h"
#include "gen/messages.h"

#include <stdlib.h>

struct sl_watch {
	struct sl_watch *next;
	sl_object *event;
	uint32_t notice;
	sl_event_callback call;
	void *data;
};

struct sl_destructor {
	struct sl_destructor *next;
	void(CL_CALLBACK *call)(void *, void *);
	void *data;
};

static _Atomic uint32_t *notice_words(struct sl_session *session, uint32_t notice)
{
	return (_Atomic uint32_t *)(void *)(session->segment + SL_NOTICE_OFFSET + (size_t)8 * notice);
}

/* Takes a free notice. Returns false where all are waiting for their events. */
static bool notice_take(struct sl_session *session, uint32_t *notice)
{
	for (uint32_t i = 0; i < SL_NOTICE_COUNT / 64; i++) {
		if (session->notices_taken[i] == UINT64_MAX)
			continue;
		unsigned bit = (unsigned)__builtin_ctzll(~session->notices_taken[i]);
		session->notices_taken[i] |= 1ULL << bit;
		*notice = i * 64 + bit;
		atomic_store(notice_words(session, *notice), 0);
		return true;
	}
	return false;
}

/* Moves the watches whose notices have come to a list of their own; all of them where the session is lost. */
static struct sl_watch *watches_due(struct sl_session *session, bool lost)
{
	struct sl_watch *due = NULL, **end = &due;
	pthread_mutex_lock(&session->watching);
	for (struct sl_watch **link = &session->watches; *link;) {
		struct sl_watch *watch = *link;
		if (!lost && !atomic_load(notice_words(session, watch->notice))) {
			link = &watch->next;
			continue;
		}
		*link = watch->next;
		watch->next = NULL;
		*end = watch;
		end = &watch->next;
	}
	pthread_mutex_unlock(&session->watching);
	return due;
}

static void watch_end(struct sl_session *session, struct sl_watch *watch, bool lost)
{
	cl_int status = lost ? CL_OUT_OF_RESOURCES : (cl_int)atomic_load(notice_words(session, watch->notice) + 1);
	pthread_mutex_lock(&session->watching);
	session->notices_taken[watch->notice / 64] &= ~(1ULL << (watch->notice % 64));
	pthread_mutex_unlock(&session->watching);
	watch->call((cl_event)watch->event, status, watch->data);
	sl_release(watch->event);
	free(watch);
}

/* Runs callbacks for as long as the process lives. What a program sees finished has its bytes, here as anywhere. */
static void *watch_run(void *argument)
{
	struct sl_session *session = argument;
	_Atomic uint32_t *bell = (_Atomic uint32_t *)(void *)(session->segment + SL_WORD_NOTICE);
	for (;;) {
		uint32_t seen = atomic_load(bell);
		bool lost = !sl_session_alive(session);
		struct sl_watch *due = watches_due(session, lost);
		if (!due) {
			if (lost)
				return NULL;
			sl_sleep(bell, seen);
			continue;
		}
		if (!lost && atomic_load(&session->pending_count)) {
			struct sl_slot *slot = sl_slot_take(session);
			(void)sl_finish(session, slot, sl_send_settle(session, slot, 0));
		}
		while (due) {
			struct sl_watch *next = due->next;
			watch_end(session, due, lost);
			due = next;
		}
	}
}

/* Starts the thread at the first watch. The caller holds watching. */
static cl_int watch_start(struct sl_session *session)
{
	pthread_t thread;
	if (session->watcher_runs)
		return CL_SUCCESS;
	if (pthread_create(&thread, NULL, watch_run, session) != 0)
		return CL_OUT_OF_HOST_MEMORY;
	pthread_detach(thread);
	session->watcher_runs = true;
	return CL_SUCCESS;
}

cl_int CL_API_CALL sl_clSetEventCallback(cl_event event, cl_int command_exec_callback_type,
					 sl_event_callback pfn_notify, void *user_data)
{
	sl_object *object = sl_find(event, SL_EVENT);
	if (!object)
		return CL_INVALID_EVENT;
	if (!pfn_notify || command_exec_callback_type < CL_COMPLETE || command_exec_callback_type > CL_SUBMITTED)
		return CL_INVALID_VALUE;
	return sl_watch_event(object, command_exec_callback_type, pfn_notify, user_data);
}

/* Has call run on the thread of callbacks when the event has reached a state, or has failed, or never will. */
cl_int sl_watch_event(sl_object *object, cl_int state, sl_event_callback call, void *data)
{
	struct sl_session *session = object->session;
	struct sl_watch *watch = malloc(sizeof(*watch));
	if (!watch)
		return CL_OUT_OF_HOST_MEMORY;
	*watch = (struct sl_watch){.event = object, .call = call, .data = data};
	pthread_mutex_lock(&session->watching);
	cl_int status = watch_start(session);
	if (status == CL_SUCCESS && !notice_take(session, &watch->notice))
		status = CL_OUT_OF_RESOURCES;
	if (status == CL_SUCCESS) {
		sl_retain(object);
		watch->next = session->watches;
		session->watches = watch;
	}
	uint32_t notice = watch->notice; /* the watch is the thread's from now on, which may end it at once */
	pthread_mutex_unlock(&session->watching);
	if (status != CL_SUCCESS) {
		free(watch);
		return status;
	}
	/* Where the worker is gone, the thread of callbacks sees it. */
	(void)sl_send_notify(session, NULL, object, (uint64_t)(int64_t)state, notice);
	return CL_SUCCESS;
}

static cl_int destructor_add(sl_object *object, void(CL_CALLBACK *call)(void *, void *), void *data)
{
	struct sl_destructor *destructor = malloc(sizeof(*destructor));
	if (!destructor)
		return CL_OUT_OF_HOST_MEMORY;
	*destructor = (struct sl_destructor){.call = call, .data = data};
	destructor->next = atomic_load(&object->destructors);
	while (!atomic_compare_exchange_weak(&object->destructors, &destructor->next, destructor))
		;
	return CL_SUCCESS;
}

/* Calls an object's destructors, the last registered first: OpenCL 3.0, 5.5.3. */
void sl_destruct(sl_object *object)
{
	struct sl_destructor *destructor = atomic_exchange(&object->destructors, NULL);
	while (destructor) {
		struct sl_destructor *next = destructor->next;
		destructor->call(object, destructor->data);
		free(destructor);
		destructor = next;
	}
}

/* The handle types are all pointers, and a destructor of any takes one and the program's data. */
cl_int CL_API_CALL sl_clSetMemObjectDestructorCallback(cl_mem memobj, sl_mem_callback pfn_notify, void *user_data)
{
	sl_object *object = sl_find(memobj, SL_MEM);
	if (!object)
		return CL_INVALID_MEM_OBJECT;
	return pfn_notify
		       ? destructor_add(object, (void(CL_CALLBACK *)(void *, void *))(uintptr_t)pfn_notify, user_data)
		       : CL_INVALID_VALUE;
}

cl_int CL_API_CALL sl_clSetContextDestructorCallback(cl_context context, sl_context_destructor pfn_notify,
						     void *user_data)
{
	sl_object *object = sl_find(context, SL_CONTEXT);
	if (!object)
		return CL_INVALID_CONTEXT;
	return pfn_notify
		       ? destructor_add(object, (void(CL_CALLBACK *)(void *, void *))(uintptr_t)pfn_notify, user_data)
		       : CL_INVALID_VALUE;
}

cl_int CL_API_CALL sl_clSetProgramReleaseCallback(cl_program program, sl_program_callback pfn_notify, void *user_data)
{
	(void)pfn_notify, (void)user_data;
	/* Only for programs of SPIR-V with global destructors, of which no forwarded device has any: OpenCL 3.0, 5.8.3.
	 */
	return sl_find(program, SL_PROGRAM) ? CL_INVALID_OPERATION : CL_INVALID_PROGRAM;
}
