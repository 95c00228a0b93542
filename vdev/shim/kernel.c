/* Kernels, their arguments and their launches. */
#include "gen/calls.h"
#include "gen/messages.h"

#include <stdlib.h>

void sl_kernel_retire(sl_object *kernel)
{
	sl_arguments_forget(kernel);
	sl_signature_drop(kernel->as.kernel.signature);
	free(kernel->as.kernel.set);
	pthread_mutex_destroy(&kernel->as.kernel.lock);
}

static sl_object *kernel_new(struct sl_session *session, sl_object *context, sl_object *program)
{
	sl_object *kernel = sl_object_new(session, SL_KERNEL, context, program);
	if (kernel)
		pthread_mutex_init(&kernel->as.kernel.lock, NULL);
	return kernel;
}

/* Gives a new kernel its signature, which is held for it. Returns false where memory runs out. */
static bool kernel_sign(sl_object *kernel, struct sl_signature *signature)
{
	kernel->as.kernel.signature = signature;
	kernel->as.kernel.unset = signature->argument_count;
	kernel->as.kernel.set = calloc(signature->argument_count + 1U, sizeof(struct sl_set));
	return kernel->as.kernel.set != NULL;
}

/*
 * The first kernel of a name waits for the driver's word. Of the like of it the driver has said all, so that they do
 * not: programs make a kernel for each launch.
 */
cl_kernel CL_API_CALL sl_clCreateKernel(cl_program program, const char *kernel_name, cl_int *errcode_ret)
{
	sl_object *parent = sl_find(program, SL_PROGRAM);
	if (!parent)
		return sl_fail(errcode_ret, CL_INVALID_PROGRAM);
	if (!kernel_name)
		return sl_fail(errcode_ret, CL_INVALID_VALUE);
	struct sl_session *session = parent->session;
	sl_object *kernel = kernel_new(session, parent->context, parent);
	if (!kernel)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	struct sl_signature *signature = sl_signature_find(parent, kernel_name);
	struct sl_slot *slot = signature ? NULL : sl_slot_take(session);
	cl_int status = sl_send_clCreateKernel(session, slot, parent, kernel, strlen(kernel_name), kernel_name);
	if (slot)
		status = sl_wait(session, slot, status);
	bool created = status == CL_SUCCESS;
	if (created && slot) {
		size_t length;
		const uint8_t *reply = sl_reply(session, slot, &length);
		signature = sl_signature_learn(parent, kernel_name, reply, length, &status);
	}
	if (slot)
		sl_slot_give(session, slot);
	if (signature && !kernel_sign(kernel, signature))
		status = CL_OUT_OF_HOST_MEMORY;
	sl_fail(errcode_ret, status);
	if (status == CL_SUCCESS)
		return (cl_kernel)kernel;
	if (created)
		sl_release(kernel);
	else
		sl_discard(kernel);
	return NULL;
}

cl_kernel CL_API_CALL sl_clCloneKernel(cl_kernel source_kernel, cl_int *errcode_ret)
{
	sl_object *source = sl_find(source_kernel, SL_KERNEL);
	if (!source)
		return sl_fail(errcode_ret, CL_INVALID_KERNEL);
	struct sl_session *session = source->session;
	sl_object *kernel = kernel_new(session, source->context, source->parent);
	if (!kernel)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	cl_int status = sl_arguments_send(source);
	if (!kernel_sign(kernel, sl_signature_hold(source->as.kernel.signature)))
		status = CL_OUT_OF_HOST_MEMORY;
	if (status == CL_SUCCESS) {
		cl_uint count = source->as.kernel.signature->argument_count;
		memcpy(kernel->as.kernel.set, source->as.kernel.set, count * sizeof(struct sl_set));
		kernel->as.kernel.unset = source->as.kernel.unset;
		kernel->as.kernel.local_bytes = source->as.kernel.local_bytes;
		atomic_store(&kernel->as.kernel.launched, atomic_load(&source->as.kernel.launched));
		struct sl_slot *slot = sl_slot_take(session);
		status = sl_finish(session, slot, sl_send_clCloneKernel(session, slot, source, kernel));
	}
	sl_fail(errcode_ret, status);
	if (status == CL_SUCCESS)
		return (cl_kernel)kernel;
	sl_discard(kernel);
	return NULL;
}

/* A program's kernel names, separated by ';'. The caller frees them. */
static char *kernel_names(cl_program program, cl_int *status)
{
	size_t size = 0;
	*status = sl_clGetProgramInfo(program, CL_PROGRAM_KERNEL_NAMES, 0, NULL, &size);
	char *names = *status == CL_SUCCESS ? calloc(1, size + 1) : NULL;
	if (names)
		*status = sl_clGetProgramInfo(program, CL_PROGRAM_KERNEL_NAMES, size, names, NULL);
	if (*status == CL_INVALID_PROGRAM)
		*status = CL_INVALID_PROGRAM_EXECUTABLE;
	return names;
}

