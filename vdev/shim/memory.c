/* Buffers: their bytes live in the arena, so that a map hands them out in place. */
#include "gen/calls.h"
#include "gen/messages.h"

#include <stdlib.h>

/* A buffer of at most so many bytes may have all its pages at the first transfer. */
#define PAGES_FREE (1ULL << 20)

#define HOST_FLAGS (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)
#define ACCESS_FLAGS (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY)
#define HOST_ACCESS_FLAGS (CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS)

bool sl_mem_spans(const sl_object *mem, size_t offset, size_t size)
{
	return offset <= mem->as.mem.size && size <= mem->as.mem.size - offset;
}

static const sl_object *root_of(const sl_object *mem, size_t *offset)
{
	*offset += mem->as.mem.origin;
	return mem->parent ? mem->parent : mem;
}

bool sl_mem_overlap(const sl_object *a, size_t a_offset, const sl_object *b, size_t b_offset, size_t size)
{
	if (root_of(a, &a_offset) != root_of(b, &b_offset))
		return false;
	return a_offset < b_offset + size && b_offset < a_offset + size;
}

bool sl_mem_misaligned(const sl_object *mem, const sl_object *queue)
{
	uint64_t align_bits = sl_device_number(queue->parent, CL_DEVICE_MEM_BASE_ADDR_ALIGN, 8);
	return mem->as.mem.origin % (align_bits / 8) != 0;
}

/* Asks for bytes of credit of a device, of which the worker grants as many or more. */
static cl_int credit_ask(struct sl_session *session, const sl_object *device, uint64_t bytes, uint64_t *granted)
{
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_credit(session, slot, device, bytes));
	memcpy(granted, slot->payload, sizeof(*granted));
	sl_slot_give(session, slot);
	return status;
}

/* Takes size bytes of a device's credit, asking for what is missing. */
static cl_int credit_take(struct sl_session *session, cl_uint device, size_t size)
{
	_Atomic int64_t *credit = &session->credit[device];
	int64_t wanted = (int64_t)size;
	if (atomic_fetch_sub(credit, wanted) >= wanted)
		return CL_SUCCESS;
	atomic_fetch_add(credit, wanted);
	int64_t have = atomic_exchange(credit, 0);
	uint64_t granted = 0;
	cl_int status = CL_SUCCESS;
	if (have < wanted)
		status = credit_ask(session, &session->devices[device], (uint64_t)(wanted - have), &granted);
	atomic_fetch_add(credit, status == CL_SUCCESS ? have + (int64_t)granted - wanted : have);
	return status;
}

static void credit_give(struct sl_session *session, uint32_t devices, size_t size)
{
	for (cl_uint i = 0; i < session->device_count; i++)
		if (devices & 1U << i)
			atomic_fetch_add(&session->credit[i], (int64_t)size);
}

/* Takes size bytes of the credit of each device of the context, or none: a driver may keep the bytes on all of them. */
cl_int sl_credit_take(const sl_object *context, size_t size)
{
	uint32_t devices = context->as.context.wholes;
	for (cl_uint i = 0; i < context->session->device_count; i++) {
		if (!(devices & 1U << i))
			continue;
		cl_int status = credit_take(context->session, i, size);
		if (status != CL_SUCCESS) {
			credit_give(context->session, devices & ((1U << i) - 1), size);
			return status;
		}
	}
	return CL_SUCCESS;
}

void sl_credit_give(const sl_object *context, size_t size)
{
	credit_give(context->session, context->as.context.wholes, size);
}

/* OpenCL 3.0, 5.2.1: what flags and a host pointer any memory object refuses. */
cl_int sl_mem_check_flags(cl_mem_flags flags, const void *host_ptr)
{
	const cl_mem_flags known = ACCESS_FLAGS | HOST_FLAGS | HOST_ACCESS_FLAGS | CL_MEM_KERNEL_READ_AND_WRITE;
	cl_mem_flags access = flags & ACCESS_FLAGS, host = flags & HOST_ACCESS_FLAGS;
	if (flags & ~known)
		return CL_INVALID_VALUE;
	if ((access & (access - 1)) || (host & (host - 1)))
		return CL_INVALID_VALUE;
	if ((flags & CL_MEM_USE_HOST_PTR) && (flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)))
		return CL_INVALID_VALUE;
	return !host_ptr != !(flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR)) ? CL_INVALID_HOST_PTR : CL_SUCCESS;
}

