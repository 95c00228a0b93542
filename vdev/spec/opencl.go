package spec

// OpenCL is OpenCL as the Khronos installable client driver's loader knows it.
var OpenCL = API{
	Version: 300,
	Objects: openCLObjects,
	Calls:   openCLCalls,
	Own:     openCLOwn,

	Convention: "CL_API_CALL",
	Status:     "cl_int",
	Success:    "CL_SUCCESS",
	Exhausted:  "CL_OUT_OF_RESOURCES",
	NoMemory:   "CL_OUT_OF_HOST_MEMORY",
	CountType:  "cl_uint",
	Address:    "const void *",

	Queue: Queue,
}

// Kinds of OpenCL's objects.
const (
	Platform Object = iota + 1
	Device
	Context
	Queue
	Mem
	Sampler
	Program
	Kernel
	Event
)

var openCLObjects = []ObjectName{
	{Platform, "platform", "cl_platform_id", "CL_INVALID_PLATFORM", ""},
	{Device, "device", "cl_device_id", "CL_INVALID_DEVICE", "clReleaseDevice"},
	{Context, "context", "cl_context", "CL_INVALID_CONTEXT", "clReleaseContext"},
	{Queue, "queue", "cl_command_queue", "CL_INVALID_COMMAND_QUEUE", "clReleaseCommandQueue"},
	{Mem, "mem", "cl_mem", "CL_INVALID_MEM_OBJECT", "clReleaseMemObject"},
	{Sampler, "sampler", "cl_sampler", "CL_INVALID_SAMPLER", "clReleaseSampler"},
	{Program, "program", "cl_program", "CL_INVALID_PROGRAM", "clReleaseProgram"},
	{Kernel, "kernel", "cl_kernel", "CL_INVALID_KERNEL", "clReleaseKernel"},
	{Event, "event", "cl_event", "CL_INVALID_EVENT", "clReleaseEvent"},
}

