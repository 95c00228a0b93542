/* The hand-written half of the stand-in shim. */
#include "calls.h"
#include "messages.h"

#include <stdlib.h>
#include <unistd.h>

static struct sl_session the_session;
static sl_object *current, *primary;

struct sl_session *sl_session(void)
{
	if (!the_session.next_handle)
		the_session.next_handle = SL_FIRST_HANDLE;
	return &the_session;
}

sl_object *sl_current(uint32_t kind)
{
	return kind == SL_CONTEXT ? current : NULL;
}

sl_object *sl_object_new(struct sl_session *session, uint32_t kind, const sl_object *context, const sl_object *parent)
{
	(void)context;
	(void)parent;
	sl_object *object = calloc(1, sizeof(*object));
	if (!object)
		return NULL;
	object->kind = kind;
	object->handle = session->next_handle++;
	object->references = 1;
	object->session = session;
	return object;
}

void sl_discard(sl_object *object)
{
	free(object);
}

void sl_release(sl_object *object)
{
	if (--object->references)
		return;
	(void)sl_send_release(object->session, NULL, object->kind, object->handle);
	free(object);
}

uint8_t *sl_begin(struct sl_session *session, size_t size, const sl_object *queue)
{
	(void)queue;
	return size > SL_FRAME_MAX ? NULL : session->frame;
}

static void all(ssize_t (*move)(int, void *, size_t), int descriptor, void *bytes, size_t size)
{
	for (uint8_t *p = bytes; size > 0;) {
		ssize_t n = move(descriptor, p, size);
		if (n <= 0)
			_exit(3); /* the worker is gone */
		p += n;
		size -= (size_t)n;
	}
}

static ssize_t put(int descriptor, void *bytes, size_t size)
{
	return write(descriptor, bytes, size);
}

void sl_end(struct sl_session *session, uint8_t *frame, const uint8_t *end, uint32_t call, const struct sl_slot *slot)
{
	(void)session;
	uint32_t size = (uint32_t)(end - frame);
	uint16_t number = (uint16_t)call, waiter = slot != NULL;
	memcpy(frame, &size, 4);
	memcpy(frame + 4, &number, 2);
	memcpy(frame + 6, &waiter, 2);
	all(put, STDOUT_FILENO, frame, size);
}

struct sl_slot *sl_slot_take(struct sl_session *session)
{
	(void)session;
	struct sl_slot *slot = calloc(1, sizeof(*slot));
	return slot ? slot : (abort(), NULL);
}

CUresult sl_wait(struct sl_session *session, struct sl_slot *slot, CUresult sent)
{
	(void)session;
	if (sent != CUDA_SUCCESS)
		return sent;
	uint32_t header[2];
	all(read, STDIN_FILENO, header, sizeof(header));
	slot->status = header[0];
	slot->length = header[1];
	slot->payload = malloc((size_t)slot->length + 1);
	if (!slot->payload)
		abort();
	all(read, STDIN_FILENO, slot->payload, slot->length);
	return slot->status;
}

static void slot_give(struct sl_slot *slot)
{
	free(slot->payload);
	free(slot);
}

CUresult sl_finish(struct sl_session *session, struct sl_slot *slot, CUresult sent)
{
	CUresult status = sl_wait(session, slot, sent);
	slot_give(slot);
	return status;
}

CUresult sl_answer(struct sl_session *session, struct sl_slot *slot, CUresult sent, size_t count,
		   const struct sl_part *parts)
{
	CUresult status = sl_wait(session, slot, sent);
	size_t at = 0, size = 0;
	for (size_t i = 0; i < count; i++)
		size += parts[i].size;
	if (status == CUDA_SUCCESS && size != slot->length)
		status = CUDA_ERROR_UNKNOWN;
	for (size_t i = 0; status == CUDA_SUCCESS && i < count; i++) {
		if (parts[i].to)
			memcpy(parts[i].to, slot->payload + at, parts[i].size);
		at += parts[i].size;
	}
	slot_give(slot);
	return status;
}

CUresult sl_place(struct sl_session *session, size_t length, const void *bytes, uint64_t *offset)
{
	(void)session;
	(void)length;
	(void)bytes;
	(void)offset;
	return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult CUDAAPI sl_cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
	struct sl_session *session = sl_session();
	if (!pctx)
		return CUDA_ERROR_INVALID_VALUE;
	if (primary) {
		primary->references++;
	} else {
		primary = sl_object_new(session, SL_CONTEXT, NULL, NULL);
		if (!primary)
			return CUDA_ERROR_OUT_OF_MEMORY;
		struct sl_slot *slot = sl_slot_take(session);
		CUresult status = sl_send_cuDevicePrimaryCtxRetain(session, slot, primary, (uint64_t)dev);
		status = sl_finish(session, slot, status);
		if (status != CUDA_SUCCESS) {
			sl_discard(primary);
			primary = NULL;
			return status;
		}
	}
	*pctx = (CUcontext)(void *)primary;
	return CUDA_SUCCESS;
}

CUresult CUDAAPI sl_cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
	if (!primary)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (--primary->references)
		return CUDA_SUCCESS;
	struct sl_session *session = primary->session;
	struct sl_slot *slot = sl_slot_take(session);
	CUresult status = sl_finish(session, slot, sl_send_cuDevicePrimaryCtxRelease_v2(session, slot, (uint64_t)dev));
	if (current == primary)
		current = NULL;
	primary->references = 1;
	sl_release(primary);
	primary = NULL;
	return status;
}

CUresult CUDAAPI sl_cuCtxSetCurrent(CUcontext ctx)
{
	if (ctx && !sl_find(ctx, SL_CONTEXT))
		return CUDA_ERROR_INVALID_CONTEXT;
	current = (sl_object *)(void *)ctx;
	return CUDA_SUCCESS;
}

CUresult CUDAAPI sl_cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name)
{
	sl_object *module = sl_find(hmod, SL_MODULE);
	if (!current)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!module)
		return CUDA_ERROR_INVALID_HANDLE;
	sl_object *function = sl_object_new(current->session, SL_FUNCTION, current, module);
	if (!function)
		return CUDA_ERROR_OUT_OF_MEMORY;
	struct sl_slot *slot = sl_slot_take(current->session);
	CUresult status = sl_wait(
		current->session, slot,
		sl_send_cuModuleGetFunction(current->session, slot, current, function, module, strlen(name) + 1, name));
	if (status == CUDA_SUCCESS && slot->length > sizeof(function->parameters))
		status = CUDA_ERROR_NOT_SUPPORTED;
	if (status == CUDA_SUCCESS) {
		memcpy(function->parameters, slot->payload, slot->length);
		function->parameter_count = slot->length / sizeof(struct sl_parameter);
		*hfunc = (CUfunction)(void *)function;
	} else {
		sl_discard(function);
	}
	slot_give(slot);
	return status;
}

CUresult CUDAAPI sl_cuFuncGetParamInfo(CUfunction func, size_t paramIndex, size_t *paramOffset, size_t *paramSize)
{
	const sl_object *function = sl_find(func, SL_FUNCTION);
	if (!function)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!paramOffset || paramIndex >= function->parameter_count)
		return CUDA_ERROR_INVALID_VALUE;
	*paramOffset = (size_t)function->parameters[paramIndex].offset;
	if (paramSize)
		*paramSize = (size_t)function->parameters[paramIndex].size;
	return CUDA_SUCCESS;
}
