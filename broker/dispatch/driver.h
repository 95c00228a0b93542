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
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Maps shared memory, at address where that is not 0. NULL and errno where it cannot be had there.
static inline void *driver_map(int fd, size_t size, uintptr_t address)
{
	void *first = mmap((void *)address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (first == MAP_FAILED)
		return NULL;
	if (!address || first == (void *)address)
		return first;
	munmap(first, size);
	errno = EEXIST;
	return NULL;
}

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

// Where a session's notices go, as long as it is there: a driver may call back late, or never (PoCL 3.1 has no word
// for an event that fails, nor for a state that an event passes by).
struct driver_notices {
	pthread_mutex_t lock;
	int holders;	// the session, and the callbacks that the driver knows
	uint32_t *bell; // NULL when the session is over
};

struct driver_notice {
	struct driver_notices *of;
	uint32_t *words;
	int registered, given;
};

static inline struct driver_notices *driver_notices_new(uint32_t *bell)
{
	struct driver_notices *notices = calloc(1, sizeof(*notices));
	pthread_mutex_init(&notices->lock, NULL);
	notices->holders = 1;
	notices->bell = bell;
	return notices;
}

// Drops one holder of the notices, whose lock is held.
static inline void driver_notices_drop(struct driver_notices *notices)
{
	int holders = --notices->holders;
	pthread_mutex_unlock(&notices->lock);
	if (holders == 0)
		free(notices);
}

// From now on nobody is told.
static inline void driver_notices_end(struct driver_notices *notices)
{
	pthread_mutex_lock(&notices->lock);
	notices->bell = NULL;
	pthread_mutex_unlock(&notices->lock);
}

static inline void driver_notices_close(struct driver_notices *notices)
{
	pthread_mutex_lock(&notices->lock);
	notices->bell = NULL;
	driver_notices_drop(notices);
}

// Called by the driver when an event has reached a state, or its end.
static void CL_CALLBACK driver_notify(cl_event event, cl_int status, void *data)
{
	struct driver_notice *notice = data;
	struct driver_notices *of = notice->of;
	(void)event;
	pthread_mutex_lock(&of->lock);
	if (of->bell && !notice->given) {
		__atomic_store_n(&notice->words[1], (uint32_t)status, __ATOMIC_RELAXED);
		__atomic_store_n(&notice->words[0], 1, __ATOMIC_RELEASE);
		__atomic_add_fetch(of->bell, 1, __ATOMIC_RELEASE);
		driver_wake(of->bell, 1);
	}
	notice->given = 1;
	if (--notice->registered == 0)
		free(notice);
	driver_notices_drop(of);
}

// Asks for an event's end too, where the state comes before it.
static inline cl_int driver_ask_notice(cl_event event, cl_int state, uint32_t *words, struct driver_notices *of)
{
	const int wanted = state == CL_COMPLETE ? 1 : 2;
	struct driver_notice *notice = malloc(sizeof(*notice));
	if (!notice)
		return CL_OUT_OF_HOST_MEMORY;
	*notice = (struct driver_notice){of, words, wanted, 0};
	pthread_mutex_lock(&of->lock);
	of->holders += wanted;
	pthread_mutex_unlock(&of->lock);
	int asked = 0;
	cl_int status = clSetEventCallback(event, state, driver_notify, notice);
	asked += status == CL_SUCCESS;
	if (status == CL_SUCCESS && wanted == 2)
		asked += clSetEventCallback(event, CL_COMPLETE, driver_notify, notice) == CL_SUCCESS;
	if (asked == wanted)
		return status;
	// The callbacks that are missing have no end of their own.
	pthread_mutex_lock(&of->lock);
	of->holders -= wanted - asked;
	notice->registered -= wanted - asked;
	if (notice->registered == 0)
		free(notice);
	pthread_mutex_unlock(&of->lock);
	return status;
}

#endif
