/* Programs. */
#include "gen/calls.h"
#include "gen/messages.h"
#include "include.h"

#include <stdlib.h>

static sl_object *context_of_devices(cl_context context, cl_int *errcode_ret)
{
	sl_object *object = sl_find(context, SL_CONTEXT);
	if (!object)
		sl_fail(errcode_ret, CL_INVALID_CONTEXT);
	return object;
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
	if (program)
		pthread_mutex_init(&program->as.program.lock, NULL);
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
	if (program) {
		program->as.program.includes = memmem(source, length, "include", 7) != NULL;
		status = sl_send_clCreateProgramWithSource(context_object->session, NULL, context_object, program,
							   length, source);
	}
	free(source);
	if (!program)
		return sl_fail(errcode_ret, status);
	return program_made(program, status, errcode_ret);
}

/* What is wrong with the binaries of a program; says so of each. */
static cl_int binaries_check(cl_uint count, const cl_device_id *devices, const size_t *lengths,
			     const unsigned char **binaries, cl_int *binary_status)
{
	cl_int status = count && devices && lengths && binaries ? sl_devices_check(count, devices) : CL_INVALID_VALUE;
	if (status != CL_SUCCESS)
		return status;
	for (cl_uint i = 0; i < count; i++) {
		bool given = lengths[i] && binaries[i];
		if (binary_status)
			binary_status[i] = given ? CL_SUCCESS : CL_INVALID_VALUE;
		if (!given)
			status = CL_INVALID_VALUE;
	}
	return count > SL_LIST_MAX ? CL_OUT_OF_RESOURCES : status;
}

/* Joins the binaries, as they travel. The caller frees them. */
static uint8_t *binaries_join(cl_uint count, const size_t *lengths, const unsigned char **binaries, size_t *total)
{
	*total = 0;
	for (cl_uint i = 0; i < count; i++)
		if (__builtin_add_overflow(*total, lengths[i], total))
			return NULL;
	uint8_t *joined = malloc(*total), *p = joined;
	for (cl_uint i = 0; joined && i < count; i++) {
		memcpy(p, binaries[i], lengths[i]);
		p += lengths[i];
	}
	return joined;
}

cl_program CL_API_CALL sl_clCreateProgramWithBinary(cl_context context, cl_uint num_devices,
						    const cl_device_id *device_list, const size_t *lengths,
						    const unsigned char **binaries, cl_int *binary_status,
						    cl_int *errcode_ret)
{
	sl_object *context_object = context_of_devices(context, errcode_ret);
	if (!context_object)
		return NULL;
	cl_int status = binaries_check(num_devices, device_list, lengths, binaries, binary_status);
	sl_object *program = status == CL_SUCCESS ? program_new(context_object, &status) : NULL;
	if (!program)
		return sl_fail(errcode_ret, status);
	struct sl_session *session = context_object->session;
	size_t total;
	uint8_t *joined = binaries_join(num_devices, lengths, binaries, &total);
	if (!joined)
		return program_made(program, CL_OUT_OF_HOST_MEMORY, errcode_ret);
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_wait(session, slot,
			 sl_send_clCreateProgramWithBinary(session, slot, context_object, program, num_devices,
							   device_list, num_devices * sizeof(size_t), lengths, total,
							   joined));
	free(joined);
	size_t length = 0, wanted = num_devices * sizeof(cl_int);
	const uint8_t *statuses = sl_reply(session, slot, &length);
	if (binary_status && statuses && length == wanted)
		memcpy(binary_status, statuses, wanted);
	sl_slot_give(session, slot);
	return program_made(program, status, errcode_ret);
}

