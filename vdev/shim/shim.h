/*
 * The Sluice shim: an OpenCL driver that forwards each call to a worker.
 *
 * Lock order: session.c's connecting, then a session's watching, then its staging, then its
 * handles, then its ring; making and svm_lock are taken last. No lock is held while a caller's code runs.
 */
#ifndef SL_SHIM_H
#define SL_SHIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#define CL_USE_DEPRECATED_OPENCL_2_1_APIS
#define CL_USE_DEPRECATED_OPENCL_2_2_APIS
#include <CL/cl.h>
#include <CL/cl_icd.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gen/wire.h"
#include "versions.h"

#define SL_OBJECT_MAGIC 0x534c4f42U
#define SL_ARGUMENTS_MAX 256
#define SL_CONFIRMED_MAX 4

typedef void(CL_CALLBACK *sl_context_callback)(const char *, const void *, size_t, void *);
typedef void(CL_CALLBACK *sl_context_destructor)(cl_context, void *);
typedef void(CL_CALLBACK *sl_program_callback)(cl_program, void *);
typedef void(CL_CALLBACK *sl_event_callback)(cl_event, cl_int, void *);
typedef void(CL_CALLBACK *sl_mem_callback)(cl_mem, void *);
typedef void(CL_CALLBACK *sl_native_kernel)(void *);
typedef void(CL_CALLBACK *sl_svm_free_callback)(cl_command_queue, cl_uint, void **, void *);

typedef struct sl_object sl_object;

/* A property list as the program gave it, ended by 0; none where count is 0. */
struct sl_properties {
	uint32_t count;
	uint64_t list[16];
};

/* How a region lies in the program's memory, and in a place, which holds it without gaps where its pitches are 0. */
struct sl_layout {
	size_t region[3]; /* bytes of a row, rows, slices; all 0 for plain bytes */
	size_t row_pitch, slice_pitch;
	size_t place_row_pitch, place_slice_pitch;
};

struct sl_mapping {
	struct sl_mapping *next;
	void *pointer;
	size_t offset, size;
	cl_map_flags flags;
	bool unsent; /* the driver knows nothing of it */
	struct sl_layout layout;
};

/* What makes a memory object an image: OpenCL 3.0, 5.3. */
struct sl_image {
	cl_image_format format;
	cl_image_desc description;
	size_t element_size;
	size_t row_pitch, slice_pitch; /* of the program's memory, or without gaps */
};

/* An image that the driver has made; the like of it, and smaller ones, need not be asked for. */
struct sl_made_image {
	uint32_t wholes; /* of its context; 0 where there is none */
	cl_mem_flags flags;
	cl_image_format format;
	cl_mem_object_type type;
	size_t most[4]; /* width, height, depth, layers */
};

/* A launch that the driver has accepted; the like of it need not be asked again. */
struct sl_launch {
	cl_uint work_dim;
	bool has_local;
	size_t local[3];
	size_t local_bytes; /* of the kernel's arguments */
};

/* One info query that was answered when the session began, or when the sub-device was made. */
struct sl_fact {
	uint32_t parameter;
	uint32_t length;
	const uint8_t *value;
};

struct sl_facts {
	uint8_t *data;
	struct sl_fact *list; /* sorted by parameter */
	size_t count;
};

struct sl_argument {
	uint32_t form;		 /* SL_ARGUMENT_* */
	_Atomic size_t accepted; /* a size that the driver has accepted, plus one */
};

/* What the driver has said of a program's kernels of one name. */
struct sl_signature {
	struct sl_signature *next;
	_Atomic uint32_t holders; /* the program, until it is built again, and kernels */
	char *name;
	cl_uint argument_count;
	struct sl_argument *arguments;
	pthread_mutex_t lock; /* guards the launches */
	unsigned next_launch;
	struct sl_launch launches[SL_CONFIRMED_MAX];
};

/* What one kernel's argument was set to. */
struct sl_set {
	bool given;
	bool pending; /* the worker has not heard of it; then handle is held */
	bool kept;    /* value, or serial, says what it is */
	size_t size;
	uint64_t serial;   /* of the handle's object; 0 for NULL */
	sl_object *handle; /* while pending */
	uint8_t value[16];
};

