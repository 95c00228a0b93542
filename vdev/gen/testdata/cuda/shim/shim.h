/*
 * Stands in for what a CUDA shim would have by hand around its generated code: one thread, one session, frames on
 * standard output and answers on standard input.
 */
#ifndef SL_SHIM_H
#define SL_SHIM_H

#include <stdint.h>
#include <string.h>

#include "cuda.h"
#include "wire.h"

#define SL_PARAMETERS_MAX 8

struct sl_session {
	uint32_t next_handle;
	uint8_t frame[SL_FRAME_MAX];
};

/* An answer, and what waits for it. */
struct sl_slot {
	CUresult status;
	uint32_t length;
	uint8_t *payload;
};

/* A part of an answer: where it goes, which is nowhere for NULL, and its size. */
struct sl_part {
	void *to;
	size_t size;
};

struct sl_parameter {
	uint64_t offset, size;
};

typedef struct sl_object {
	uint32_t kind, handle, references;
	struct sl_session *session;
	/* Of a function. */
	uint64_t parameter_count;
	struct sl_parameter parameters[SL_PARAMETERS_MAX];
} sl_object;

struct sl_session *sl_session(void);
sl_object *sl_current(uint32_t kind);
sl_object *sl_object_new(struct sl_session *session, uint32_t kind, const sl_object *context, const sl_object *parent);
void sl_discard(sl_object *object);
void sl_release(sl_object *object);
uint8_t *sl_begin(struct sl_session *session, size_t size, const sl_object *queue);
void sl_end(struct sl_session *session, uint8_t *frame, const uint8_t *end, uint32_t call, const struct sl_slot *slot);
struct sl_slot *sl_slot_take(struct sl_session *session);
CUresult sl_wait(struct sl_session *session, struct sl_slot *slot, CUresult sent);
CUresult sl_finish(struct sl_session *session, struct sl_slot *slot, CUresult sent);
CUresult sl_answer(struct sl_session *session, struct sl_slot *slot, CUresult sent, size_t count,
		   const struct sl_part *parts);
CUresult sl_place(struct sl_session *session, size_t length, const void *bytes, uint64_t *offset);

static inline sl_object *sl_find(void *handle, uint32_t kind)
{
	sl_object *object = handle;
	return object && object->kind == kind ? object : NULL;
}

/* The length of a module's image, of which text is the only form here. */
static inline size_t sl_image_size(const void *image)
{
	return strlen(image) + 1;
}

static inline uint8_t *sl_put(uint8_t *p, uint64_t value)
{
	memcpy(p, &value, 8);
	return p + 8;
}

static inline size_t sl_bytes_size(size_t length)
{
	return 8 + ((length + 7) & ~(size_t)7);
}

static inline uint8_t *sl_put_bytes(uint8_t *p, size_t length, const void *bytes, uint64_t offset)
{
	(void)offset;
	p = sl_put(p, length);
	if (length)
		memcpy(p, bytes, length);
	return p + ((length + 7) & ~(size_t)7);
}

/* The bytes of a function's parameters, from the first to the end of the last. */
static inline size_t sl_parameters_length(const sl_object *function)
{
	if (!function->parameter_count)
		return 0;
	const struct sl_parameter *last = &function->parameters[function->parameter_count - 1];
	return (size_t)(last->offset + last->size);
}

static inline size_t sl_parameters_size(const sl_object *function)
{
	return sl_bytes_size(sl_parameters_length(function));
}

static inline uint8_t *sl_put_parameters(uint8_t *p, const sl_object *function, void *const *values)
{
	size_t length = sl_parameters_length(function);
	p = sl_put(p, length);
	memset(p, 0, length);
	for (uint64_t i = 0; i < function->parameter_count; i++)
		memcpy(p + function->parameters[i].offset, values[i], (size_t)function->parameters[i].size);
	return p + ((length + 7) & ~(size_t)7);
}

#endif
