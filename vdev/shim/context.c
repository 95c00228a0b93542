/* Contexts and command queues. */
#include "gen/calls.h"
#include "gen/messages.h"

/* Copies a property list with its ending 0. */
cl_int sl_properties_copy(struct sl_properties *to, const uint64_t *list)
{
	to->count = 0;
	if (!list)
		return CL_SUCCESS;
	const uint32_t room = sizeof(to->list) / sizeof(to->list[0]);
	uint32_t n = 0;
	while (list[n]) {
		if (n + 3 > room)
			return CL_INVALID_PROPERTY;
		to->list[n] = list[n];
		to->list[n + 1] = list[n + 1];
		n += 2;
	}
	to->list[n] = 0;
	to->count = n + 1;
	return CL_SUCCESS;
}

cl_int sl_properties_info(const struct sl_properties *p, size_t element, size_t size, void *out, size_t *size_ret)
{
	return sl_info(p->list, p->count * element, size, out, size_ret);
}

/* OpenCL 3.0, 4.4: the only property that a context without sharing knows is its platform, once. */
static cl_int context_properties(const cl_context_properties *properties)
{
	bool platform = false;
	for (; properties && properties[0]; properties += 2) {
		if (properties[0] == CL_CONTEXT_PLATFORM) {
			if (platform)
				return CL_INVALID_PROPERTY;
			if (!sl_find((void *)properties[1], SL_PLATFORM))
				return CL_INVALID_PLATFORM;
			platform = true;
		} else if (properties[0] != CL_CONTEXT_INTEROP_USER_SYNC) {
			return CL_INVALID_PROPERTY;
		}
	}
	return CL_SUCCESS;
}

/* The devices that the context has, as the driver says. */
sl_object *const *sl_context_devices(const sl_object *context)
{
	return context->as.context.devices + context->as.context.given_count;
}

/* The device of a handle: one that the context was made with, or one that they are parts of. */
static sl_object *context_device(const sl_object *context, uint32_t handle)
{
	for (cl_uint i = 0; i < context->as.context.given_count; i++)
		for (sl_object *device = context->as.context.devices[i]; device; device = device->parent)
			if (device->handle == handle)
				return device;
	const struct sl_session *session = context->session;
	cl_uint whole = handle - (uint32_t)SL_DEVICE_HANDLE;
	return (sl_object *)&session->devices[whole < session->device_count ? whole : 0];
}

/* The largest that a device of the context has. */
uint64_t sl_context_number(const sl_object *context, uint32_t parameter)
{
	uint64_t most = 0;
	for (cl_uint i = 0; i < context->as.context.given_count; i++) {
		uint64_t number = sl_device_number(context->as.context.devices[i], parameter, 0);
		most = number > most ? number : most;
	}
	return most;
}

/* Answers a query of devices with the worker's answer: a u32 handle each. */
cl_int sl_context_devices_info(const sl_object *context, const uint8_t *handles, size_t length, size_t size, void *out,
			       size_t *size_ret)
{
	size_t count = length / sizeof(uint32_t);
	if (out && size < count * sizeof(void *))
		return CL_INVALID_VALUE;
	for (size_t i = 0; out && i < count; i++) {
		uint32_t handle;
		memcpy(&handle, handles + i * sizeof(handle), sizeof(handle));
		((void **)out)[i] = context_device(context, handle);
	}
	if (size_ret)
		*size_ret = count * sizeof(void *);
	return CL_SUCCESS;
}

/* The device that a sub-device is of. */
static const sl_object *whole_of(const sl_object *device)
{
	while (device->parent)
		device = device->parent;
	return device;
}

/* Makes the context at the worker, and notes which devices it has. */
static cl_int context_make(sl_object *context, cl_uint count, const cl_device_id *devices)
{
	struct sl_session *session = context->session;
	if (count > SL_LIST_MAX)
		return CL_OUT_OF_RESOURCES;
	sl_object **list = calloc((size_t)2 * count, sizeof(*list));
	if (!(context->as.context.devices = list))
		return CL_OUT_OF_HOST_MEMORY;
	for (cl_uint i = 0; i < count; i++) {
		sl_hold(list[i] = (sl_object *)(void *)devices[i]);
		context->as.context.wholes |= 1U << (whole_of(list[i])->handle - (uint32_t)SL_DEVICE_HANDLE);
	}
	context->as.context.given_count = count;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_clCreateContext(session, slot, count, devices, context));
	size_t length = 0, size = count * sizeof(*list);
	const uint8_t *handles = status == CL_SUCCESS ? sl_reply(session, slot, &length) : NULL;
	if (handles && sl_context_devices_info(context, handles, length, size, list + count, NULL) == CL_SUCCESS)
		context->as.context.device_count = (cl_uint)(length / sizeof(uint32_t));
	sl_slot_give(session, slot);
	return status;
}

