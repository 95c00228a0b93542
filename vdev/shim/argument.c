/* Arguments of kernels: sent when a kernel is launched, and only what is not set so already. */
#include "gen/calls.h"
#include "gen/messages.h"

static cl_int argument_check(const struct sl_argument *argument, size_t size, const void *value, sl_object **handle)
{
	*handle = NULL;
	switch (argument->form) {
	case SL_ARGUMENT_SAMPLER: {
		cl_sampler sampler = NULL;
		if (size != sizeof(sampler))
			return CL_INVALID_ARG_SIZE;
		if (!value)
			return CL_INVALID_ARG_VALUE;
		memcpy(&sampler, value, sizeof(sampler));
		return (*handle = sl_find(sampler, SL_SAMPLER)) ? CL_SUCCESS : CL_INVALID_SAMPLER;
	}
	case SL_ARGUMENT_LOCAL:
		if (value)
			return CL_INVALID_ARG_VALUE;
		return size ? CL_SUCCESS : CL_INVALID_ARG_SIZE;
	case SL_ARGUMENT_BUFFER: {
		cl_mem mem = NULL;
		if (size != sizeof(cl_mem))
			return CL_INVALID_ARG_SIZE;
		if (value)
			memcpy(&mem, value, sizeof(mem));
		if (mem && !(*handle = sl_find(mem, SL_MEM)))
			return CL_INVALID_MEM_OBJECT;
		return CL_SUCCESS;
	}
	default:
		if (!value)
			return CL_INVALID_ARG_VALUE;
		return !size || size > SL_INLINE_MAX ? CL_INVALID_ARG_SIZE : CL_SUCCESS;
	}
}

static cl_int argument_send(sl_object *kernel, struct sl_slot *slot, cl_uint index, const struct sl_set *set,
			    const void *value)
{
	uint32_t form = kernel->as.kernel.signature->arguments[index].form;
	bool sampler = form == SL_ARGUMENT_SAMPLER;
	return sl_send_clSetKernelArg(kernel->session, slot, kernel, index, set->size, form,
				      sampler ? NULL : set->handle, sampler ? set->handle : NULL,
				      form == SL_ARGUMENT_VALUE ? set->size : 0, value);
}

static void set_release(struct sl_set *set)
{
	if (set->pending && set->handle)
		sl_unhold(set->handle);
	set->pending = false;
	set->handle = NULL;
}

/* What an argument was set to, if that is told again: a handle's object by its serial, as another may lie there now. */
static bool set_alike(const struct sl_set *a, const struct sl_set *b)
{
	return a->kept && b->kept && a->size == b->size && a->serial == b->serial &&
	       memcmp(a->value, b->value, sizeof(a->value)) == 0;
}

/*
 * Puts what is set in the place of what was. Of one kernel's arguments a program sets one at a time: OpenCL 3.0, 5.9.2.
 */
static void set_replace(sl_object *kernel, cl_uint index, const struct sl_set *set)
{
	struct sl_set *old = &kernel->as.kernel.set[index];
	bool local = kernel->as.kernel.signature->arguments[index].form == SL_ARGUMENT_LOCAL;
	if (!old->given)
		kernel->as.kernel.unset--;
	else if (local)
		kernel->as.kernel.local_bytes -= old->size;
	kernel->as.kernel.local_bytes += local ? set->size : 0;
	kernel->as.kernel.pending += (cl_uint)set->pending - (cl_uint)old->pending;
	set_release(old);
	*old = *set;
}

/*
 * The driver judges an argument's size once, for all kernels of the name: what has that size again is sent with the
 * next launch, the last word alone, and not at all where it is what the driver has. A buffer's and a local argument's
 * size are judged here.
 */
cl_int CL_API_CALL sl_clSetKernelArg(cl_kernel kernel, cl_uint arg_index, size_t arg_size, const void *arg_value)
{
	sl_object *object = sl_find(kernel, SL_KERNEL);
	if (!object)
		return CL_INVALID_KERNEL;
	struct sl_signature *signature = object->as.kernel.signature;
	if (arg_index >= signature->argument_count)
		return CL_INVALID_ARG_INDEX;
	struct sl_argument *argument = &signature->arguments[arg_index];
	struct sl_set set = {.given = true, .size = arg_size};
	cl_int status = argument_check(argument, arg_size, arg_value, &set.handle);
	if (status != CL_SUCCESS)
		return status;
	bool value = argument->form == SL_ARGUMENT_VALUE;
	set.serial = set.handle ? set.handle->serial : 0;
	set.kept = !value || arg_size <= sizeof(set.value);
	if (value && set.kept)
		memcpy(set.value, arg_value, arg_size);
	if (set_alike(&object->as.kernel.set[arg_index], &set))
		return CL_SUCCESS;
	bool accepted = atomic_load_explicit(&argument->accepted, memory_order_relaxed) == arg_size + 1;
	if (accepted && set.kept) {
		set.pending = true;
		if (set.handle)
			sl_hold(set.handle);
		set_replace(object, arg_index, &set);
		return CL_SUCCESS;
	}
	struct sl_slot *slot = accepted ? NULL : sl_slot_take(object->session);
	status = argument_send(object, slot, arg_index, &set, arg_value);
	if (slot)
		status = sl_finish(object->session, slot, status);
	if (status != CL_SUCCESS)
		return status;
	atomic_store_explicit(&argument->accepted, arg_size + 1, memory_order_relaxed);
	set.handle = NULL;
	set_replace(object, arg_index, &set);
	return CL_SUCCESS;
}

/* Sends what the kernel's arguments were set to and the worker has not heard of. */
cl_int sl_arguments_send(sl_object *kernel)
{
	cl_int status = CL_SUCCESS;
	if (!kernel->as.kernel.pending)
		return status;
	pthread_mutex_lock(&kernel->as.kernel.lock);
	cl_uint count = kernel->as.kernel.signature->argument_count;
	for (cl_uint i = 0; status == CL_SUCCESS && i < count; i++) {
		struct sl_set *set = &kernel->as.kernel.set[i];
		if (!set->pending)
			continue;
		status = argument_send(kernel, NULL, i, set, set->value);
		if (status == CL_SUCCESS) {
			set_release(set);
			kernel->as.kernel.pending--;
		}
	}
	pthread_mutex_unlock(&kernel->as.kernel.lock);
	return status;
}

/* Notes that an argument was set by another way than clSetKernelArg. */
void sl_argument_given(sl_object *kernel, cl_uint index)
{
	set_replace(kernel, index, &(struct sl_set){.given = true});
}

/* Lets go of what a kernel's arguments hold. */
void sl_arguments_forget(sl_object *kernel)
{
	cl_uint count = kernel->as.kernel.set ? kernel->as.kernel.signature->argument_count : 0;
	for (cl_uint i = 0; i < count; i++)
		set_release(&kernel->as.kernel.set[i]);
}
