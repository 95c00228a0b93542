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
