/* Programs. */
#include "gen/calls.h"
#include "gen/messages.h"

#include <stdlib.h>

static sl_object *context_of_devices(cl_context context, cl_int *errcode_ret)
{
	sl_object *object = sl_find(context, SL_CONTEXT);
	if (!object)
		sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	return object;
}

static cl_int devices_check(cl_uint count, const cl_device_id *list)
{
	if (!count != !list)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < count; i++)
		if (!sl_find(list[i], SL_DEVICE))
			return CL_INVALID_DEVICE;
	return CL_SUCCESS;
}

/* Joins the strings of a program. Returns NULL where memory runs out; status says what else is wrong. */
static char *source_join(cl_uint count, const char **strings, const size_t *lengths, size_t *total, cl_int *status)
{
	*total = 0;
	*status = CL_INVALID_VALUE;
	if (!count || !strings)
		return NULL;
	for (cl_uint i = 0; i < count; i++) {
		if (!strings[i])
			return NULL;
		*total += lengths && lengths[i] ? lengths[i] : strlen(strings[i]);
	}
	*status = CL_OUT_OF_HOST_MEMORY;
	char *joined = malloc(*total + 1), *p = joined;
	for (cl_uint i = 0; joined && i < count; i++) {
		size_t length = lengths && lengths[i] ? lengths[i] : strlen(strings[i]);
		memcpy(p, strings[i], length);
		p += length;
	}
	if (joined)
		*status = CL_SUCCESS;
	return joined;
}

static sl_object *program_new(sl_object *context, cl_int *status)
{
	sl_object *program = sl_object_new(context->session, SL_PROGRAM, context, NULL);
	*status = program ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
	return program;
}

/* What a create returns once the worker has said status. */
static cl_program program_made(sl_object *program, cl_int status, cl_int *errcode_ret)
{
	sl_fail(errcode_ret, status);
	if (status == CL_SUCCESS)
		return (cl_program)program;
	sl_discard(program);
	return NULL;
}

cl_program CL_API_CALL sl_clCreateProgramWithSource(cl_context context, cl_uint count, const char **strings,
						    const size_t *lengths, cl_int *errcode_ret)
{
	sl_object *context_object = context_of_devices(context, errcode_ret);
	if (!context_object)
		return NULL;
	size_t length;
	cl_int status;
	char *source = source_join(count, strings, lengths, &length, &status);
	if (!source)
		return sl_fail(errcode_ret, status);
	sl_object *program = program_new(context_object, &status);
	if (program)
		status = sl_send_clCreateProgramWithSource(context_object->session, NULL, context_object, program,
							   length, source);
	free(source);
	if (!program)
		return sl_fail(errcode_ret, status);
	return program_made(program, status, errcode_ret);
}