struct sl_object {
	const struct _cl_icd_dispatch *dispatch; /* first: the loader calls through it */
	void *dispatch_data;			 /* second: cl_khr_icd 2.0.0 */
	uint32_t magic;
	uint32_t kind;
	uint32_t handle;
	uint64_t serial;	     /* no other object of the session has or had it; from 1 */
	_Atomic uint32_t references; /* what the program has retained */
	_Atomic uint32_t holders;    /* objects that refer to this one, plus one while references > 0 */
	struct sl_session *session;
	sl_object *context;
	struct sl_destructor *_Atomic destructors;
	sl_object *parent; /* of a sub-buffer, kernel, event, queue or sub-device: buffer, program, queue, device */
	union {
		struct sl_facts facts; /* of the platform or a device */
		struct {
			struct sl_properties properties;
			/* Those that the program gave, which the context keeps, and behind them those that it has. */
			sl_object **devices;
			cl_uint given_count, device_count;
			uint32_t wholes; /* a bit for each of the session's devices that those given are of */
		} context;
		struct {
			cl_bool normalized;
			cl_addressing_mode addressing;
			cl_filter_mode filter;
			struct sl_properties properties;
		} sampler;
		struct {
			cl_command_queue_properties flags;
			struct sl_properties properties;
			/* The session's ring lock guards these. */
			uint64_t sent, over; /* commands; of those sent, how many are surely over */
			bool taken;	     /* a thread stands in for the next command */
			bool fed, several;   /* by some thread; by more than one */
			pthread_t feeder;
		} queue;
		struct {
			cl_mem_flags flags;
			size_t size, origin;
			void *host_pointer;
			bool shared;		/* a buffer of shared virtual memory */
			bool has_properties;	/* made with an empty list of properties, not with none */
			_Atomic uint64_t place; /* arena offset plus one; 0 while unknown */
			pthread_mutex_t lock;
			struct sl_image *image; /* NULL of a buffer */
			struct sl_mapping *mappings;
			cl_uint map_count;
		} mem;
		struct {
			bool includes;	      /* its source has the word */
			pthread_mutex_t lock; /* guards the signatures */
			struct sl_signature *signatures;
		} program;
		struct {
			struct sl_signature *signature;
			struct sl_set *set; /* one an argument */
			cl_uint unset;	    /* arguments that are not given */
			size_t local_bytes;
			pthread_mutex_t lock; /* of launches that send what is pending */
			_Atomic cl_uint pending;
			_Atomic bool launched; /* the driver has accepted a launch, so that all arguments are given */
		} kernel;
		struct {
			cl_command_type command;
			_Atomic int complete;
			_Atomic uint64_t timed; /* a bit for each of the times that is known for good */
			_Atomic uint64_t times[SL_TIME_COUNT];
		} event;
	} as;
};

/* A place in the staging window, in order of allocation. */
struct sl_staged {
	uint32_t begin, size;
	uint32_t ticket; /* plus one; 0 where the place is free again at once */
	bool left;
};

/* A read whose bytes wait to be copied to the program's memory. */
struct sl_pending {
	struct sl_pending *next;
	uint32_t ticket;
	uint32_t place;
	uint64_t offset;
	size_t size;
	struct sl_layout layout;
	void *destination; /* NULL for a write, of which only the place is to be given back */
	struct sl_staged *staged;
};

/* An allocation of shared virtual memory. */
struct sl_svm {
	uint8_t *first;
	size_t size;
};

#define SL_STAGED_MAX 1024

struct sl_session {
	int connection;
	_Atomic bool lost;
	uint8_t *segment;
	uint8_t *arena;
	uint64_t arena_size;
	bool addresses_equal; /* the arena's, here and in the worker: there can be shared virtual memory */
	sl_object platform, devices[SL_DEVICES_MAX];
	cl_uint device_count;

	pthread_mutex_t svm_lock;
	struct sl_svm *svm; /* by address */
	size_t svm_count, svm_room;

	pthread_mutex_t ring;
	pthread_cond_t untaken; /* a queue is not taken any more */
	uint64_t head;
	/* 1 where the devices work on buffers, and on images, in place, -1 where not, 0 while it is unknown */
	_Atomic int in_place, images_in_place;

	pthread_mutex_t making;
	struct sl_made_image made_images[SL_CONFIRMED_MAX];
	unsigned next_made_image;

	sem_t slots_free;
	_Atomic uint64_t slots_taken;
	_Atomic uint32_t spin;

	pthread_mutex_t handles;
	uint32_t *handles_free;
	uint32_t handles_free_count, handles_next;

	pthread_mutex_t staging;
	uint32_t staging_head, staging_used;
	struct sl_staged staged[SL_STAGED_MAX];
	uint32_t staged_first, staged_count;
	uint64_t tickets_taken[SL_TICKET_COUNT / 64];
	_Atomic uint32_t pending_count;
	struct sl_pending *pending;
	struct sl_pending pending_by_ticket[SL_TICKET_COUNT];

	_Atomic int64_t credit[SL_DEVICES_MAX]; /* bytes of each device */
	_Atomic uint64_t serial;		/* the last object's */

	pthread_mutex_t watching;
	bool watcher_runs;
	struct sl_watch *watches;
	uint64_t notices_taken[SL_NOTICE_COUNT / 64];
};