static cl_int buffer_check(const sl_object *context, cl_mem_flags flags, size_t size, const void *host_ptr)
{
	cl_int status = sl_mem_check_flags(flags, host_ptr);
	if (status == CL_INVALID_VALUE || flags & CL_MEM_KERNEL_READ_AND_WRITE)
		return CL_INVALID_VALUE;
	if (!size || size > sl_context_number(context, CL_DEVICE_MAX_MEM_ALLOC_SIZE))
		return CL_INVALID_BUFFER_SIZE;
	return status;
}

sl_object *sl_mem_new(sl_object *context, sl_object *parent, cl_mem_flags flags, size_t size)
{
	sl_object *mem = sl_object_new(context->session, SL_MEM, context, parent);
	if (!mem)
		return NULL;
	mem->as.mem.flags = flags;
	mem->as.mem.size = size;
	pthread_mutex_init(&mem->as.mem.lock, NULL);
	return mem;
}

void sl_mem_retire(sl_object *mem)
{
	while (mem->as.mem.mappings) {
		struct sl_mapping *next = mem->as.mem.mappings->next;
		free(mem->as.mem.mappings);
		mem->as.mem.mappings = next;
	}
	free(mem->as.mem.image);
	pthread_mutex_destroy(&mem->as.mem.lock);
}

/* Whether the devices work on what is of the object's kind in place. */
static _Atomic int *in_place_of(sl_object *mem)
{
	return mem->as.mem.image ? &mem->session->images_in_place : &mem->session->in_place;
}

/* Where the object's bytes are; waits for the worker the first time. */
cl_int sl_mem_place(sl_object *mem, uint8_t **bytes)
{
	struct sl_session *session = mem->session;
	uint64_t place = atomic_load(&mem->as.mem.place);
	if (!place) {
		uint64_t answer[2];
		struct sl_slot *slot = sl_slot_take(session);
		cl_int status = sl_wait(session, slot, sl_send_locate(session, slot, mem));
		memcpy(answer, slot->payload, sizeof(answer));
		sl_slot_give(session, slot);
		place = answer[0];
		if (status == CL_SUCCESS)
			atomic_store(in_place_of(mem), answer[1] == 1 ? 1 : -1);
		if (status != CL_SUCCESS)
			return status;
		if (place > session->arena_size || mem->as.mem.size > session->arena_size - place)
			return CL_OUT_OF_RESOURCES;
		place++;
		atomic_store(&mem->as.mem.place, place);
	}
	*bytes = session->arena + place - 1;
	return CL_SUCCESS;
}

/* A buffer of shared virtual memory, in place. */
static cl_mem shared_buffer(sl_object *context, cl_mem_flags flags, size_t size, const uint8_t *first, size_t room,
			    cl_int *errcode_ret)
{
	struct sl_session *session = context->session;
	if (size > room)
		return sl_fail(errcode_ret, CL_INVALID_BUFFER_SIZE);
	if (!(flags & ACCESS_FLAGS))
		flags |= CL_MEM_READ_WRITE;
	sl_object *mem = sl_mem_new(context, NULL, flags, size);
	if (!mem)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	mem->as.mem.shared = true;
	atomic_store(&mem->as.mem.place, (uint64_t)(first - session->arena) + 1);
	cl_int status = sl_send_overlay(session, NULL, context, mem, flags, first, size);
	sl_fail(errcode_ret, status);
	if (status == CL_SUCCESS)
		return (cl_mem)mem;
	sl_discard(mem);
	return NULL;
}

/*
 * Whether the device works on the object's bytes in place, and where they are then. All of its pages come when
 * its place is asked for, so a small transfer is no reason to ask for a large one's.
 */
