// What the dispatcher needs of C: the driver's API, scratch memory outside the
// Go heap, and the waits on shared words.
#ifndef DISPATCH_DRIVER_H
#define DISPATCH_DRIVER_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#include <CL/cl.h>
#include <linux/futex.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

// Spins until *word differs from value, at most rounds times. Returns whether it does.
static inline int driver_spin(const uint64_t *word, uint64_t value, uint32_t rounds)
{
	for (uint32_t i = 0; i < rounds; i++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
			return 1;
#if defined(__x86_64__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#endif
	}
	return 0;
}

// Sleeps while *word is value.
static inline void driver_sleep(uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static inline void driver_wake(uint32_t *word, int sleepers)
{
	syscall(SYS_futex, word, FUTEX_WAKE, sleepers, NULL, NULL, 0);
}

// The member is of a union without a name, which Go cannot spell.
static inline void driver_image_from(cl_image_desc *description, cl_mem from)
{
	description->mem_object = from;
}

// Whether an event has ended with an error.
static inline int driver_failed(cl_event event)
{
	cl_int state = CL_QUEUED;
	return clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL) != CL_SUCCESS ||
	       state < 0;
}

static inline int driver_any_failed(cl_uint count, const cl_event *events)
{
	for (cl_uint i = 0; i < count; i++)
		if (driver_failed(events[i]))
			return 1;
	return 0;
}

// An event like that of a command that was ended because the event that it waits for has failed.
static inline cl_event driver_failed_like(cl_event event)
{
	cl_context context;
	cl_event made = NULL;
	if (clGetEventInfo(event, CL_EVENT_CONTEXT, sizeof(context), &context, NULL) == CL_SUCCESS)
		made = clCreateUserEvent(context, NULL);
	if (made)
		clSetUserEventStatus(made, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	return made;
}

// Called by the driver when it has let go of a buffer's bytes.
static void CL_CALLBACK driver_let_go(cl_mem memobj, void *flag)
{
	(void)memobj;
	__atomic_store_n((uint32_t *)flag, 1, __ATOMIC_RELEASE);
}

static inline cl_int driver_watch(cl_mem memobj, uint32_t *flag)
{
	return clSetMemObjectDestructorCallback(memobj, driver_let_go, flag);
}

// What a notice needs; freed when the driver can know it no more.
struct driver_notice {
	uint32_t *words;
	uint32_t *bell;
	uint32_t *outstanding;
	int registered, given;
};

static inline void driver_notice_drop(struct driver_notice *notice)
{
	if (__atomic_sub_fetch(&notice->registered, 1, __ATOMIC_ACQ_REL) == 0)
		free(notice);
}

static inline void driver_notice_give(struct driver_notice *notice, cl_int status)
{
	if (__atomic_exchange_n(&notice->given, 1, __ATOMIC_ACQ_REL))
		return;
	__atomic_store_n(&notice->words[1], (uint32_t)status, __ATOMIC_RELAXED);
	__atomic_store_n(&notice->words[0], 1, __ATOMIC_RELEASE);
	__atomic_add_fetch(notice->bell, 1, __ATOMIC_RELEASE);
	driver_wake(notice->bell, 1);
}

// Called by the driver when an event has reached a state before its end. A driver may pass a state by without a word
// (PoCL 3.1 does); the notice's few bytes then stay.
static void CL_CALLBACK driver_notify_state(cl_event event, cl_int status, void *data)
{
	(void)event;
	driver_notice_give(data, status);
	driver_notice_drop(data);
}

// Called by the driver at an event's end: the last that the session's memory is needed for.
static void CL_CALLBACK driver_notify_end(cl_event event, cl_int status, void *data)
{
	struct driver_notice *notice = data;
	(void)event;
	driver_notice_give(notice, status);
	__atomic_sub_fetch(notice->outstanding, 1, __ATOMIC_RELEASE);
	driver_notice_drop(notice);
}

static inline cl_int driver_ask_notice(cl_event event, cl_int state, uint32_t *words, uint32_t *bell,
				       uint32_t *outstanding)
{
	struct driver_notice *notice = malloc(sizeof(*notice));
	if (!notice)
		return CL_OUT_OF_HOST_MEMORY;
	*notice = (struct driver_notice){words, bell, outstanding, 2, 0};
	__atomic_add_fetch(outstanding, 1, __ATOMIC_ACQ_REL);
	cl_int status = CL_SUCCESS;
	if (state == CL_COMPLETE ||
	    (status = clSetEventCallback(event, state, driver_notify_state, notice)) != CL_SUCCESS)
		driver_notice_drop(notice);
	if (status == CL_SUCCESS)
		status = clSetEventCallback(event, CL_COMPLETE, driver_notify_end, notice);
	if (status != CL_SUCCESS) {
		__atomic_sub_fetch(outstanding, 1, __ATOMIC_RELEASE);
		driver_notice_drop(notice);
	}
	return status;
}

#endif
