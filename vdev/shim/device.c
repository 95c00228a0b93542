/* The devices, and the sub-devices that a program makes of them. */
#include "gen/calls.h"
#include "gen/messages.h"

#include <stdlib.h>

cl_int CL_API_CALL sl_clGetDeviceIDs(cl_platform_id platform, cl_device_type device_type, cl_uint num_entries,
				     cl_device_id *devices, cl_uint *num_devices)
{
	struct sl_session *session = sl_session();
	if (!session || (platform && !sl_find(platform, SL_PLATFORM)))
		return CL_INVALID_PLATFORM;
	if ((!num_entries && devices) || (!devices && !num_devices))
		return CL_INVALID_VALUE;
	const cl_device_type known = CL_DEVICE_TYPE_DEFAULT | CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU |
				     CL_DEVICE_TYPE_ACCELERATOR | CL_DEVICE_TYPE_CUSTOM;
	if (device_type != CL_DEVICE_TYPE_ALL && (!device_type || (device_type & ~known)))
		return CL_INVALID_DEVICE_TYPE;
	cl_uint found = 0;
	for (cl_uint i = 0; i < session->device_count; i++) {
		sl_object *device = &session->devices[i];
		cl_device_type type = sl_device_number(device, CL_DEVICE_TYPE, 0);
		if (!((i ? type : type | CL_DEVICE_TYPE_DEFAULT) & device_type))
			continue;
		if (devices && found < num_entries)
			devices[found] = (cl_device_id)device;
		found++;
	}
	if (num_devices)
		*num_devices = found;
	return found ? CL_SUCCESS : CL_DEVICE_NOT_FOUND;
}

cl_int CL_API_CALL sl_clGetDeviceInfo(cl_device_id device, cl_device_info param_name, size_t param_value_size,
				      void *param_value, size_t *param_value_size_ret)
{
	const sl_object *object = sl_find(device, SL_DEVICE);
	if (!object)
		return CL_INVALID_DEVICE;
	void *handle = object->parent;
	cl_uint references = atomic_load(&object->references);
	if (param_name == CL_DEVICE_REFERENCE_COUNT)
		return sl_info(&references, sizeof(references), param_value_size, param_value, param_value_size_ret);
	if (param_name == CL_DEVICE_PLATFORM)
		handle = &object->session->platform;
	if (param_name == CL_DEVICE_PLATFORM || param_name == CL_DEVICE_PARENT_DEVICE)
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	const struct sl_fact *fact = sl_fact(object, param_name);
	if (!fact)
		return CL_INVALID_VALUE;
	return sl_info(fact->value, fact->length, param_value_size, param_value, param_value_size_ret);
}

/* A list and its count are both given or both absent. */
cl_int sl_devices_check(cl_uint count, const cl_device_id *list)
{
	if (!count != !list)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < count; i++)
		if (!sl_find(list[i], SL_DEVICE))
			return CL_INVALID_DEVICE;
	return CL_SUCCESS;
}

/* The whole device is there as long as the session: OpenCL 3.0, 4.3. */
cl_int CL_API_CALL sl_clRetainDevice(cl_device_id device)
{
	sl_object *object = sl_find(device, SL_DEVICE);
	if (!object)
		return CL_INVALID_DEVICE;
	if (object->parent)
		sl_retain(object);
	return CL_SUCCESS;
}

cl_int CL_API_CALL sl_clReleaseDevice(cl_device_id device)
{
	sl_object *object = sl_find(device, SL_DEVICE);
	if (!object)
		return CL_INVALID_DEVICE;
	if (object->parent)
		sl_release(object);
	return CL_SUCCESS;
}

/*
 * The words of a partition's properties: a list of counts has an end of its own. None where they are of no known
 * kind, or are more counts than the device has sub-devices.
 */
static cl_int partition_words(const sl_object *device, const cl_device_partition_property *properties, size_t *words)
{
	const struct sl_fact *fact = sl_fact(device, CL_DEVICE_PARTITION_MAX_SUB_DEVICES);
	cl_uint most = 0;
	if (fact && fact->length == sizeof(most))
		memcpy(&most, fact->value, sizeof(most));
	*words = 2;
	if (!properties)
		return CL_INVALID_VALUE;
	switch (properties[0]) {
	case CL_DEVICE_PARTITION_EQUALLY:
	case CL_DEVICE_PARTITION_BY_AFFINITY_DOMAIN:
		break;
	case CL_DEVICE_PARTITION_BY_COUNTS:
		while (properties[*words - 1] != CL_DEVICE_PARTITION_BY_COUNTS_LIST_END)
			if (++*words > (size_t)most + 2)
				return CL_INVALID_DEVICE_PARTITION_COUNT;
		break;
	default:
		return CL_INVALID_VALUE;
	}
	return properties[*words] ? CL_INVALID_VALUE : CL_SUCCESS;
}