cl_program CL_API_CALL sl_clCreateProgramWithBinary(cl_context context, cl_uint num_devices,
						    const cl_device_id *device_list, const size_t *lengths,
						    const unsigned char **binaries, cl_int *binary_status,
						    cl_int *errcode_ret)
{
	sl_object *context_object = context_of_devices(context, errcode_ret);
	if (!context_object)
		return NULL;
	cl_int status = num_devices && device_list && lengths && binaries ? devices_check(num_devices, device_list)
									  : CL_INVALID_VALUE;
	if (status == CL_SUCCESS && num_devices > 1)
		status = CL_INVALID_DEVICE;
	if (status == CL_SUCCESS && (!lengths[0] || !binaries[0])) {
		if (binary_status)
			binary_status[0] = CL_INVALID_VALUE;
		status = CL_INVALID_VALUE;
	}
	if (status != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	struct sl_session *session = context_object->session;
	sl_object *program = program_new(context_object, &status);
	if (!program)
		return sl_fail(errcode_ret, status);
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_finish(
		session, slot,
		sl_send_clCreateProgramWithBinary(session, slot, context_object, program, lengths[0], binaries[0]));
	if (binary_status)
		binary_status[0] = status == CL_INVALID_BINARY ? CL_INVALID_BINARY : CL_SUCCESS;
	return program_made(program, status, errcode_ret);
}

cl_int CL_API_CALL sl_clBuildProgram(cl_program program, cl_uint num_devices, const cl_device_id *device_list,
				     const char *options, sl_program_callback pfn_notify, void *user_data)
{
	sl_object *object = sl_find(program, SL_PROGRAM);
	if (!object)
		return CL_INVALID_PROGRAM;
	cl_int status = devices_check(num_devices, device_list);
	if (status == CL_SUCCESS && !pfn_notify && user_data)
		status = CL_INVALID_VALUE;
	if (status != CL_SUCCESS)
		return status;
	if (!options)
		options = "";
	struct sl_session *session = object->session;
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_finish(session, slot, sl_send_clBuildProgram(session, slot, object, strlen(options), options));
	if (pfn_notify)
		pfn_notify(program, user_data);
	return status;
}

/* Joins the headers' include names, each ended by NUL. */
static char *names_join(cl_uint count, const char **names, size_t *length)
{
	*length = 0;
	for (cl_uint i = 0; i < count; i++)
		*length += names[i] ? strlen(names[i]) + 1 : 1;
	char *joined = calloc(1, *length + 1), *p = joined;
	for (cl_uint i = 0; joined && i < count; i++)
		p = stpcpy(p, names[i] ? names[i] : "") + 1;
	return joined;
}

cl_int CL_API_CALL sl_clCompileProgram(cl_program program, cl_uint num_devices, const cl_device_id *device_list,
				       const char *options, cl_uint num_input_headers, const cl_program *input_headers,
				       const char **header_include_names, sl_program_callback pfn_notify,
				       void *user_data)
{
	sl_object *object = sl_find(program, SL_PROGRAM);
	if (!object)
		return CL_INVALID_PROGRAM;
	cl_int status = devices_check(num_devices, device_list);
	if (status == CL_SUCCESS && ((!pfn_notify && user_data) || !num_input_headers != !input_headers ||
				     !num_input_headers != !header_include_names))
		status = CL_INVALID_VALUE;
	if (status == CL_SUCCESS)
		status = sl_check_list(SL_PROGRAM, num_input_headers, (void *const *)input_headers, CL_INVALID_PROGRAM);
	if (status != CL_SUCCESS)
		return status;
	size_t names_length;
	char *names = names_join(num_input_headers, header_include_names, &names_length);
	if (!names)
		return CL_OUT_OF_HOST_MEMORY;
	if (!options)
		options = "";
	struct sl_session *session = object->session;
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_finish(session, slot,
			   sl_send_clCompileProgram(session, slot, object, strlen(options), options, num_input_headers,
						    input_headers, names_length, names));
	free(names);
	if (pfn_notify)
		pfn_notify(program, user_data);
	return status;
}

cl_program CL_API_CALL sl_clLinkProgram(cl_context context, cl_uint num_devices, const cl_device_id *device_list,
					const char *options, cl_uint num_input_programs,
					const cl_program *input_programs, sl_program_callback pfn_notify,
					void *user_data, cl_int *errcode_ret)
{
	sl_object *context_object = context_of_devices(context, errcode_ret);
	if (!context_object)
		return NULL;
	cl_int status = devices_check(num_devices, device_list);
	if (status == CL_SUCCESS && ((!pfn_notify && user_data) || !num_input_programs || !input_programs))
		status = CL_INVALID_VALUE;
	if (status == CL_SUCCESS)
		status = sl_check_list(SL_PROGRAM, num_input_programs, (void *const *)input_programs,
				       CL_INVALID_PROGRAM);
	if (status != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	struct sl_session *session = context_object->session;
	sl_object *program = sl_object_new(session, SL_PROGRAM, context_object, NULL);
	if (!program)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	if (!options)
		options = "";
	bool made;
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_finish_command(session, slot,
				   sl_send_clLinkProgram(session, slot, context_object, program, strlen(options),
							 options, num_input_programs, input_programs),
				   &made);
	sl_fail(errcode_ret, status);
	if (!made) {
		sl_discard(program);
		return NULL;
	}
	if (pfn_notify)
		pfn_notify((cl_program)program, user_data);
	return (cl_program)program;
}

cl_program CL_API_CALL sl_clCreateProgramWithBuiltInKernels(cl_context context, cl_uint num_devices,
							    const cl_device_id *device_list, const char *kernel_names,
							    cl_int *errcode_ret)
{
	sl_object *context_object = context_of_devices(context, errcode_ret);
	if (!context_object)
		return NULL;
	cl_int status =
		num_devices && device_list && kernel_names ? devices_check(num_devices, device_list) : CL_INVALID_VALUE;
	sl_object *program = status == CL_SUCCESS ? program_new(context_object, &status) : NULL;
	if (!program)
		return sl_fail(errcode_ret, status);
	struct sl_session *session = program->session;
	struct sl_slot *slot = sl_slot_take(session);
	return program_made(program,
			    sl_finish(session, slot,
				      sl_send_clCreateProgramWithBuiltInKernels(session, slot, context_object, program,
										strlen(kernel_names), kernel_names)),
			    errcode_ret);
}

cl_program CL_API_CALL sl_clCreateProgramWithIL(cl_context context, const void *il, size_t length, cl_int *errcode_ret)
{
	sl_object *context_object = context_of_devices(context, errcode_ret);
	if (!context_object)
		return NULL;
	cl_int status = il && length ? CL_SUCCESS : CL_INVALID_VALUE;
	sl_object *program = status == CL_SUCCESS ? program_new(context_object, &status) : NULL;
	if (!program)
		return sl_fail(errcode_ret, status);
	struct sl_session *session = program->session;
	struct sl_slot *slot = sl_slot_take(session);
	return program_made(
		program,
		sl_finish(session, slot,
			  sl_send_clCreateProgramWithIL(session, slot, context_object, program, length, il)),
		errcode_ret);
}

cl_int CL_API_CALL sl_clUnloadPlatformCompiler(cl_platform_id platform)
{
	return sl_find(platform, SL_PLATFORM) ? CL_SUCCESS : CL_INVALID_PLATFORM;
}

cl_int CL_API_CALL sl_clUnloadCompiler(void)
{
	return CL_SUCCESS;
}

/* CL_PROGRAM_BINARIES: the program gives an array of pointers, one a device. */
static cl_int program_binaries(struct sl_session *session, const sl_object *program, size_t size, void *value,
			       size_t *size_ret)
{
	unsigned char *binary = NULL;
	if (value && size < sizeof(binary))
		return CL_INVALID_VALUE;
	if (size_ret)
		*size_ret = sizeof(binary);
	if (!value)
		return CL_SUCCESS;
	memcpy(&binary, value, sizeof(binary));
	if (!binary)
		return CL_SUCCESS;
	struct sl_slot *slot = sl_slot_take(session);
	return sl_info_reply(session, slot, sl_send_clGetProgramInfo(session, slot, program, CL_PROGRAM_BINARIES),
			     SIZE_MAX, binary, NULL);
}

cl_int CL_API_CALL sl_clGetProgramInfo(cl_program program, cl_program_info param_name, size_t param_value_size,
				       void *param_value, size_t *param_value_size_ret)
{
	sl_object *object = sl_find(program, SL_PROGRAM);
	if (!object)
		return CL_INVALID_PROGRAM;
	struct sl_session *session = object->session;
	void *handle = NULL;
	cl_uint number = 1;
	switch (param_name) {
	case CL_PROGRAM_CONTEXT:
		handle = object->context;
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	case CL_PROGRAM_DEVICES:
		handle = &session->device;
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	case CL_PROGRAM_REFERENCE_COUNT:
		number = atomic_load(&object->references);
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_PROGRAM_NUM_DEVICES:
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_PROGRAM_BINARIES:
		return program_binaries(session, object, param_value_size, param_value, param_value_size_ret);
	default:
		break;
	}
	struct sl_slot *slot = sl_slot_take(session);
	return sl_info_reply(session, slot, sl_send_clGetProgramInfo(session, slot, object, param_name),
			     param_value_size, param_value, param_value_size_ret);
}