// openCLCalls is the loader's dispatch table, in its
// order: a call's number is its place in that table, from 1. The first 114 core
// functions carry the version of the OpenCL specification that introduced them;
// those without a version belong to extensions that are never advertised.
var openCLCalls = []Call{
	{
		Number: 1, Name: "clGetPlatformIDs", Version: "1.0", Returns: "cl_int",
		Params: "cl_uint num_entries, cl_platform_id *platforms, cl_uint *num_platforms",
		Form:   Local,
	},
	{
		Number: 2, Name: "clGetPlatformInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_platform_id platform, cl_platform_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Local,
	},
	{
		Number: 3, Name: "clGetDeviceIDs", Version: "1.0", Returns: "cl_int",
		Params: "cl_platform_id platform, cl_device_type device_type, cl_uint num_entries, cl_device_id *devices, cl_uint *num_devices",
		Form:   Local,
	},
	{
		Number: 4, Name: "clGetDeviceInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_device_id device, cl_device_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Local,
	},
	{
		Number: 5, Name: "clCreateContext", Version: "1.0", Returns: "cl_context",
		Params: "const cl_context_properties *properties, cl_uint num_devices, const cl_device_id *devices, sl_context_callback pfn_notify, void *user_data, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handles(Device, "num_devices", "devices"), created(Context)},
	},
	{
		Number: 6, Name: "clCreateContextFromType", Version: "1.0", Returns: "cl_context",
		Params: "const cl_context_properties *properties, cl_device_type device_type, sl_context_callback pfn_notify, void *user_data, cl_int *errcode_ret",
		Form:   Local,
	},
	{
		Number: 7, Name: "clRetainContext", Version: "1.0", Returns: "cl_int",
		Params: "cl_context context",
		Form:   Retain, Object: Context,
	},
	{
		Number: 8, Name: "clReleaseContext", Version: "1.0", Returns: "cl_int",
		Params: "cl_context context",
		Form:   Release, Object: Context,
	},
	{
		Number: 9, Name: "clGetContextInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_context context, cl_context_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Local,
	},
	{
		Number: 10, Name: "clCreateCommandQueue", Version: "1.0", Returns: "cl_command_queue",
		Params: "cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int *errcode_ret",
		Form:   Local,
	},
	{
		Number: 11, Name: "clRetainCommandQueue", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue",
		Form:   Retain, Object: Queue,
	},
	{
		Number: 12, Name: "clReleaseCommandQueue", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue",
		Form:   Release, Object: Queue,
	},
	{
		Number: 13, Name: "clGetCommandQueueInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_command_queue_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Local,
	},
	{
		Number: 14, Name: "clSetCommandQueueProperty", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_command_queue_properties properties, cl_bool enable, cl_command_queue_properties *old_properties",
		Form:   Refused, Absent: "CL_INVALID_OPERATION",
		Wire: []Field{handle(Queue, "command_queue")},
	},
	{
		Number: 15, Name: "clCreateBuffer", Version: "1.0", Returns: "cl_mem",
		Params: "cl_context context, cl_mem_flags flags, size_t size, void *host_ptr, cl_int *errcode_ret",
		Form:   Special,
		Wire:   []Field{handle(Context, "context"), created(Mem), scalar("cl_mem_flags", "flags"), scalar("size_t", "size")},
	},
	{
		Number: 16, Name: "clCreateImage2D", Version: "1.0", Returns: "cl_mem",
		Params: "cl_context context, cl_mem_flags flags, const cl_image_format *image_format, size_t image_width, size_t image_height, size_t image_row_pitch, void *host_ptr, cl_int *errcode_ret",
		Form:   Local,
	},
	{
		Number: 17, Name: "clCreateImage3D", Version: "1.0", Returns: "cl_mem",
		Params: "cl_context context, cl_mem_flags flags, const cl_image_format *image_format, size_t image_width, size_t image_height, size_t image_depth, size_t image_row_pitch, size_t image_slice_pitch, void *host_ptr, cl_int *errcode_ret",
		Form:   Local,
	},
	{
		Number: 18, Name: "clRetainMemObject", Version: "1.0", Returns: "cl_int",
		Params: "cl_mem memobj",
		Form:   Retain, Object: Mem,
	},
	{
		Number: 19, Name: "clReleaseMemObject", Version: "1.0", Returns: "cl_int",
		Params: "cl_mem memobj",
		Form:   Release, Object: Mem,
	},
	{
		Number: 20, Name: "clGetSupportedImageFormats", Version: "1.0", Returns: "cl_int",
		Params: "cl_context context, cl_mem_flags flags, cl_mem_object_type image_type, cl_uint num_entries, cl_image_format *image_formats, cl_uint *num_image_formats",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), scalar("cl_mem_flags", "flags"), scalar("cl_uint", "image_type")},
	},
	{
		Number: 21, Name: "clGetMemObjectInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_mem memobj, cl_mem_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Local,
	},
	{
		Number: 22, Name: "clGetImageInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_mem image, cl_image_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Local,
	},
	{
		Number: 23, Name: "clCreateSampler", Version: "1.0", Returns: "cl_sampler",
		Params: "cl_context context, cl_bool normalized_coords, cl_addressing_mode addressing_mode, cl_filter_mode filter_mode, cl_int *errcode_ret",
		Form:   Local,
	},
	{
		Number: 24, Name: "clRetainSampler", Version: "1.0", Returns: "cl_int",
		Params: "cl_sampler sampler",
		Form:   Retain, Object: Sampler,
	},
	{
		Number: 25, Name: "clReleaseSampler", Version: "1.0", Returns: "cl_int",
		Params: "cl_sampler sampler",
		Form:   Release, Object: Sampler,
	},
	{
		Number: 26, Name: "clGetSamplerInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_sampler sampler, cl_sampler_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Local,
	},
	{
		Number: 27, Name: "clCreateProgramWithSource", Version: "1.0", Returns: "cl_program",
		Params: "cl_context context, cl_uint count, const char * *strings, const size_t *lengths, cl_int *errcode_ret",
		Form:   Special,
		Wire:   []Field{handle(Context, "context"), created(Program), data("length", "source")},
	},
	{
		Number: 28, Name: "clCreateProgramWithBinary", Version: "1.0", Returns: "cl_program",
		Params: "cl_context context, cl_uint num_devices, const cl_device_id *device_list, const size_t *lengths, const unsigned char * *binaries, cl_int *binary_status, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), created(Program), handles(Device, "num_devices", "device_list"), data("lengths_size", "lengths"), data("length", "binaries")},
	},
	{
		Number: 29, Name: "clRetainProgram", Version: "1.0", Returns: "cl_int",
		Params: "cl_program program",
		Form:   Retain, Object: Program,
	},
	{
		Number: 30, Name: "clReleaseProgram", Version: "1.0", Returns: "cl_int",
		Params: "cl_program program",
		Form:   Release, Object: Program,
	},
	{
		Number: 31, Name: "clBuildProgram", Version: "1.0", Returns: "cl_int",
		Params: "cl_program program, cl_uint num_devices, const cl_device_id *device_list, const char *options, sl_program_callback pfn_notify, void *user_data",
		Form:   Special, Wait: Finished,
		Wire: []Field{handle(Program, "program"), handles(Device, "num_devices", "device_list"), data("length", "options"), data("rest_length", "rest"), data("files_length", "files")},
	},
	{
		Number: 32, Name: "clUnloadCompiler", Version: "1.0", Returns: "cl_int",
		Params: "void",
		Form:   Local,
	},
	{
		Number: 33, Name: "clGetProgramInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_program program, cl_program_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Program, "program"), scalar("cl_program_info", "param_name")},
	},
	{
		Number: 34, Name: "clGetProgramBuildInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_program program, cl_device_id device, cl_program_build_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   SpecialQuery, Wait: Accepted,
		Wire: []Field{handle(Program, "program"), handle(Device, "device"), scalar("cl_program_build_info", "param_name")},
	},
	{
		Number: 35, Name: "clCreateKernel", Version: "1.0", Returns: "cl_kernel",
		Params: "cl_program program, const char *kernel_name, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Program, "program"), created(Kernel), data("length", "kernel_name")},
	},
	{
		Number: 36, Name: "clCreateKernelsInProgram", Version: "1.0", Returns: "cl_int",
		Params: "cl_program program, cl_uint num_kernels, cl_kernel *kernels, cl_uint *num_kernels_ret",
		Form:   Local,
	},
	{
		Number: 37, Name: "clRetainKernel", Version: "1.0", Returns: "cl_int",
		Params: "cl_kernel kernel",
		Form:   Retain, Object: Kernel,
	},
	{
		Number: 38, Name: "clReleaseKernel", Version: "1.0", Returns: "cl_int",
		Params: "cl_kernel kernel",
		Form:   Release, Object: Kernel,
	},
	{
		Number: 39, Name: "clSetKernelArg", Version: "1.0", Returns: "cl_int",
		Params: "cl_kernel kernel, cl_uint arg_index, size_t arg_size, const void *arg_value",
		Form:   Special,
		Wire:   []Field{handle(Kernel, "kernel"), scalar("cl_uint", "arg_index"), scalar("size_t", "arg_size"), scalar("cl_uint", "arg_form"), handleOrNo(Mem, "buffer"), handleOrNo(Sampler, "sampler"), data("length", "arg_value")},
	},
	{
		Number: 40, Name: "clGetKernelInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_kernel kernel, cl_kernel_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Kernel, "kernel"), scalar("cl_kernel_info", "param_name")},
	},
	{
		Number: 41, Name: "clGetKernelWorkGroupInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Query, Wait: Accepted,
		Wire: []Field{handle(Kernel, "kernel"), handleOrNo(Device, "device"), scalar("cl_kernel_work_group_info", "param_name")},
	},
	{
		Number: 42, Name: "clWaitForEvents", Version: "1.0", Returns: "cl_int",
		Params: "cl_uint num_events, const cl_event *event_list",
		Form:   SpecialWorker, Wait: Finished,
		Wire: []Field{handles(Event, "num_events", "event_list")},
		Checks: []Check{
			{"!num_events || !event_list", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 43, Name: "clGetEventInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_event event, cl_event_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Event, "event")},
	},
	{
		Number: 44, Name: "clRetainEvent", Version: "1.0", Returns: "cl_int",
		Params: "cl_event event",
		Form:   Retain, Object: Event,
	},
	{
		Number: 45, Name: "clReleaseEvent", Version: "1.0", Returns: "cl_int",
		Params: "cl_event event",
		Form:   Release, Object: Event,
	},
	{
		Number: 46, Name: "clGetEventProfilingInfo", Version: "1.0", Returns: "cl_int",
		Params: "cl_event event, cl_profiling_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Event, "event"), scalar("cl_profiling_info", "param_name")},
	},
	{
		Number: 47, Name: "clFlush", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue",
		Form:   Generated,
		Wire:   []Field{handle(Queue, "command_queue")},
		Idle:   true,
	},
	{
		Number: 48, Name: "clFinish", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue",
		Form:   Special, Wait: Finished,
		Wire: []Field{handle(Queue, "command_queue")},
		Idle: true,
	},
	{
		Number: 49, Name: "clEnqueueReadBuffer", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_read, size_t offset, size_t size, void *ptr, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_READ_BUFFER",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "buffer"), scalar("cl_bool", "blocking"), scalar("size_t", "offset"), scalar("size_t", "size"), scalar("cl_uint", "place"), scalar("size_t", "place_offset"), ticket, waitList, newEvent},
	},
	{
		Number: 50, Name: "clEnqueueWriteBuffer", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_write, size_t offset, size_t size, const void *ptr, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_WRITE_BUFFER",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "buffer"), scalar("cl_bool", "blocking"), scalar("size_t", "offset"), scalar("size_t", "size"), scalar("cl_uint", "place"), scalar("size_t", "place_offset"), ticket, waitList, newEvent},
	},
	{
		Number: 51, Name: "clEnqueueCopyBuffer", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem src_buffer, cl_mem dst_buffer, size_t src_offset, size_t dst_offset, size_t size, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Command: "CL_COMMAND_COPY_BUFFER",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "src_buffer"), handle(Mem, "dst_buffer"), scalar("size_t", "src_offset"), scalar("size_t", "dst_offset"), scalar("size_t", "size"), waitList, newEvent},
		Checks: []Check{
			{"src_buffer_object->context != command_queue_object->context || dst_buffer_object->context != command_queue_object->context", "CL_INVALID_CONTEXT"},
			{"!size || !sl_mem_spans(src_buffer_object, src_offset, size) || !sl_mem_spans(dst_buffer_object, dst_offset, size)", "CL_INVALID_VALUE"},
			{"sl_mem_overlap(src_buffer_object, src_offset, dst_buffer_object, dst_offset, size)", "CL_MEM_COPY_OVERLAP"},
			{"sl_mem_misaligned(src_buffer_object, command_queue_object) || sl_mem_misaligned(dst_buffer_object, command_queue_object)", "CL_MISALIGNED_SUB_BUFFER_OFFSET"},
		},
	},
	{
		Number: 52, Name: "clEnqueueReadImage", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem image, cl_bool blocking_read, const size_t *origin, const size_t *region, size_t row_pitch, size_t slice_pitch, void *ptr, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_READ_IMAGE",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "image"), scalar("cl_bool", "blocking"), sizes("3", "origin"), sizes("3", "region"), scalar("cl_uint", "place"), scalar("size_t", "place_offset"), ticket, waitList, newEvent},
	},
	{
		Number: 53, Name: "clEnqueueWriteImage", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem image, cl_bool blocking_write, const size_t *origin, const size_t *region, size_t input_row_pitch, size_t input_slice_pitch, const void *ptr, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_WRITE_IMAGE",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "image"), scalar("cl_bool", "blocking"), sizes("3", "origin"), sizes("3", "region"), scalar("cl_uint", "place"), scalar("size_t", "place_offset"), ticket, waitList, newEvent},
	},
	{
		Number: 54, Name: "clEnqueueCopyImage", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem src_image, cl_mem dst_image, const size_t *src_origin, const size_t *dst_origin, const size_t *region, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Wait: Accepted, Command: "CL_COMMAND_COPY_IMAGE",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "src_image"), handle(Mem, "dst_image"), sizes("3", "src_origin"), sizes("3", "dst_origin"), sizes("3", "region"), waitList, newEvent},
		Checks: []Check{
			{"!src_origin || !dst_origin || !region", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 55, Name: "clEnqueueCopyImageToBuffer", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem src_image, cl_mem dst_buffer, const size_t *src_origin, const size_t *region, size_t dst_offset, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Wait: Accepted, Command: "CL_COMMAND_COPY_IMAGE_TO_BUFFER",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "src_image"), handle(Mem, "dst_buffer"), sizes("3", "src_origin"), sizes("3", "region"), scalar("size_t", "dst_offset"), waitList, newEvent},
		Checks: []Check{
			{"!src_origin || !region", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 56, Name: "clEnqueueCopyBufferToImage", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem src_buffer, cl_mem dst_image, size_t src_offset, const size_t *dst_origin, const size_t *region, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Wait: Accepted, Command: "CL_COMMAND_COPY_BUFFER_TO_IMAGE",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "src_buffer"), handle(Mem, "dst_image"), scalar("size_t", "src_offset"), sizes("3", "dst_origin"), sizes("3", "region"), waitList, newEvent},
		Checks: []Check{
			{"!dst_origin || !region", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 57, Name: "clEnqueueMapBuffer", Version: "1.0", Returns: "void *",
		Params: "cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_map, cl_map_flags map_flags, size_t offset, size_t size, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event, cl_int *errcode_ret",
		Form:   Special, Command: "CL_COMMAND_MAP_BUFFER",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "buffer"), scalar("cl_bool", "blocking"), scalar("cl_map_flags", "map_flags"), scalar("size_t", "offset"), scalar("size_t", "size"), waitList, newEvent},
	},
	{
		Number: 58, Name: "clEnqueueMapImage", Version: "1.0", Returns: "void *",
		Params: "cl_command_queue command_queue, cl_mem image, cl_bool blocking_map, cl_map_flags map_flags, const size_t *origin, const size_t *region, size_t *image_row_pitch, size_t *image_slice_pitch, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted, Command: "CL_COMMAND_MAP_IMAGE",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "image"), scalar("cl_bool", "blocking"), scalar("cl_map_flags", "map_flags"), sizes("3", "origin"), sizes("3", "region"), waitList, newEvent},
	},
	{
		Number: 59, Name: "clEnqueueUnmapMemObject", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem memobj, void *mapped_ptr, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_UNMAP_MEM_OBJECT",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "memobj"), scalar("size_t", "offset"), waitList, newEvent},
	},
	{
		Number: 60, Name: "clEnqueueNDRangeKernel", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_kernel kernel, cl_uint work_dim, const size_t *global_work_offset, const size_t *global_work_size, const size_t *local_work_size, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   SpecialShim, Command: "CL_COMMAND_NDRANGE_KERNEL",
		Wire: []Field{handle(Queue, "command_queue"), handle(Kernel, "kernel"), scalar("cl_uint", "work_dim"), sizes("work_dim", "global_work_offset"), sizes("work_dim", "global_work_size"), sizes("work_dim", "local_work_size"), waitList, newEvent},
	},
	{
		Number: 61, Name: "clEnqueueTask", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_kernel kernel, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Wait: Accepted, Command: "CL_COMMAND_TASK",
		Wire:   []Field{handle(Queue, "command_queue"), handle(Kernel, "kernel"), waitList, newEvent},
		Checks: []Check{{"sl_arguments_send(kernel_object) != CL_SUCCESS", "CL_OUT_OF_RESOURCES"}},
	},
	{
		Number: 62, Name: "clEnqueueNativeKernel", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, sl_native_kernel user_func, void *args, size_t cb_args, cl_uint num_mem_objects, const cl_mem *mem_list, const void * *args_mem_loc, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Refused, Absent: "CL_INVALID_OPERATION",
		Wire: []Field{handle(Queue, "command_queue")},
	},
	{
		Number: 63, Name: "clEnqueueMarker", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_event *event",
		Form:   Generated, Command: "CL_COMMAND_MARKER",
		Wire: []Field{handle(Queue, "command_queue"), newEvent},
		Checks: []Check{
			{"!event", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 64, Name: "clEnqueueWaitForEvents", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_uint num_events, const cl_event *event_list",
		Form:   SpecialWorker,
		Wire:   []Field{handle(Queue, "command_queue"), handles(Event, "num_events", "event_list")},
		Checks: []Check{
			{"!num_events || !event_list", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 65, Name: "clEnqueueBarrier", Version: "1.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue",
		Form:   Generated,
		Wire:   []Field{handle(Queue, "command_queue")},
	},
	{
		Number: 66, Name: "clGetExtensionFunctionAddress", Version: "1.0", Returns: "void *",
		Params: "const char *func_name",
		Form:   Local,
	},
	{Number: 67, Name: "clCreateFromGLBuffer", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 68, Name: "clCreateFromGLTexture2D", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 69, Name: "clCreateFromGLTexture3D", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 70, Name: "clCreateFromGLRenderbuffer", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 71, Name: "clGetGLObjectInfo", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 72, Name: "clGetGLTextureInfo", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 73, Name: "clEnqueueAcquireGLObjects", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 74, Name: "clEnqueueReleaseGLObjects", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 75, Name: "clGetGLContextInfoKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 76, Name: "clGetDeviceIDsFromD3D10KHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 77, Name: "clCreateFromD3D10BufferKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 78, Name: "clCreateFromD3D10Texture2DKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 79, Name: "clCreateFromD3D10Texture3DKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 80, Name: "clEnqueueAcquireD3D10ObjectsKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 81, Name: "clEnqueueReleaseD3D10ObjectsKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{
		Number: 82, Name: "clSetEventCallback", Version: "1.1", Returns: "cl_int",
		Params: "cl_event event, cl_int command_exec_callback_type, sl_event_callback pfn_notify, void *user_data",
		Form:   Local,
	},
	{
		Number: 83, Name: "clCreateSubBuffer", Version: "1.1", Returns: "cl_mem",
		Params: "cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type buffer_create_type, const void *buffer_create_info, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Mem, "buffer"), created(Mem), scalar("cl_mem_flags", "flags"), scalar("size_t", "origin"), scalar("size_t", "size")},
	},
	{
		Number: 84, Name: "clSetMemObjectDestructorCallback", Version: "1.1", Returns: "cl_int",
		Params: "cl_mem memobj, sl_mem_callback pfn_notify, void *user_data",
		Form:   Local,
	},
	{
		Number: 85, Name: "clCreateUserEvent", Version: "1.1", Returns: "cl_event",
		Params: "cl_context context, cl_int *errcode_ret",
		Form:   Special,
		Wire:   []Field{handle(Context, "context"), created(Event)},
	},
	{
		Number: 86, Name: "clSetUserEventStatus", Version: "1.1", Returns: "cl_int",
		Params: "cl_event event, cl_int execution_status",
		Form:   Special,
		Wire:   []Field{handle(Event, "event"), scalar("cl_int", "execution_status")},
	},
	{
		Number: 87, Name: "clEnqueueReadBufferRect", Version: "1.1", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_read, const size_t *buffer_origin, const size_t *host_origin, const size_t *region, size_t buffer_row_pitch, size_t buffer_slice_pitch, size_t host_row_pitch, size_t host_slice_pitch, void *ptr, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_READ_BUFFER_RECT",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "buffer"), scalar("cl_bool", "blocking"), sizes("3", "buffer_origin"), sizes("3", "region"), scalar("size_t", "buffer_row_pitch"), scalar("size_t", "buffer_slice_pitch"), scalar("cl_uint", "place"), scalar("size_t", "place_offset"), ticket, waitList, newEvent},
	},
	{
		Number: 88, Name: "clEnqueueWriteBufferRect", Version: "1.1", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem buffer, cl_bool blocking_write, const size_t *buffer_origin, const size_t *host_origin, const size_t *region, size_t buffer_row_pitch, size_t buffer_slice_pitch, size_t host_row_pitch, size_t host_slice_pitch, const void *ptr, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_WRITE_BUFFER_RECT",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "buffer"), scalar("cl_bool", "blocking"), sizes("3", "buffer_origin"), sizes("3", "region"), scalar("size_t", "buffer_row_pitch"), scalar("size_t", "buffer_slice_pitch"), scalar("cl_uint", "place"), scalar("size_t", "place_offset"), ticket, waitList, newEvent},
	},
	{
		Number: 89, Name: "clEnqueueCopyBufferRect", Version: "1.1", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem src_buffer, cl_mem dst_buffer, const size_t *src_origin, const size_t *dst_origin, const size_t *region, size_t src_row_pitch, size_t src_slice_pitch, size_t dst_row_pitch, size_t dst_slice_pitch, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Wait: Accepted, Command: "CL_COMMAND_COPY_BUFFER_RECT",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "src_buffer"), handle(Mem, "dst_buffer"), sizes("3", "src_origin"), sizes("3", "dst_origin"), sizes("3", "region"), scalar("size_t", "src_row_pitch"), scalar("size_t", "src_slice_pitch"), scalar("size_t", "dst_row_pitch"), scalar("size_t", "dst_slice_pitch"), waitList, newEvent},
		Checks: []Check{
			{"!src_origin || !dst_origin || !region", "CL_INVALID_VALUE"},
		},
	},
	{Number: 90, Name: "clCreateSubDevicesEXT", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 91, Name: "clRetainDeviceEXT", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 92, Name: "clReleaseDeviceEXT", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 93, Name: "clCreateEventFromGLsyncKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{
		Number: 94, Name: "clCreateSubDevices", Version: "1.2", Returns: "cl_int",
		Params: "cl_device_id in_device, const cl_device_partition_property *properties, cl_uint num_devices, cl_device_id *out_devices, cl_uint *num_devices_ret",
		Form:   Special, Wait: Accepted,
		// Without new handles it answers with the number of sub-devices.
		Wire: []Field{handle(Device, "in_device"), createdList(Device, "count"), data("length", "properties")},
	},
	{
		Number: 95, Name: "clRetainDevice", Version: "1.2", Returns: "cl_int",
		Params: "cl_device_id device",
		Form:   Local,
	},
	{
		Number: 96, Name: "clReleaseDevice", Version: "1.2", Returns: "cl_int",
		Params: "cl_device_id device",
		Form:   Local,
	},
	{
		Number: 97, Name: "clCreateImage", Version: "1.2", Returns: "cl_mem",
		Params: "cl_context context, cl_mem_flags flags, const cl_image_format *image_format, const cl_image_desc *image_desc, void *host_ptr, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), created(Mem), scalar("cl_mem_flags", "flags"), scalar("cl_uint", "order"), scalar("cl_uint", "data_type"), scalar("cl_uint", "image_type"), scalar("size_t", "width"), scalar("size_t", "height"), scalar("size_t", "depth"), scalar("size_t", "array_size"), scalar("size_t", "row_pitch"), handleOrNo(Mem, "from")},
	},
	{
		Number: 98, Name: "clCreateProgramWithBuiltInKernels", Version: "1.2", Returns: "cl_program",
		Params: "cl_context context, cl_uint num_devices, const cl_device_id *device_list, const char *kernel_names, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), created(Program), handles(Device, "num_devices", "device_list"), data("length", "kernel_names")},
	},
	{
		Number: 99, Name: "clCompileProgram", Version: "1.2", Returns: "cl_int",
		Params: "cl_program program, cl_uint num_devices, const cl_device_id *device_list, const char *options, cl_uint num_input_headers, const cl_program *input_headers, const char * *header_include_names, sl_program_callback pfn_notify, void *user_data",
		Form:   Special, Wait: Finished,
		Wire: []Field{handle(Program, "program"), handles(Device, "num_devices", "device_list"), data("options_length", "options"), data("rest_length", "rest"), data("files_length", "files"), handles(Program, "num_input_headers", "input_headers"), data("names_length", "names")},
	},
	{
		Number: 100, Name: "clLinkProgram", Version: "1.2", Returns: "cl_program",
		Params: "cl_context context, cl_uint num_devices, const cl_device_id *device_list, const char *options, cl_uint num_input_programs, const cl_program *input_programs, sl_program_callback pfn_notify, void *user_data, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), created(Program), handles(Device, "num_devices", "device_list"), data("options_length", "options"), handles(Program, "num_input_programs", "input_programs")},
	},
	{
		Number: 101, Name: "clUnloadPlatformCompiler", Version: "1.2", Returns: "cl_int",
		Params: "cl_platform_id platform",
		Form:   Local,
	},
	{
		Number: 102, Name: "clGetKernelArgInfo", Version: "1.2", Returns: "cl_int",
		Params: "cl_kernel kernel, cl_uint arg_indx, cl_kernel_arg_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   SpecialQuery, Wait: Accepted,
		Wire:   []Field{handle(Kernel, "kernel"), scalar("cl_uint", "arg_indx"), scalar("cl_kernel_arg_info", "param_name")},
		Checks: []Check{{"arg_indx >= kernel_object->as.kernel.signature->argument_count", "CL_INVALID_ARG_INDEX"}},
	},
	{
		Number: 103, Name: "clEnqueueFillBuffer", Version: "1.2", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem buffer, const void *pattern, size_t pattern_size, size_t offset, size_t size, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Command: "CL_COMMAND_FILL_BUFFER",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "buffer"), data("pattern_size", "pattern"), scalar("size_t", "offset"), scalar("size_t", "size"), waitList, newEvent},
		Checks: []Check{
			{"buffer_object->context != command_queue_object->context", "CL_INVALID_CONTEXT"},
			{"!pattern || !pattern_size || pattern_size > 128 || (pattern_size & (pattern_size - 1))", "CL_INVALID_VALUE"},
			{"offset % pattern_size || size % pattern_size || !sl_mem_spans(buffer_object, offset, size)", "CL_INVALID_VALUE"},
			{"sl_mem_misaligned(buffer_object, command_queue_object)", "CL_MISALIGNED_SUB_BUFFER_OFFSET"},
		},
	},
	{
		Number: 104, Name: "clEnqueueFillImage", Version: "1.2", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_mem image, const void *fill_color, const size_t *origin, const size_t *region, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Wait: Accepted, Command: "CL_COMMAND_FILL_IMAGE",
		Wire: []Field{handle(Queue, "command_queue"), handle(Mem, "image"), data("16", "fill_color"), sizes("3", "origin"), sizes("3", "region"), waitList, newEvent},
		Checks: []Check{
			{"!fill_color || !origin || !region", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 105, Name: "clEnqueueMigrateMemObjects", Version: "1.2", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_uint num_mem_objects, const cl_mem *mem_objects, cl_mem_migration_flags flags, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Wait: Accepted, Command: "CL_COMMAND_MIGRATE_MEM_OBJECTS",
		Wire: []Field{handle(Queue, "command_queue"), handles(Mem, "num_mem_objects", "mem_objects"), scalar("cl_mem_migration_flags", "flags"), waitList, newEvent},
		Checks: []Check{
			{"!num_mem_objects || !mem_objects", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 106, Name: "clEnqueueMarkerWithWaitList", Version: "1.2", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Command: "CL_COMMAND_MARKER",
		Wire: []Field{handle(Queue, "command_queue"), waitList, newEvent},
	},
	{
		Number: 107, Name: "clEnqueueBarrierWithWaitList", Version: "1.2", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Command: "CL_COMMAND_BARRIER",
		Wire: []Field{handle(Queue, "command_queue"), waitList, newEvent},
	},
	{
		Number: 108, Name: "clGetExtensionFunctionAddressForPlatform", Version: "1.2", Returns: "void *",
		Params: "cl_platform_id platform, const char *func_name",
		Form:   Local,
	},
	{Number: 109, Name: "clCreateFromGLTexture", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 110, Name: "clGetDeviceIDsFromD3D11KHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 111, Name: "clCreateFromD3D11BufferKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 112, Name: "clCreateFromD3D11Texture2DKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 113, Name: "clCreateFromD3D11Texture3DKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 114, Name: "clCreateFromDX9MediaSurfaceKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 115, Name: "clEnqueueAcquireD3D11ObjectsKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 116, Name: "clEnqueueReleaseD3D11ObjectsKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 117, Name: "clGetDeviceIDsFromDX9MediaAdapterKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 118, Name: "clEnqueueAcquireDX9MediaSurfacesKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 119, Name: "clEnqueueReleaseDX9MediaSurfacesKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 120, Name: "clCreateFromEGLImageKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{Number: 121, Name: "clEnqueueAcquireEGLObjectsKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 122, Name: "clEnqueueReleaseEGLObjectsKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{Number: 123, Name: "clCreateEventFromEGLSyncKHR", Returns: "void *", Absent: "CL_INVALID_OPERATION"},
	{
		Number: 124, Name: "clCreateCommandQueueWithProperties", Version: "2.0", Returns: "cl_command_queue",
		Params: "cl_context context, cl_device_id device, const cl_queue_properties *properties, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), handle(Device, "device"), created(Queue), scalar("cl_ulong", "properties")},
	},
	{
		Number: 125, Name: "clCreatePipe", Version: "2.0", Returns: "cl_mem",
		Params: "cl_context context, cl_mem_flags flags, cl_uint pipe_packet_size, cl_uint pipe_max_packets, const cl_pipe_properties *properties, cl_int *errcode_ret",
		Form:   Refused, Absent: "CL_INVALID_OPERATION",
		Wire: []Field{handle(Context, "context")},
	},
	{
		Number: 126, Name: "clGetPipeInfo", Version: "2.0", Returns: "cl_int",
		Params: "cl_mem pipe, cl_pipe_info param_name, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Refused, Absent: "CL_INVALID_MEM_OBJECT",
		Wire: []Field{handle(Mem, "pipe")},
	},
	{
		Number: 127, Name: "clSVMAlloc", Version: "2.0", Returns: "void *",
		Params: "cl_context context, cl_svm_mem_flags flags, size_t size, cl_uint alignment",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), scalar("size_t", "size")},
	},
	{
		Number: 128, Name: "clSVMFree", Version: "2.0", Returns: "void",
		Params: "cl_context context, void *svm_pointer",
		Form:   Special,
		Wire:   []Field{address("svm_pointer")},
	},
	{
		Number: 129, Name: "clEnqueueSVMFree", Version: "2.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_uint num_svm_pointers, void **svm_pointers, sl_svm_free_callback pfn_free_func, void *user_data, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Local, Command: "CL_COMMAND_SVM_FREE",
	},
	{
		Number: 130, Name: "clEnqueueSVMMemcpy", Version: "2.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_bool blocking_copy, void *dst_ptr, const void *src_ptr, size_t size, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_SVM_MEMCPY",
		Wire: []Field{handle(Queue, "command_queue"), scalar("cl_bool", "blocking"), address("dst_ptr"), address("src_ptr"), scalar("size_t", "size"), waitList, newEvent},
	},
	{
		Number: 131, Name: "clEnqueueSVMMemFill", Version: "2.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, void *svm_ptr, const void *pattern, size_t pattern_size, size_t size, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   SpecialWorker, Command: "CL_COMMAND_SVM_MEMFILL",
		Wire: []Field{handle(Queue, "command_queue"), address("svm_ptr"), data("pattern_size", "pattern"), scalar("size_t", "size"), waitList, newEvent},
		Checks: []Check{
			noSVM,
			{"!pattern || !pattern_size || pattern_size > 128 || (pattern_size & (pattern_size - 1))", "CL_INVALID_VALUE"},
			{"(uintptr_t)svm_ptr % pattern_size || !size || size % pattern_size", "CL_INVALID_VALUE"},
			{"!sl_svm_spans(command_queue_object->session, svm_ptr, size)", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 132, Name: "clEnqueueSVMMap", Version: "2.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_bool blocking_map, cl_map_flags flags, void *svm_ptr, size_t size, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_SVM_MAP",
		Wire: []Field{handle(Queue, "command_queue"), scalar("cl_bool", "blocking"), scalar("cl_map_flags", "flags"), address("svm_ptr"), scalar("size_t", "size"), waitList, newEvent},
	},
	{
		Number: 133, Name: "clEnqueueSVMUnmap", Version: "2.0", Returns: "cl_int",
		Params: "cl_command_queue command_queue, void *svm_ptr, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Generated, Command: "CL_COMMAND_SVM_UNMAP",
		Wire: []Field{handle(Queue, "command_queue"), address("svm_ptr"), waitList, newEvent},
		Checks: []Check{
			noSVM,
			{"!sl_svm_spans(command_queue_object->session, svm_ptr, 1)", "CL_INVALID_VALUE"},
		},
	},
	{
		Number: 134, Name: "clCreateSamplerWithProperties", Version: "2.0", Returns: "cl_sampler",
		Params: "cl_context context, const cl_sampler_properties *sampler_properties, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), created(Sampler), scalar("cl_bool", "normalized"), scalar("cl_uint", "addressing"), scalar("cl_uint", "filter")},
	},
	{
		Number: 135, Name: "clSetKernelArgSVMPointer", Version: "2.0", Returns: "cl_int",
		Params: "cl_kernel kernel, cl_uint arg_index, const void *arg_value",
		Form:   Special,
		Wire:   []Field{handle(Kernel, "kernel"), scalar("cl_uint", "arg_index"), address("arg_value")},
	},
	{
		Number: 136, Name: "clSetKernelExecInfo", Version: "2.0", Returns: "cl_int",
		Params: "cl_kernel kernel, cl_kernel_exec_info param_name, size_t param_value_size, const void *param_value",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Kernel, "kernel"), data("size", "pointers")},
	},
	{Number: 137, Name: "clGetKernelSubGroupInfoKHR", Returns: "cl_int", Absent: "CL_INVALID_OPERATION"},
	{
		Number: 138, Name: "clCloneKernel", Version: "2.1", Returns: "cl_kernel",
		Params: "cl_kernel source_kernel, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Kernel, "source_kernel"), created(Kernel)},
	},
	{
		Number: 139, Name: "clCreateProgramWithIL", Version: "2.1", Returns: "cl_program",
		Params: "cl_context context, const void *il, size_t length, cl_int *errcode_ret",
		Form:   Special, Wait: Accepted,
		Wire: []Field{handle(Context, "context"), created(Program), data("length", "il")},
	},
	{
		Number: 140, Name: "clEnqueueSVMMigrateMem", Version: "2.1", Returns: "cl_int",
		Params: "cl_command_queue command_queue, cl_uint num_svm_pointers, const void * *svm_pointers, const size_t *sizes, cl_mem_migration_flags flags, cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event",
		Form:   Special, Command: "CL_COMMAND_SVM_MIGRATE_MEM",
		Wire: []Field{handle(Queue, "command_queue"), data("pointers_size", "svm_pointers"), data("sizes_size", "sizes"), scalar("cl_mem_migration_flags", "flags"), waitList, newEvent},
	},
	{
		Number: 141, Name: "clGetDeviceAndHostTimer", Version: "2.1", Returns: "cl_int",
		Params: "cl_device_id device, cl_ulong *device_timestamp, cl_ulong *host_timestamp",
		Form:   Special, Wait: Accepted, Wire: []Field{handle(Device, "device")},
	},
	{
		Number: 142, Name: "clGetHostTimer", Version: "2.1", Returns: "cl_int",
		Params: "cl_device_id device, cl_ulong *host_timestamp",
		Form:   Local,
	},
	{
		Number: 143, Name: "clGetKernelSubGroupInfo", Version: "2.1", Returns: "cl_int",
		Params: "cl_kernel kernel, cl_device_id device, cl_kernel_sub_group_info param_name, size_t input_value_size, const void *input_value, size_t param_value_size, void *param_value, size_t *param_value_size_ret",
		Form:   Query, Wait: Accepted,
		Wire:   []Field{handle(Kernel, "kernel"), handleOrNo(Device, "device"), scalar("cl_kernel_sub_group_info", "param_name"), data("input_value_size", "input_value")},
		Checks: []Check{{"input_value_size && !input_value", "CL_INVALID_VALUE"}},
	},
	{
		Number: 144, Name: "clSetDefaultDeviceCommandQueue", Version: "2.1", Returns: "cl_int",
		Params: "cl_context context, cl_device_id device, cl_command_queue command_queue",
		Form:   Refused, Absent: "CL_INVALID_OPERATION",
		Wire: []Field{handle(Context, "context"), handle(Device, "device")},
	},
	{
		Number: 145, Name: "clSetProgramReleaseCallback", Version: "2.2", Returns: "cl_int",
		Params: "cl_program program, sl_program_callback pfn_notify, void *user_data",
		Form:   Local,
	},
	{
		Number: 146, Name: "clSetProgramSpecializationConstant", Version: "2.2", Returns: "cl_int",
		Params: "cl_program program, cl_uint spec_id, size_t spec_size, const void *spec_value",
		Form:   Refused, Absent: "CL_INVALID_OPERATION",
		Wire: []Field{handle(Program, "program")},
	},
	{
		Number: 147, Name: "clCreateBufferWithProperties", Version: "3.0", Returns: "cl_mem",
		Params: "cl_context context, const cl_mem_properties *properties, cl_mem_flags flags, size_t size, void *host_ptr, cl_int *errcode_ret",
		Form:   Local,
	},
	{
		Number: 148, Name: "clCreateImageWithProperties", Version: "3.0", Returns: "cl_mem",
		Params: "cl_context context, const cl_mem_properties *properties, cl_mem_flags flags, const cl_image_format *image_format, const cl_image_desc *image_desc, void *host_ptr, cl_int *errcode_ret",
		Form:   Local,
	},
	{
		Number: 149, Name: "clSetContextDestructorCallback", Version: "3.0", Returns: "cl_int",
		Params: "cl_context context, sl_context_destructor pfn_notify, void *user_data",
		Form:   Local,
	},
}

var openCLOwn = []Call{
	// Describe answers with the device's info queries, after the platform's where it is the first.
	{Number: 1000, Name: "describe", Form: Special, Wait: Accepted, Wire: []Field{handle(Device, "device")}},
	// Release drops the program's last reference of any object.
	{Number: 1001, Name: "release", Form: Special, Wire: []Field{scalar("cl_uint", "object"), scalar("cl_uint", "handle")}},
	// Credit asks for bytes of a device that creates may then use without asking, and answers with how many there are.
	{Number: 1002, Name: "credit", Form: Special, Wait: Accepted, Wire: []Field{handle(Device, "device"), scalar("cl_ulong", "bytes")}},
	// Reserve answers with the arena offset of a place for a large transfer.
	{Number: 1003, Name: "reserve", Form: Special, Wait: Accepted, Wire: []Field{scalar("cl_ulong", "bytes")}},
	// Unreserve gives a place back.
	{Number: 1004, Name: "unreserve", Form: Special, Wire: []Field{scalar("cl_ulong", "offset")}},
	// Locate answers with the arena offset of a buffer's bytes, filled with pages,
	// and with 1 where the device works on them in place, which is so of all of a
	// Session's buffers or of none, and of all of its images or of none.
	{Number: 1005, Name: "locate", Form: Special, Wait: Accepted, Wire: []Field{handle(Mem, "buffer")}},
	// Access waits for what the queue holds and keeps a buffer's range for the
	// shim to read or write in place, until Leave.
	{Number: 1006, Name: "access", Form: Special, Wait: Finished, Wire: []Field{
		handle(Queue, "command_queue"), handle(Mem, "buffer"), scalar("cl_map_flags", "map_flags"),
		scalar("size_t", "offset"), scalar("size_t", "size"), waitList, created(Event), newEvent,
	}},
	{Number: 1007, Name: "leave", Form: Special, Wire: []Field{handle(Event, "gate")}},
	// Turn puts a point into the queue at which the program's own process has its
	// turn: what is behind the gate waits until the shim has set it. With a memory
	// object the point is a map, of an image where there is a region, and the answer
	// the arena offset of its bytes and an image's pitches.
	{Number: 1011, Name: "turn", Form: Special, Wait: Accepted, Wire: []Field{
		handle(Queue, "command_queue"), handleOrNo(Mem, "memory"), scalar("cl_map_flags", "map_flags"),
		scalar("size_t", "offset"), scalar("size_t", "size"), sizes("3", "origin"), sizes("3", "region"), waitList,
		{Kind: New, Object: Event, Name: "point"},
		{Kind: New, Object: Event, Name: "gate"},
		newEvent,
	}},
	// Outlast waits for the commands that the queue holds. Where several threads
	// feed the queue, it waits for none that come later.
	{Number: 1013, Name: "outlast", Form: Special, Wait: Finished, Wire: []Field{handle(Queue, "command_queue"), scalar("cl_uint", "several")}, Idle: true},
	// Settle marks the tickets of finished transfers.
	{Number: 1008, Name: "settle", Form: Special, Wait: Finished, Wire: []Field{scalar("cl_uint", "ticket")}},
	// Notify asks for a notice when an event reaches a state.
	{Number: 1010, Name: "notify", Form: Special, Wire: []Field{handle(Event, "event"), scalar("cl_int", "state"), scalar("cl_uint", "notice")}},
	// Overlay makes a buffer of shared virtual memory.
	{Number: 1012, Name: "overlay", Form: Special, Wire: []Field{
		handle(Context, "context"), created(Mem), scalar("cl_mem_flags", "flags"), address("host_ptr"), scalar("size_t", "size"),
	}},
	// Output answers with the next bytes that kernels have printed.
	{Number: 1009, Name: "output", Form: Special, Wait: Accepted},
}

func scalar(typ, name string) Field       { return Field{Kind: Scalar, Type: typ, Name: name} }
func handle(o Object, name string) Field  { return Field{Kind: Handle, Object: o, Name: name} }
func handleOrNo(o Object, n string) Field { return Field{Kind: HandleOrNo, Object: o, Name: n} }
func created(o Object) Field              { return Field{Kind: New, Object: o, Name: "created"} }
func createdList(o Object, count string) Field {
	return Field{Kind: NewList, Object: o, Count: count, Name: "created"}
}
func address(name string) Field      { return Field{Kind: Address, Name: name} }
func sizes(count, name string) Field { return Field{Kind: Sizes, Count: count, Name: name} }
func data(length, name string) Field { return Field{Kind: Bytes, Count: length, Name: name} }
func handles(o Object, count, name string) Field {
	return Field{Kind: Handles, Object: o, Count: count, Name: name}
}

var (
	waitList = Field{Kind: WaitList, Object: Event, Count: "num_events_in_wait_list", Name: "event_wait_list"}
	newEvent = Field{Kind: NewEvent, Object: Event, Name: "event"}
	ticket   = Field{Kind: Ticket, Name: "ticket"}

	// noSVM is how a command on a device without shared virtual memory is refused.
	noSVM = Check{"!command_queue_object->session->addresses_equal", "CL_INVALID_OPERATION"}
)