cl_int CL_API_CALL sl_clBuildProgram(cl_program program, cl_uint num_devices, const cl_device_id *device_list,
				     const char *options, sl_program_callback pfn_notify, void *user_data)
{
	sl_object *object = sl_find(program, SL_PROGRAM);
	if (!object)
		return CL_INVALID_PROGRAM;
	cl_int status = sl_devices_check(num_devices, device_list);
	if (status == CL_SUCCESS && !pfn_notify && user_data)
		status = CL_INVALID_VALUE;
	if (status != CL_SUCCESS)
		return status;
	if (!options)
		options = "";
	struct sl_included found;
	if ((status = sl_included_find(&found, options, object, 0, NULL)) != CL_SUCCESS)
		return status;
	sl_signatures_forget(object);
	struct sl_session *session = object->session;
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_finish(session, slot,
			   sl_send_clBuildProgram(session, slot, object, num_devices, device_list, strlen(options),
						  options, found.rest ? strlen(found.rest) : 0, found.rest,
						  found.length, found.bytes));
	sl_included_free(&found);
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
	cl_int status = sl_devices_check(num_devices, device_list);
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
	struct sl_included found;
	status = sl_included_find(&found, options, object, num_input_headers, input_headers);
	if (status != CL_SUCCESS) {
		free(names);
		return status;
	}
	sl_signatures_forget(object);
	struct sl_session *session = object->session;
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_finish(session, slot,
			   sl_send_clCompileProgram(session, slot, object, num_devices, device_list, strlen(options),
						    options, found.rest ? strlen(found.rest) : 0, found.rest,
						    found.length, found.bytes, num_input_headers, input_headers,
						    names_length, names));
	sl_included_free(&found);
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
	cl_int status = sl_devices_check(num_devices, device_list);
	if (status == CL_SUCCESS && ((!pfn_notify && user_data) || !num_input_programs || !input_programs))
		status = CL_INVALID_VALUE;
	if (status == CL_SUCCESS)
		status = sl_check_list(SL_PROGRAM, num_input_programs, (void *const *)input_programs,
				       CL_INVALID_PROGRAM);
	if (status != CL_SUCCESS)
		return sl_fail(errcode_ret, status);
	struct sl_session *session = context_object->session;
	sl_object *program = program_new(context_object, &status);
	if (!program)
		return sl_fail(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	if (!options)
		options = "";
	bool made;
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_finish_command(session, slot,
				   sl_send_clLinkProgram(session, slot, context_object, program, num_devices,
							 device_list, strlen(options), options, num_input_programs,
							 input_programs),
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
	cl_int status = num_devices && device_list && kernel_names ? sl_devices_check(num_devices, device_list)
								   : CL_INVALID_VALUE;
	sl_object *program = status == CL_SUCCESS ? program_new(context_object, &status) : NULL;
	if (!program)
		return sl_fail(errcode_ret, status);
	struct sl_session *session = program->session;
	struct sl_slot *slot = sl_slot_take(session);
	return program_made(
		program,
		sl_finish(session, slot,
			  sl_send_clCreateProgramWithBuiltInKernels(session, slot, context_object, program, num_devices,
								    device_list, strlen(kernel_names), kernel_names)),
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

/* CL_PROGRAM_DEVICES, or their number where out is NULL and number is not. */
static cl_int program_devices(const sl_object *program, cl_uint *number, size_t size, void *out, size_t *size_ret)
{
	struct sl_session *session = program->session;
	struct sl_slot *slot = sl_slot_take(session);
	cl_int status = sl_wait(session, slot, sl_send_clGetProgramInfo(session, slot, program, CL_PROGRAM_DEVICES));
	if (status == CL_SUCCESS) {
		size_t length;
		const uint8_t *handles = sl_reply(session, slot, &length);
		if (number)
			*number = (cl_uint)(length / sizeof(uint32_t));
		else
			status = sl_context_devices_info(program->context, handles, length, size, out, size_ret);
	}
	sl_slot_give(session, slot);
	return status;
}

/* Hands out binaries: u64 count, u64 length each, then the binaries. */
static cl_int binaries_copy(const uint8_t *answer, size_t length, size_t size, unsigned char **to)
{
	uint64_t count = 0;
	if (length >= sizeof(count))
		memcpy(&count, answer, sizeof(count));
	if (count > length / sizeof(count) - 1 || size < count * sizeof(*to))
		return CL_INVALID_VALUE;
	size_t offset = (count + 1) * sizeof(count);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t one;
		memcpy(&one, answer + (i + 1) * sizeof(one), sizeof(one));
		if (one > length - offset)
			return CL_OUT_OF_RESOURCES;
		if (to[i])
			memcpy(to[i], answer + offset, one);
		offset += one;
	}
	return CL_SUCCESS;
}

/* CL_PROGRAM_BINARIES: the program gives an array of pointers, one a device. */
static cl_int program_binaries(const sl_object *program, size_t size, void *value, size_t *size_ret)
{
	struct sl_session *session = program->session;
	cl_uint count;
	cl_int status = program_devices(program, &count, 0, NULL, NULL);
	if (status == CL_SUCCESS && value && size < count * sizeof(void *))
		status = CL_INVALID_VALUE;
	if (status == CL_SUCCESS && size_ret)
		*size_ret = count * sizeof(void *);
	if (status != CL_SUCCESS || !value)
		return status;
	struct sl_slot *slot = sl_slot_take(session);
	status = sl_wait(session, slot, sl_send_clGetProgramInfo(session, slot, program, CL_PROGRAM_BINARIES));
	size_t length = 0;
	const uint8_t *answer = status == CL_SUCCESS ? sl_reply(session, slot, &length) : NULL;
	if (status == CL_SUCCESS)
		status = answer ? binaries_copy(answer, length, size, value) : CL_OUT_OF_RESOURCES;
	if (answer && slot->elsewhere)
		sl_unreserve(session, (uint64_t)(answer - session->arena));
	sl_slot_give(session, slot);
	return status;
}

cl_int CL_API_CALL sl_clGetProgramInfo(cl_program program, cl_program_info param_name, size_t param_value_size,
				       void *param_value, size_t *param_value_size_ret)
{
	sl_object *object = sl_find(program, SL_PROGRAM);
	if (!object)
		return CL_INVALID_PROGRAM;
	struct sl_session *session = object->session;
	void *handle = NULL;
	cl_uint number;
	cl_int status;
	switch (param_name) {
	case CL_PROGRAM_CONTEXT:
		handle = object->context;
		return sl_info(&handle, sizeof(handle), param_value_size, param_value, param_value_size_ret);
	case CL_PROGRAM_DEVICES:
		return program_devices(object, NULL, param_value_size, param_value, param_value_size_ret);
	case CL_PROGRAM_REFERENCE_COUNT:
		number = atomic_load(&object->references);
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_PROGRAM_NUM_DEVICES:
		status = program_devices(object, &number, 0, NULL, NULL);
		if (status != CL_SUCCESS)
			return status;
		return sl_info(&number, sizeof(number), param_value_size, param_value, param_value_size_ret);
	case CL_PROGRAM_BINARIES:
		return program_binaries(object, param_value_size, param_value, param_value_size_ret);
	default:
		break;
	}
	struct sl_slot *slot = sl_slot_take(session);
	return sl_info_reply(session, slot, sl_send_clGetProgramInfo(session, slot, object, param_name),
			     param_value_size, param_value, param_value_size_ret);
}