struct sl_slot {
	_Atomic uint32_t state;
	int32_t status;
	uint32_t length;
	uint32_t elsewhere; /* 1: the payload is an arena offset */
	uint8_t payload[SL_SLOT_PAYLOAD];
};

struct sl_function {
	const char *name;
	size_t offset; /* in the dispatch table */
};

extern const struct _cl_icd_dispatch sl_dispatch;
extern const struct sl_function sl_functions[];

/* session.c */
struct sl_session *sl_session(void);
void sl_sleep(_Atomic uint32_t *word, uint32_t value);
bool sl_session_alive(struct sl_session *session);
uint8_t *sl_begin(struct sl_session *session, size_t size, sl_object *queue);
void sl_end(struct sl_session *session, uint8_t *frame, uint8_t *end, uint32_t call, struct sl_slot *slot);
struct sl_slot *sl_slot_take(struct sl_session *session);
void sl_slot_give(struct sl_session *session, struct sl_slot *slot);
cl_int sl_wait(struct sl_session *session, struct sl_slot *slot, cl_int sent);
cl_int sl_finish(struct sl_session *session, struct sl_slot *slot, cl_int sent);
cl_int sl_finish_command(struct sl_session *session, struct sl_slot *slot, cl_int sent, bool *made);
cl_int sl_place(struct sl_session *session, size_t length, const void *bytes, uint64_t *offset);
cl_int sl_reserve(struct sl_session *session, size_t size, uint64_t *offset);
void sl_unreserve(struct sl_session *session, uint64_t offset);
const uint8_t *sl_reply(struct sl_session *session, struct sl_slot *slot, size_t *length);

/* queue.c */
bool sl_queue_in_order(const sl_object *queue);
void sl_queue_feed(sl_object *queue);
bool sl_queue_take(sl_object *queue);
void sl_queue_leave(sl_object *queue);
bool sl_queue_stands_in(const sl_object *queue, cl_uint wait_count, const sl_object *event);
cl_int sl_event_over(const sl_object *event, bool *made);
bool sl_queue_take_after(sl_object *queue, bool waits, cl_int *earlier);

/* connect.c */
struct sl_welcome {
	uint32_t device_count;
	uint64_t arena_size, credit;
	uint64_t arena_address; /* 0: any */
	int segment, arena;	/* descriptors */
};
int sl_connect(struct sl_welcome *welcome);

/* callback.c */
void sl_destruct(sl_object *object);
cl_int sl_watch_event(sl_object *event, cl_int state, sl_event_callback call, void *data);

/* object.c */
sl_object *sl_object_new(struct sl_session *session, uint32_t kind, sl_object *context, sl_object *parent);
sl_object *sl_event_new(sl_object *of, cl_command_type command);
void sl_discard(sl_object *object);
void sl_hold(sl_object *object);
void sl_unhold(sl_object *object);
void sl_retain(sl_object *object);
void sl_release(sl_object *object);
cl_int sl_check_list(uint32_t kind, cl_uint count, void *const *list, cl_int invalid);
cl_int sl_check_wait_list(const sl_object *of, cl_uint count, const cl_event *list);

/* info.c */
void sl_facts_free(struct sl_facts *facts);
cl_int sl_info(const void *value, size_t length, size_t size, void *out, size_t *size_ret);
cl_int sl_info_reply(struct sl_session *session, struct sl_slot *slot, cl_int sent, size_t size, void *out,
		     size_t *size_ret);
cl_int sl_describe(sl_object *device, sl_object *platform);
const struct sl_fact *sl_fact(const sl_object *object, uint32_t parameter);
uint64_t sl_device_number(const sl_object *device, uint32_t parameter, uint64_t otherwise);

/* device.c */
cl_int sl_devices_check(cl_uint count, const cl_device_id *list);

/* context.c */
sl_object *const *sl_context_devices(const sl_object *context);
uint64_t sl_context_number(const sl_object *context, uint32_t parameter);
cl_int sl_context_devices_info(const sl_object *context, const uint8_t *handles, size_t length, size_t size, void *out,
			       size_t *size_ret);
cl_int sl_properties_copy(struct sl_properties *to, const uint64_t *list);
cl_int sl_properties_info(const struct sl_properties *p, size_t element, size_t size, void *out, size_t *size_ret);