cl_int CL_API_CALL sl_clCreateKernelsInProgram(cl_program program, cl_uint num_kernels, cl_kernel *kernels,
					       cl_uint *num_kernels_ret)
{
	if (!sl_find(program, SL_PROGRAM))
		return CL_INVALID_PROGRAM;
	cl_int status;
	cl_uint count = 0;
	char *names = kernel_names(program, &status), *rest = names;
	if (status != CL_SUCCESS || !names) {
		free(names);
		return status != CL_SUCCESS ? status : CL_OUT_OF_HOST_MEMORY;
	}
	for (const char *p = names; *p; p++)
		count += *p == ';';
	count += *names != 0;
	if (num_kernels_ret)
		*num_kernels_ret = count;
	if (kernels && num_kernels < count)
		status = CL_INVALID_VALUE;
	for (cl_uint i = 0; kernels && status == CL_SUCCESS && i < count; i++) {
		char *name = strsep(&rest, ";");
		kernels[i] = sl_clCreateKernel(program, name, &status);
		for (cl_uint made = i; status != CL_SUCCESS && made > 0; made--)
			sl_release((sl_object *)(void *)kernels[made - 1]);
	}
	free(names);
	return status;
}

/* Fills the launch's shape. Returns false where the global size alone could make the driver refuse it. */
static bool launch_shape(struct sl_launch *launch, const sl_object *kernel, cl_uint work_dim, const size_t *offset,
			 const size_t *global, const size_t *local)
{
	memset(launch, 0, sizeof(*launch));
	launch->local_bytes = kernel->as.kernel.local_bytes;
	if (work_dim < 1 || work_dim > 3 || !global || offset)
		return false;
	launch->work_dim = work_dim;
	launch->has_local = local != NULL;
	for (cl_uint i = 0; i < work_dim; i++) {
		launch->local[i] = local ? local[i] : 0;
		if (!global[i] || (local && (!local[i] || global[i] % local[i])))
			return false;
	}
	return true;
}

/*
 * What can make the driver refuse a launch is that its kernel lacks arguments, which once set stay set, and its shape.
 * So the first launch of a shape waits for the driver's word and the like of it, by any kernel of the name, do not.
 */
cl_int CL_API_CALL sl_clEnqueueNDRangeKernel(cl_command_queue command_queue, cl_kernel kernel, cl_uint work_dim,
					     const size_t *global_work_offset, const size_t *global_work_size,
					     const size_t *local_work_size, cl_uint num_events_in_wait_list,
					     const cl_event *event_wait_list, cl_event *event)
{
	sl_object *queue = sl_find(command_queue, SL_QUEUE), *object = sl_find(kernel, SL_KERNEL), *event_object = NULL;
	if (!queue)
		return CL_INVALID_COMMAND_QUEUE;
	if (!object)
		return CL_INVALID_KERNEL;
	if (queue->context != object->context)
		return CL_INVALID_CONTEXT;
	if (work_dim < 1 || work_dim > 3)
		return CL_INVALID_WORK_DIMENSION;
	cl_int status = sl_check_wait_list(queue, num_events_in_wait_list, event_wait_list);
	if (status != CL_SUCCESS)
		return status;
	if (event && !(event_object = sl_event_new(queue, CL_COMMAND_NDRANGE_KERNEL)))
		return CL_OUT_OF_HOST_MEMORY;
	if ((status = sl_arguments_send(object)) != CL_SUCCESS) {
		sl_discard(event_object);
		return status;
	}
	struct sl_launch launch;
	bool regular = launch_shape(&launch, object, work_dim, global_work_offset, global_work_size, local_work_size);
	bool given =
		!object->as.kernel.unset || atomic_load_explicit(&object->as.kernel.launched, memory_order_relaxed);
	bool known = regular && given && sl_launch_known(object->as.kernel.signature, &launch);
	struct sl_session *session = queue->session;
	struct sl_slot *slot = known ? NULL : sl_slot_take(session);
	status = sl_send_clEnqueueNDRangeKernel(session, slot, queue, object, work_dim, work_dim, global_work_offset,
						work_dim, global_work_size, work_dim, local_work_size,
						num_events_in_wait_list, event_wait_list, event_object);
	if (slot)
		status = sl_finish(session, slot, status);
	if (slot && status == CL_SUCCESS)
		atomic_store_explicit(&object->as.kernel.launched, true, memory_order_relaxed);
	if (slot && regular && status == CL_SUCCESS)
		sl_launch_remember(object->as.kernel.signature, &launch);
	if (status != CL_SUCCESS)
		sl_discard(event_object);
	else if (event)
		*event = (cl_event)event_object;
	return status;
}

cl_int CL_API_CALL sl_clGetKernelInfo(cl_kernel kernel, cl_kernel_info param_name, size_t param_value_size,
				      void *param_value, size_t *param_value_size_ret)
{
	sl_object *object = sl_find(kernel, SL_KERNEL);
	if (!object)
		return CL_INVALID_KERNEL;
	struct sl_session *session = object->session;
	void *handle = NULL;
	cl_uint number;
	switch (param_name) {
	case CL_KERNEL_CONTEXT:
		handle = object->context;
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	case CL_KERNEL_PROGRAM:
		handle = object->parent;
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	case CL_KERNEL_NUM_ARGS:
		number = object->as.kernel.signature->argument_count;
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_KERNEL_REFERENCE_COUNT:
		number = atomic_load(&object->references);
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	default:
		break;
	}
	struct sl_slot *slot = sl_slot_take(session);
	return sl_info_reply(session, slot, sl_send_clGetKernelInfo(session, slot, object, param_name),
			     param_value_size, param_value, param_value_size_ret);
}
