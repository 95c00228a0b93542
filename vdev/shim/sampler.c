/* Samplers. */
#include "gen/calls.h"
#include "gen/messages.h"

/* Reads a property list; what it leaves out has the values of OpenCL 3.0, 5.7.1. */
static cl_int sampler_properties(sl_object *sampler, const cl_sampler_properties *properties)
{
	sampler->as.sampler.normalized = CL_TRUE;
	sampler->as.sampler.addressing = CL_ADDRESS_CLAMP;
	sampler->as.sampler.filter = CL_FILTER_NEAREST;
	for (const cl_sampler_properties *p = properties; p && p[0]; p += 2) {
		switch (p[0]) {
		case CL_SAMPLER_NORMALIZED_COORDS:
			sampler->as.sampler.normalized = (cl_bool)p[1];
			break;
		case CL_SAMPLER_ADDRESSING_MODE:
			sampler->as.sampler.addressing = (cl_addressing_mode)p[1];
			break;
		case CL_SAMPLER_FILTER_MODE:
			sampler->as.sampler.filter = (cl_filter_mode)p[1];
			break;
		default:
			return CL_INVALID_VALUE;
		}
	}
	return sl_properties_copy(&sampler->as.sampler.properties, properties);
}

cl_sampler CL_API_CALL sl_clCreateSamplerWithProperties(cl_context context,
							const cl_sampler_properties *sampler_properties_list,
							cl_int *errcode_ret)
{
	sl_object *context_object = sl_find(context, SL_CONTEXT);
	if (!context_object)
		return sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	struct sl_session *session = context_object->session;
	sl_object *sampler = sl_object_new(session, SL_SAMPLER, context_object, NULL);
	if (!sampler)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	cl_int status = sampler_properties(sampler, sampler_properties_list);
	if (status == CL_SUCCESS) {
		struct sl_slot *slot = sl_slot_take(session);
		status = sl_finish(session, slot,
				   sl_send_clCreateSamplerWithProperties(
					   session, slot, context_object, sampler, sampler->as.sampler.normalized,
					   sampler->as.sampler.addressing, sampler->as.sampler.filter));
	}
	sl_fail(errcode_ret, status);
	if (status == CL_SUCCESS)
		return (cl_sampler)sampler;
	sl_discard(sampler);
	return NULL;
}

cl_sampler CL_API_CALL sl_clCreateSampler(cl_context context, cl_bool normalized_coords,
					  cl_addressing_mode addressing_mode, cl_filter_mode filter_mode,
					  cl_int *errcode_ret)
{
	const cl_sampler_properties list[] = {CL_SAMPLER_NORMALIZED_COORDS,
					      normalized_coords,
					      CL_SAMPLER_ADDRESSING_MODE,
					      addressing_mode,
					      CL_SAMPLER_FILTER_MODE,
					      filter_mode,
					      0};
	cl_sampler sampler = sl_clCreateSamplerWithProperties(context, list, errcode_ret);
	if (sampler)
		((sl_object *)(void *)sampler)->as.sampler.properties.count = 0;
	return sampler;
}

cl_int CL_API_CALL sl_clGetSamplerInfo(cl_sampler sampler, cl_sampler_info param_name, size_t param_value_size,
				       void *param_value, size_t *param_value_size_ret)
{
	sl_object *object = sl_find(sampler, SL_SAMPLER);
	if (!object)
		return CL_INVALID_SAMPLER;
	void *context = object->context;
	cl_uint number;
	switch (param_name) {
	case CL_SAMPLER_CONTEXT:
		return sl_info(&context, sizeof(context), param_value_size, param_value, param_value_size_ret);
	case CL_SAMPLER_PROPERTIES:
		return sl_properties_info(&object->as.sampler.properties, sizeof(cl_sampler_properties),
					  param_value_size, param_value, param_value_size_ret);
	case CL_SAMPLER_REFERENCE_COUNT:
		number = atomic_load(&object->references);
		break;
	case CL_SAMPLER_NORMALIZED_COORDS:
		number = object->as.sampler.normalized;
		break;
	case CL_SAMPLER_ADDRESSING_MODE:
		number = object->as.sampler.addressing;
		break;
	case CL_SAMPLER_FILTER_MODE:
		number = object->as.sampler.filter;
		break;
	default:
		return CL_INVALID_VALUE;
	}
	return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
}