cl_context CL_API_CALL sl_clCreateContext(const cl_context_properties *properties, cl_uint num_devices,
					  const cl_device_id *devices, sl_context_callback pfn_notify, void *user_data,
					  cl_int *errcode_ret)
{
	cl_int status = context_properties(properties);
	if (status != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	if (!num_devices || !devices || (!pfn_notify && user_data))
		return sl_fail(errcode_ret, CL_INVALID_VALUE);
	if ((status = sl_devices_check(num_devices, devices)) != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	struct sl_session *session = ((sl_object *)(void *)devices[0])->session;
	sl_object *context = sl_object_new(session, SL_CONTEXT, NULL, NULL);
	if (!context)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	status = sl_properties_copy(&context->as.context.properties, (const uint64_t *)properties);
	if (status == CL_SUCCESS)
		status = context_make(context, num_devices, devices);
	sl_fail(errcode_ret, status);
	if (status == CL_SUCCESS)
		return (cl_context)context;
	sl_discard(context);
	return NULL;
}

cl_context CL_API_CALL sl_clCreateContextFromType(const cl_context_properties *properties, cl_device_type device_type,
						  sl_context_callback pfn_notify, void *user_data, cl_int *errcode_ret)
{
	cl_device_id devices[SL_DEVICES_MAX];
	cl_uint count = 0;
	cl_int status = context_properties(properties);
	if (status == CL_SUCCESS)
		status = sl_clGetDeviceIDs(NULL, device_type, SL_DEVICES_MAX, devices, &count);
	if (status != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	return sl_clCreateContext(properties, count, devices, pfn_notify, user_data, errcode_ret);
}

cl_int CL_API_CALL sl_clGetContextInfo(cl_context context, cl_context_info param_name, size_t param_value_size,
				       void *param_value, size_t *param_value_size_ret)
{
	sl_object *object = sl_find(context, SL_CONTEXT);
	if (!object)
		return CL_INVALID_CONTEXT;
	cl_uint number = object->as.context.device_count;
	switch (param_name) {
	case CL_CONTEXT_REFERENCE_COUNT:
		number = atomic_load(&object->references);
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_CONTEXT_NUM_DEVICES:
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_CONTEXT_DEVICES:
		return sl_info(sl_context_devices(object), number * sizeof(void *), param_value_size, param_value,
			       param_value_size_ret);
	case CL_CONTEXT_PROPERTIES:
		return sl_properties_info(&object->as.context.properties, sizeof(cl_context_properties),
					  param_value_size, param_value, param_value_size_ret);
	default:
		return CL_INVALID_VALUE;
	}
}

static cl_int queue_flags(const sl_object *device, const cl_queue_properties *properties,
			  cl_command_queue_properties *flags)
{
	for (; properties && properties[0]; properties += 2) {
		if (properties[0] != CL_QUEUE_PROPERTIES)
			return properties[0] == CL_QUEUE_SIZE ? CL_INVALID_QUEUE_PROPERTIES : CL_INVALID_VALUE;
		*flags = properties[1];
	}
	const cl_command_queue_properties known = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE |
						  CL_QUEUE_ON_DEVICE | CL_QUEUE_ON_DEVICE_DEFAULT;
	if (*flags & ~known)
		return CL_INVALID_VALUE;
	if (*flags & ~sl_device_number(device, CL_DEVICE_QUEUE_ON_HOST_PROPERTIES, 0))
		return CL_INVALID_QUEUE_PROPERTIES;
	return CL_SUCCESS;
}

cl_command_queue CL_API_CALL sl_clCreateCommandQueueWithProperties(cl_context context, cl_device_id device,
								   const cl_queue_properties *properties,
								   cl_int *errcode_ret)
{
	sl_object *context_object = sl_find(context, SL_CONTEXT);
	if (!context_object)
		return sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	sl_object *device_object = sl_find(device, SL_DEVICE);
	if (!device_object)
		return sl_fail(errcode_ret, CL_INVALID_DEVICE);
	struct sl_session *session = context_object->session;
	cl_command_queue_properties flags = 0;
	cl_int status = queue_flags(device_object, properties, &flags);
	if (status != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	sl_object *queue = sl_object_new(session, SL_QUEUE, context_object, device_object);
	if (!queue)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	queue->as.queue.flags = flags;
	status = sl_properties_copy(&queue->as.queue.properties, properties);
	if (status == CL_SUCCESS) {
		struct sl_slot *slot = sl_slot_take(session);
		status = sl_finish(session, slot,
				   sl_send_clCreateCommandQueueWithProperties(session, slot, context_object,
									      device_object, queue, flags));
	}
	if (status != CL_SUCCESS) {
		sl_discard(queue);
		return sl_fail(errcode_ret, status);
	}
	sl_fail(errcode_ret, CL_SUCCESS);
	return (cl_command_queue)queue;
}

cl_command_queue CL_API_CALL sl_clCreateCommandQueue(cl_context context, cl_device_id device,
						     cl_command_queue_properties properties, cl_int *errcode_ret)
{
	const cl_queue_properties list[] = {CL_QUEUE_PROPERTIES, properties, 0};
	cl_command_queue queue = sl_clCreateCommandQueueWithProperties(context, device, list, errcode_ret);
	if (queue)
		((sl_object *)(void *)queue)->as.queue.properties.count = 0;
	return queue;
}

cl_int CL_API_CALL sl_clGetCommandQueueInfo(cl_command_queue command_queue, cl_command_queue_info param_name,
					    size_t param_value_size, void *param_value, size_t *param_value_size_ret)
{
	sl_object *object = sl_find(command_queue, SL_QUEUE);
	if (!object)
		return CL_INVALID_COMMAND_QUEUE;
	cl_uint number;
	void *handle = NULL;
	switch (param_name) {
	case CL_QUEUE_CONTEXT:
		handle = object->context;
		break;
	case CL_QUEUE_DEVICE:
		handle = object->parent;
		break;
	case CL_QUEUE_DEVICE_DEFAULT:
		break;
	case CL_QUEUE_REFERENCE_COUNT:
		number = atomic_load(&object->references);
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_QUEUE_PROPERTIES:
		return sl_info(&object->as.queue.flags, sizeof(object->as.queue.flags), param_value_size, param_value,
			       param_value_size_ret);
	case CL_QUEUE_PROPERTIES_ARRAY:
		return sl_properties_info(&object->as.queue.properties, sizeof(cl_queue_properties), param_value_size,
					  param_value, param_value_size_ret);
	case CL_QUEUE_SIZE:
		return CL_INVALID_COMMAND_QUEUE;
	default:
		return CL_INVALID_VALUE;
	}
	return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
}