/* memory.c */
bool sl_mem_spans(const sl_object *mem, size_t offset, size_t size);
bool sl_mem_overlap(const sl_object *a, size_t a_offset, const sl_object *b, size_t b_offset, size_t size);
bool sl_mem_misaligned(const sl_object *mem, const sl_object *queue);
cl_int sl_credit_take(const sl_object *context, size_t size);
void sl_credit_give(const sl_object *context, size_t size);
cl_int sl_mem_check_flags(cl_mem_flags flags, const void *host_ptr);
sl_object *sl_mem_new(sl_object *context, sl_object *parent, cl_mem_flags flags, size_t size);
cl_int sl_mem_place(sl_object *mem, uint8_t **bytes);
bool sl_mem_in_place(sl_object *mem, size_t size, uint8_t **bytes);
void sl_mem_retire(sl_object *mem);

/* image.c */
size_t sl_image_span(const struct sl_image *image);
bool sl_image_sliced(const struct sl_image *image);
void sl_image_layout(const struct sl_image *image, const size_t *region, struct sl_layout *layout);
size_t sl_image_host_offset(const struct sl_image *image, const size_t *origin);
bool sl_image_holds(const struct sl_image *image, const size_t *origin, const size_t *region);
size_t sl_image_place_offset(const struct sl_image *image, const size_t *origin, size_t *row_pitch,
			     size_t *slice_pitch);

/* svm.c */
bool sl_svm_at(struct sl_session *session, const void *pointer, size_t *room);
bool sl_svm_spans(struct sl_session *session, const void *pointer, size_t size);

/* staging.c */
bool sl_stage(struct sl_session *session, size_t size, bool keep, struct sl_pending *pending);
void sl_unstage(struct sl_session *session, struct sl_pending *pending);
cl_int sl_stage_large(struct sl_session *session, size_t size, struct sl_pending *pending);
void sl_layout_copy(const struct sl_layout *layout, size_t size, uint8_t *program, uint8_t *place, bool to_program);
void sl_stage_copy(struct sl_session *session, const struct sl_pending *pending, uint8_t *program);
uint8_t *sl_pending_bytes(struct sl_session *session, const struct sl_pending *pending);
void sl_pending_add(struct sl_session *session, const struct sl_pending *pending);
void sl_collect(struct sl_session *session);

/* signature.c */
struct sl_signature *sl_signature_hold(struct sl_signature *signature);
void sl_signature_drop(struct sl_signature *signature);
/* The signature of the program's kernels of a name, held for the caller; NULL where none is known. */
struct sl_signature *sl_signature_find(sl_object *program, const char *name);
/* Makes a signature from the worker's answer to a kernel's creation; held for the caller. */
struct sl_signature *sl_signature_learn(sl_object *program, const char *name, const uint8_t *reply, size_t length,
					cl_int *status);
/* Forgets all signatures of a program that is to be built. */
void sl_signatures_forget(sl_object *program);
bool sl_launch_known(struct sl_signature *signature, const struct sl_launch *launch);
void sl_launch_remember(struct sl_signature *signature, const struct sl_launch *launch);

/* argument.c */
cl_int sl_arguments_send(sl_object *kernel);
void sl_argument_given(sl_object *kernel, cl_uint index);
void sl_arguments_forget(sl_object *kernel);

/* kernel.c */
void sl_kernel_retire(sl_object *kernel);

/* The object behind a handle that the program passed, or NULL. */
static inline sl_object *sl_find(void *handle, uint32_t kind)
{
	sl_object *object = handle;
	if (!object || object->magic != SL_OBJECT_MAGIC || object->kind != kind)
		return NULL;
	return object;
}

static inline void *sl_fail(cl_int *errcode_ret, cl_int status)
{
	if (errcode_ret)
		*errcode_ret = status;
	return NULL;
}

static inline uint8_t *sl_put(uint8_t *p, uint64_t value)
{
	memcpy(p, &value, 8);
	return p + 8;
}

static inline uint8_t *sl_put_handles(uint8_t *p, cl_uint count, void *const *list)
{
	p = sl_put(p, count);
	for (cl_uint i = 0; i < count; i++)
		p = sl_put(p, ((const sl_object *)list[i])->handle);
	return p;
}

static inline uint8_t *sl_put_sizes(uint8_t *p, cl_uint count, const size_t *list)
{
	if (!list)
		return sl_put(p, SL_LIST_ABSENT);
	p = sl_put(p, count);
	for (cl_uint i = 0; i < count; i++)
		p = sl_put(p, list[i]);
	return p;
}

static inline size_t sl_bytes_size(size_t length)
{
	return length > SL_INLINE_MAX ? 16 : 8 + ((length + 7) & ~(size_t)7);
}

static inline uint8_t *sl_put_bytes(uint8_t *p, size_t length, const void *bytes, uint64_t offset)
{
	p = sl_put(p, length);
	if (length > SL_INLINE_MAX)
		return sl_put(p, offset);
	if (length)
		memcpy(p, bytes, length);
	return p + ((length + 7) & ~(size_t)7);
}

#endif