/* Asks how many sub-devices the partition has, where created is NULL, or makes them. */
static cl_int partition(sl_object *device, const cl_device_partition_property *properties, size_t words, cl_uint *count,
			sl_object *const *created)
{
	struct sl_session *session = device->session;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot,
				sl_send_clCreateSubDevices(session, slot, device, created ? *count : 0, created,
							   words * sizeof(*properties), properties));
	if (status == CL_SUCCESS && !created)
		memcpy(count, slot->payload, sizeof(*count));
	sl_slot_give(session, slot);
	if (status == CL_SUCCESS && (!*count || *count > SL_LIST_MAX))
		return CL_OUT_OF_RESOURCES;
	return status;
}

/* Makes count sub-devices, and asks what they are. */
static cl_int partition_make(sl_object *device, const cl_device_partition_property *properties, size_t words,
			     cl_uint count, sl_object **made)
{
	cl_int status = CL_SUCCESS;
	for (cl_uint i = 0; i < count && status == CL_SUCCESS; i++)
		if (!(made[i] = sl_object_new(device->session, SL_DEVICE, NULL, device)))
			status = CL_OUT_OF_HOST_MEMORY;
	if (status == CL_SUCCESS)
		status = partition(device, properties, words, &count, made);
	bool known = status == CL_SUCCESS;
	for (cl_uint i = 0; i < count && status == CL_SUCCESS; i++)
		status = sl_describe(made[i], NULL);
	for (cl_uint i = 0; i < count && status != CL_SUCCESS; i++) {
		if (known)
			sl_release(made[i]);
		else
			sl_discard(made[i]);
	}
	return status;
}

cl_int CL_API_CALL sl_clCreateSubDevices(cl_device_id in_device, const cl_device_partition_property *properties,
					 cl_uint num_devices, cl_device_id *out_devices, cl_uint *num_devices_ret)
{
	sl_object *device = sl_find(in_device, SL_DEVICE);
	if (!device)
		return CL_INVALID_DEVICE;
	size_t words;
	cl_uint count;
	cl_int status = partition_words(device, properties, &words);
	if (status == CL_SUCCESS)
		status = partition(device, properties, words, &count, NULL);
	if (status == CL_SUCCESS && out_devices && num_devices < count)
		status = CL_INVALID_VALUE;
	if (status == CL_SUCCESS && out_devices) {
		sl_object **made = calloc(count, sizeof(sl_object *));
		status = made ? partition_make(device, properties, words, count, made) : CL_OUT_OF_HOST_MEMORY;
		for (cl_uint i = 0; i < count && status == CL_SUCCESS; i++)
			out_devices[i] = (cl_device_id)made[i];
		free(made);
	}
	if (status == CL_SUCCESS && num_devices_ret)
		*num_devices_ret = count;
	return status;
}

cl_int CL_API_CALL sl_clGetDeviceAndHostTimer(cl_device_id device, cl_ulong *device_timestamp, cl_ulong *host_timestamp)
{
	const sl_object *object = sl_find(device, SL_DEVICE);
	if (!object)
		return CL_INVALID_DEVICE;
	struct sl_session *session = object->session;
	const struct sl_fact *resolution = sl_fact(&session->platform, CL_PLATFORM_HOST_TIMER_RESOLUTION);
	static const uint8_t none[sizeof(cl_ulong)];
	if (!resolution || memcmp(resolution->value, none, resolution->length) == 0)
		return CL_INVALID_OPERATION;
	if (!device_timestamp || !host_timestamp)
		return CL_INVALID_VALUE;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_clGetDeviceAndHostTimer(session, slot, object));
	if (status == CL_SUCCESS) {
		memcpy(device_timestamp, slot->payload, 8);
		memcpy(host_timestamp, slot->payload + 8, 8);
	}
	sl_slot_give(session, slot);
	return status;
}

cl_int CL_API_CALL sl_clGetHostTimer(cl_device_id device, cl_ulong *host_timestamp)
{
	cl_ulong ignored;
	return sl_clGetDeviceAndHostTimer(device, &ignored, host_timestamp);
}
