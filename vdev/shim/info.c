/* Info queries: what is known of the platform and of devices, and the shape of every answer. */
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

/* A program that could not map the arena where the worker has it has no shared virtual memory. */
static const uint8_t *fact_value(const struct sl_session *session, const uint32_t head[4], const uint8_t *value)
{
	static const uint8_t none[sizeof(cl_device_svm_capabilities)];
	bool svm = head[0] == 1 && head[1] == CL_DEVICE_SVM_CAPABILITIES && head[2] == sizeof(none);
	return svm && !session->addresses_equal ? none : value;
}

static cl_int fact_add(struct sl_facts *facts, const uint32_t head[4], const uint8_t *value)
{
	struct sl_fact *list = realloc(facts->list, (facts->count + 1) * sizeof(*list));
	if (!list)
		return CL_OUT_OF_HOST_MEMORY;
	facts->list = list;
	list[facts->count++] = (struct sl_fact){.parameter = head[1], .length = head[2], .value = value};
	return CL_SUCCESS;
}

/* Splits the description: u32 group, u32 parameter, u32 length, u32 reserved, the value padded to 8 bytes. */
static cl_int facts_parse(const struct sl_session *session, struct sl_facts *groups[2], const uint8_t *data,
			  size_t length)
{
	for (size_t at = 0; at + 16 <= length;) {
		uint32_t head[4];
		memcpy(head, data + at, sizeof(head));
		at += sizeof(head);
		if (head[0] > 1 || !groups[head[0]] || head[2] > length - at)
			return CL_OUT_OF_RESOURCES;
		cl_int status = fact_add(groups[head[0]], head, fact_value(session, head, data + at));
		if (status != CL_SUCCESS)
			return status;
		at += (head[2] + 7U) & ~7U;
	}
	for (int group = 0; group < 2; group++)
		if (groups[group] && groups[group]->count)
			qsort(groups[group]->list, groups[group]->count, sizeof(struct sl_fact), fact_order);
	return CL_SUCCESS;
}

void sl_facts_free(struct sl_facts *facts)
{
	free(facts->data);
	free(facts->list);
}

/*
 * Asks once for all that does not change of a device, and of the platform where it is asked for too, so that no query
 * of it ever waits. The device owns the platform's values.
 */
cl_int sl_describe(sl_object *device, sl_object *platform)
{
	struct sl_session *session = device->session;
	struct sl_facts *facts = &device->as.facts, *groups[2] = {platform ? &platform->as.facts : NULL, facts};
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_describe(session, slot, device));
	if (status == CL_SUCCESS) {
		size_t length;
		const uint8_t *value = sl_reply(session, slot, &length);
		facts->data = malloc(length + 1);
		if (value && facts->data) {
			memcpy(facts->data, value, length);
			status = facts_parse(session, groups, facts->data, length);
		} else {
			status = CL_OUT_OF_HOST_MEMORY;
		}
		if (slot->elsewhere && value)
			sl_unreserve(session, (uint64_t)(value - session->arena));
	}
	sl_slot_give(session, slot);
	return status;
}

/* What is known of the platform or a device, or NULL. */
const struct sl_fact *sl_fact(const sl_object *object, uint32_t parameter)
{
	struct sl_fact key = {.parameter = parameter};
	return bsearch(&key, object->as.facts.list, object->as.facts.count, sizeof(key), fact_order);
}

uint64_t sl_device_number(const sl_object *device, uint32_t parameter, uint64_t otherwise)
{
	const struct sl_fact *fact = sl_fact(device, parameter);
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
