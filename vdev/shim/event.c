/* Events. */
#include "gen/calls.h"
#include "gen/messages.h"

cl_event CL_API_CALL sl_clCreateUserEvent(cl_context context, cl_int *errcode_ret)
{
	sl_object *context_object = sl_find(context, SL_CONTEXT);
	if (!context_object)
		return sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	sl_object *event = sl_event_new(context_object, CL_COMMAND_USER);
	cl_int status = event ? sl_send_clCreateUserEvent(context_object->session, NULL, context_object, event)
			      : CL_OUT_OF_HOST_MEMORY;
	sl_fail(errcode_ret, status);
	if (status == CL_SUCCESS)
		return (cl_event)event;
	sl_discard(event);
	return NULL;
}

cl_int CL_API_CALL sl_clSetUserEventStatus(cl_event event, cl_int execution_status)
{
	sl_object *object = sl_find(event, SL_EVENT);
	if (!object || object->as.event.command != CL_COMMAND_USER)
		return CL_INVALID_EVENT;
	if (execution_status > CL_COMPLETE)
		return CL_INVALID_VALUE;
	if (atomic_exchange(&object->as.event.complete, 1))
		return CL_INVALID_OPERATION;
	return sl_send_clSetUserEventStatus(object->session, NULL, object, (uint64_t)(int64_t)execution_status);
}

cl_int CL_API_CALL sl_clGetEventInfo(cl_event event, cl_event_info param_name, size_t param_value_size,
				     void *param_value, size_t *param_value_size_ret)
{
	sl_object *object = sl_find(event, SL_EVENT);
	if (!object)
		return CL_INVALID_EVENT;
	struct sl_session *session = object->session;
	void *handle = object->context;
	cl_uint number = object->as.event.command;
	switch (param_name) {
	case CL_EVENT_COMMAND_QUEUE:
		handle = object->parent;
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	case CL_EVENT_CONTEXT:
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	case CL_EVENT_REFERENCE_COUNT:
		number = atomic_load(&object->references);
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_EVENT_COMMAND_TYPE:
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_EVENT_COMMAND_EXECUTION_STATUS:
		break;
	default:
		return CL_INVALID_VALUE;
	}
	struct sl_slot *slot = sl_slot_take(session);
	return sl_info_reply(session, slot, sl_send_clGetEventInfo(session, slot, object), param_value_size,
			     param_value, param_value_size_ret);
}

/* Keeps the times that are final, and gives the one that was asked for. */
static uint64_t times_keep(sl_object *event, const uint8_t *answer)
{
	uint64_t words[2 + SL_TIME_COUNT];
	memcpy(words, answer, sizeof(words));
	for (size_t i = 0; i < SL_TIME_COUNT; i++)
		if (words[1] >> i & 1)
			atomic_store_explicit(&event->as.event.times[i], words[2 + i], memory_order_relaxed);
	atomic_fetch_or(&event->as.event.timed, words[1]);
	return words[0];
}

/* A program that asks for one time of a command asks for others, too: the driver is asked once for all. */
cl_int CL_API_CALL sl_clGetEventProfilingInfo(cl_event event, cl_profiling_info param_name, size_t param_value_size,
					      void *param_value, size_t *param_value_size_ret)
{
	sl_object *object = sl_find(event, SL_EVENT);
	if (!object)
		return CL_INVALID_EVENT;
	uint32_t index = param_name - CL_PROFILING_COMMAND_QUEUED;
	if (index < SL_TIME_COUNT && atomic_load(&object->as.event.timed) >> index & 1) {
		uint64_t known = atomic_load_explicit(&object->as.event.times[index], memory_order_relaxed);
		return sl_info(&known, sizeof(known), param_value_size, param_value, param_value_size_ret);
	}
	struct sl_session *session = object->session;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_clGetEventProfilingInfo(session, slot, object, param_name));
	if (status == CL_SUCCESS) {
		size_t length;
		const uint8_t *answer = sl_reply(session, slot, &length);
		status = CL_OUT_OF_RESOURCES;
		if (answer && length == (2 + SL_TIME_COUNT) * sizeof(uint64_t)) {
			uint64_t asked = times_keep(object, answer);
			status = sl_info(&asked, sizeof(asked), param_value_size, param_value, param_value_size_ret);
		}
	}
	sl_slot_give(session, slot);
	return status;
}
