/* Info queries: the platform's and the device's facts, and the shape of every answer. */
#include "gen/calls.h"
#include "gen/messages.h"

#include <stdlib.h>

/* Answers a query as OpenCL 3.0, 4.1 ff. demand: a value too long for the program's memory is CL_INVALID_VALUE. */
cl_int sl_info(const void *value, size_t length, size_t size, void *out, size_t *size_ret)
{
	if (out && size < length)
		return CL_INVALID_VALUE;
	if (out && length)
		memcpy(out, value, length);
	if (size_ret)
		*size_ret = length;
	return CL_SUCCESS;
}

/* Answers a query with the payload of a forwarded one. Gives the slot back. */
cl_int sl_info_reply(struct sl_session *session, struct sl_slot *slot, cl_int sent, size_t size, void *out,
		     size_t *size_ret)
{
	cl_int status = sl_wait(session, slot, sent);
	if (status == CL_SUCCESS) {
		size_t length;
		const uint8_t *value = sl_reply(session, slot, &length);
		status = value ? sl_info(value, length, size, out, size_ret) : CL_OUT_OF_RESOURCES;
		if (slot->elsewhere && value)
			sl_unreserve(session, (uint64_t)(value - session->arena));
	}
	sl_slot_give(session, slot);
	return status;
}

static int fact_order(const void *a, const void *b)
{
	uint32_t x = ((const struct sl_fact *)a)->parameter, y = ((const struct sl_fact *)b)->parameter;
	return (x > y) - (x < y);
}

/* Splits the description: u32 group, u32 parameter, u32 length, u32 reserved, the value padded to 8 bytes. */
static cl_int facts_parse(struct sl_session *session, size_t length)
{
	const uint8_t *data = session->facts_data;
	size_t capacity = length / 16;
	for (int group = 0; group < 2; group++)
		if (!(session->facts[group] = calloc(capacity + 1, sizeof(struct sl_fact))))
			return CL_OUT_OF_HOST_MEMORY;
	for (size_t at = 0; at + 16 <= length;) {
		uint32_t head[4];
		memcpy(head, data + at, sizeof(head));
		at += sizeof(head);
		if (head[0] > 1 || head[2] > length - at)
			return CL_OUT_OF_RESOURCES;
		struct sl_fact *fact = &session->facts[head[0]][session->fact_counts[head[0]]++];
		*fact = (struct sl_fact){.parameter = head[1], .length = head[2], .value = data + at};
		at += (head[2] + 7U) & ~7U;
	}
	for (int group = 0; group < 2; group++)
		qsort(session->facts[group], session->fact_counts[group], sizeof(struct sl_fact), fact_order);
	return CL_SUCCESS;
}

/* Asks once for all that does not change, so that no query of it ever waits. */
cl_int sl_describe(struct sl_session *session)
{
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_describe(session, slot, &session->device));
	if (status == CL_SUCCESS) {
		size_t length;
		const uint8_t *value = sl_reply(session, slot, &length);
		session->facts_data = malloc(length + 1);
		if (value && session->facts_data) {
			memcpy(session->facts_data, value, length);
			status = facts_parse(session, length);
		} else {
			status = CL_OUT_OF_HOST_MEMORY;
		}
		if (slot->elsewhere && value)
			sl_unreserve(session, (uint64_t)(value - session->arena));
	}
	sl_slot_give(session, slot);
	return status;
}

const struct sl_fact *sl_fact(const sl_object *object, uint32_t parameter)
{
	int group = object->kind == SL_DEVICE;
	struct sl_fact key = {.parameter = parameter};
	return bsearch(&key, object->session->facts[group], object->session->fact_counts[group], sizeof(key),
		       fact_order);
}

uint64_t sl_device_number(const struct sl_session *session, uint32_t parameter, uint64_t otherwise)
{
	const struct sl_fact *fact = sl_fact(&session->device, parameter);
	uint64_t value = 0;
	if (!fact || fact->length > 8)
		return otherwise;
	memcpy(&value, fact->value, fact->length);
	return value;
}

cl_int CL_API_CALL sl_clGetPlatformInfo(cl_platform_id platform, cl_platform_info param_name, size_t param_value_size,
					void *param_value, size_t *param_value_size_ret)
{
	struct sl_session *session = sl_session();
	const sl_object *object = platform ? sl_find(platform, SL_PLATFORM) : session ? &session->platform : NULL;
	if (!object)
		return CL_INVALID_PLATFORM;
	const struct sl_fact *fact = sl_fact(object, param_name);
	if (!fact)
		return CL_INVALID_VALUE;
	return sl_info(fact->value, fact->length, param_value_size, param_value, param_value_size_ret);
}

cl_int CL_API_CALL sl_clGetDeviceInfo(cl_device_id device, cl_device_info param_name, size_t param_value_size,
				      void *param_value, size_t *param_value_size_ret)
{
	const sl_object *object = sl_find(device, SL_DEVICE);
	if (!object)
		return CL_INVALID_DEVICE;
	void *handle = NULL;
	if (param_name == CL_DEVICE_PLATFORM)
		handle = &object->session->platform;
	if (param_name == CL_DEVICE_PLATFORM || param_name == CL_DEVICE_PARENT_DEVICE)
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	const struct sl_fact *fact = sl_fact(object, param_name);
	if (!fact)
		return CL_INVALID_VALUE;
	return sl_info(fact->value, fact->length, param_value_size, param_value, param_value_size_ret);
}

cl_int CL_API_CALL sl_clGetPlatformIDs(cl_uint num_entries, cl_platform_id *platforms, cl_uint *num_platforms)
{
	if ((!num_entries && platforms) || (!platforms && !num_platforms))
		return CL_INVALID_VALUE;
	struct sl_session *session = sl_session();
	if (num_platforms)
		*num_platforms = session ? 1 : 0;
	if (!session)
		return CL_PLATFORM_NOT_FOUND_KHR;
	if (platforms)
		platforms[0] = (cl_platform_id)&session->platform;
	return CL_SUCCESS;
}

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
	cl_device_type type = sl_device_number(session, CL_DEVICE_TYPE, 0) | CL_DEVICE_TYPE_DEFAULT;
	if (!(type & device_type)) {
		if (num_devices)
			*num_devices = 0;
		return CL_DEVICE_NOT_FOUND;
	}
	if (num_devices)
		*num_devices = 1;
	if (devices)
		devices[0] = (cl_device_id)&session->device;
	return CL_SUCCESS;
}

cl_int CL_API_CALL sl_clRetainDevice(cl_device_id device)
{
	return sl_find(device, SL_DEVICE) ? CL_SUCCESS : CL_INVALID_DEVICE;
}

cl_int CL_API_CALL sl_clReleaseDevice(cl_device_id device)
{
	return sl_find(device, SL_DEVICE) ? CL_SUCCESS : CL_INVALID_DEVICE;
}

cl_int CL_API_CALL sl_clCreateSubDevices(cl_device_id in_device, const cl_device_partition_property *properties,
					 cl_uint num_devices, cl_device_id *out_devices, cl_uint *num_devices_ret)
{
	(void)properties, (void)num_devices, (void)out_devices, (void)num_devices_ret;
	/* The device reports no partition type, so any request for one is invalid. */
	return sl_find(in_device, SL_DEVICE) ? CL_INVALID_VALUE : CL_INVALID_DEVICE;
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
	cl_int status = sl_wait(session, slot, sl_send_clGetDeviceAndHostTimer(session, slot));
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