bool sl_mem_in_place(sl_object *mem, size_t size, uint8_t **bytes)
{
	_Atomic int *in_place = in_place_of(mem);
	if (atomic_load(in_place) < 0 || (mem->as.mem.image && mem->parent))
		return false;
	size_t pages = mem->parent ? mem->parent->as.mem.size : mem->as.mem.size;
	if (!atomic_load(&mem->as.mem.place) && pages > PAGES_FREE && size < pages / 4)
		return false;
	return sl_mem_place(mem, bytes) == CL_SUCCESS && atomic_load(in_place) > 0;
}

cl_mem CL_API_CALL sl_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host_ptr,
				     cl_int *errcode_ret)
{
	sl_object *context_object = sl_find(context, SL_CONTEXT);
	if (!context_object)
		return sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	struct sl_session *session = context_object->session;
	cl_int status = buffer_check(context_object, flags, size, host_ptr);
	size_t room;
	if (status == CL_SUCCESS && flags & CL_MEM_USE_HOST_PTR && sl_svm_at(session, host_ptr, &room))
		return shared_buffer(context_object, flags, size, host_ptr, room, errcode_ret);
	if (status == CL_SUCCESS)
		status = sl_credit_take(context_object, size);
	if (status != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	if (!(flags & ACCESS_FLAGS))
		flags |= CL_MEM_READ_WRITE;
	sl_object *mem = sl_mem_new(context_object, NULL, flags, size);
	if (!mem)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	if (flags & CL_MEM_USE_HOST_PTR)
		mem->as.mem.host_pointer = host_ptr;
	status = sl_send_clCreateBuffer(session, NULL, context_object, mem, flags, size);
	if (status == CL_SUCCESS && host_ptr) {
		uint8_t *bytes;
		status = sl_mem_place(mem, &bytes);
		if (status == CL_SUCCESS)
			sl_layout_copy(&(struct sl_layout){0}, size, host_ptr, bytes, false);
	}
	if (status != CL_SUCCESS) {
		sl_release(mem);
		return sl_fail(errcode_ret, status);
	}
	sl_fail(errcode_ret, CL_SUCCESS);
	return (cl_mem)mem;
}

cl_mem CL_API_CALL sl_clCreateBufferWithProperties(cl_context context, const cl_mem_properties *properties,
						   cl_mem_flags flags, size_t size, void *host_ptr, cl_int *errcode_ret)
{
	if (!sl_find(context, SL_CONTEXT))
		return sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	if (properties && properties[0])
		return sl_fail(errcode_ret, CL_INVALID_PROPERTY);
	cl_mem mem = sl_clCreateBuffer(context, flags, size, host_ptr, errcode_ret);
	if (mem)
		((sl_object *)(void *)mem)->as.mem.has_properties = properties != NULL;
	return mem;
}

/* OpenCL 3.0, 5.2.1: a sub-buffer takes over the flags that it does not set. */
static cl_mem_flags inherited_flags(const sl_object *parent, cl_mem_flags flags)
{
	cl_mem_flags from = parent->as.mem.flags;
	if (!(flags & ACCESS_FLAGS))
		flags |= from & ACCESS_FLAGS;
	if (!(flags & HOST_ACCESS_FLAGS))
		flags |= from & HOST_ACCESS_FLAGS;
	return flags | (from & HOST_FLAGS);
}

cl_mem CL_API_CALL sl_clCreateSubBuffer(cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type buffer_create_type,
					const void *buffer_create_info, cl_int *errcode_ret)
{
	sl_object *parent = sl_find(buffer, SL_MEM);
	if (!parent || parent->parent || parent->as.mem.image)
		return sl_fail(errcode_ret, CL_INVALID_MEM_OBJECT);
	if (buffer_create_type != CL_BUFFER_CREATE_TYPE_REGION || !buffer_create_info || (flags & HOST_FLAGS))
		return sl_fail(errcode_ret, CL_INVALID_VALUE);
	cl_buffer_region region;
	memcpy(&region, buffer_create_info, sizeof(region));
	if (!sl_mem_spans(parent, region.origin, region.size))
		return sl_fail(errcode_ret, CL_INVALID_VALUE);
	if (!region.size)
		return sl_fail(errcode_ret, CL_INVALID_BUFFER_SIZE);
	struct sl_session *session = parent->session;
	sl_object *mem = sl_mem_new(parent->context, parent, inherited_flags(parent, flags), region.size);
	if (!mem)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	mem->as.mem.origin = region.origin;
	if (parent->as.mem.host_pointer)
		mem->as.mem.host_pointer = (uint8_t *)parent->as.mem.host_pointer + region.origin;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status =
		sl_finish(session, slot,
			  sl_send_clCreateSubBuffer(session, slot, parent, mem, flags, region.origin, region.size));
	if (status != CL_SUCCESS) {
		sl_discard(mem);
		return sl_fail(errcode_ret, status);
	}
	sl_fail(errcode_ret, CL_SUCCESS);
	return (cl_mem)mem;
}

static bool is_shared(const sl_object *mem)
{
	return mem->as.mem.shared || (mem->parent && mem->parent->as.mem.shared);
}

static uint8_t *shared_pointer(const sl_object *mem)
{
	const sl_object *whole = mem->as.mem.shared ? mem : mem->parent;
	return mem->session->arena + atomic_load(&whole->as.mem.place) - 1 + mem->as.mem.origin;
}

static cl_int mem_number(const sl_object *mem, cl_mem_info param_name, uint64_t *number, size_t *length)
{
	*length = sizeof(cl_uint);
	switch (param_name) {
	case CL_MEM_TYPE:
		*number = mem->as.mem.image ? mem->as.mem.image->description.image_type : CL_MEM_OBJECT_BUFFER;
		return CL_SUCCESS;
	case CL_MEM_MAP_COUNT:
		*number = mem->as.mem.map_count;
		return CL_SUCCESS;
	case CL_MEM_REFERENCE_COUNT:
		*number = atomic_load(&mem->references);
		return CL_SUCCESS;
	case CL_MEM_USES_SVM_POINTER:
		*number = is_shared(mem);
		return CL_SUCCESS;
	default:
		break;
	}
	*length = sizeof(uint64_t);
	switch (param_name) {
	case CL_MEM_FLAGS:
		*number = mem->as.mem.flags;
		return CL_SUCCESS;
	case CL_MEM_SIZE:
		*number = mem->as.mem.image ? sl_image_span(mem->as.mem.image) : mem->as.mem.size;
		return CL_SUCCESS;
	case CL_MEM_OFFSET:
		*number = mem->as.mem.origin;
		return CL_SUCCESS;
	case CL_MEM_HOST_PTR:
		*number = (uintptr_t)(is_shared(mem) ? shared_pointer(mem) : mem->as.mem.host_pointer);
		return CL_SUCCESS;
	case CL_MEM_CONTEXT:
		*number = (uintptr_t)mem->context;
		return CL_SUCCESS;
	case CL_MEM_ASSOCIATED_MEMOBJECT:
		*number = (uintptr_t)mem->parent;
		return CL_SUCCESS;
	case CL_MEM_PROPERTIES:
		*number = 0; /* what ends an empty list */
		*length = mem->as.mem.has_properties ? sizeof(cl_mem_properties) : 0;
		return CL_SUCCESS;
	default:
		return CL_INVALID_VALUE;
	}
}

cl_int CL_API_CALL sl_clGetMemObjectInfo(cl_mem memobj, cl_mem_info param_name, size_t param_value_size,
					 void *param_value, size_t *param_value_size_ret)
{
	const sl_object *mem = sl_find(memobj, SL_MEM);
	if (!mem)
		return CL_INVALID_MEM_OBJECT;
	uint64_t number;
	size_t length;
	cl_int status = mem_number(mem, param_name, &number, &length);
	if (status != CL_SUCCESS)
		return status;
	return sl_info(&number, length, param_value_size, param_value, param_value_size_ret);
}
