package main

import "sluice/vdev/spec"

// Kinds of CUDA's objects. A device is a number and memory an address.
const (
	cudaContext spec.Object = iota + 1
	cudaModule
	cudaFunction
	cudaStream
	cudaEvent
)

// cuda describes a part of CUDA's driver API, to show that the language can: no
// program of ours forwards it.
var cuda = spec.API{
	Version: 12040,
	Objects: []spec.ObjectName{
		{Object: cudaContext, Name: "context", Type: "CUcontext", Invalid: "CUDA_ERROR_INVALID_CONTEXT"},
		{Object: cudaModule, Name: "module", Type: "CUmodule", Invalid: "CUDA_ERROR_INVALID_HANDLE", Release: "cuModuleUnload"},
		{Object: cudaFunction, Name: "function", Type: "CUfunction", Invalid: "CUDA_ERROR_INVALID_HANDLE"},
		{Object: cudaStream, Name: "stream", Type: "CUstream", Invalid: "CUDA_ERROR_INVALID_HANDLE", Release: "cuStreamDestroy_v2"},
		{Object: cudaEvent, Name: "event", Type: "CUevent", Invalid: "CUDA_ERROR_INVALID_HANDLE", Release: "cuEventDestroy_v2"},
	},
	Calls: cudaCalls,
	Own: []spec.Call{
		{Number: 1001, Name: "release", Form: spec.Special, Wire: []spec.Field{value("unsigned int", "object"), value("unsigned int", "handle")}},
	},

	Convention: "CUDAAPI",
	Status:     "CUresult",
	Success:    "CUDA_SUCCESS",
	Exhausted:  "CUDA_ERROR_UNKNOWN",
	NoMemory:   "CUDA_ERROR_OUT_OF_MEMORY",
	NoSession:  "CUDA_ERROR_NO_DEVICE",
	Address:    "CUdeviceptr",
}

var cudaCalls = []spec.Call{
	{
		Number: 1, Name: "cuInit", Version: "2.0", Returns: "CUresult",
		Params: "unsigned int Flags",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire: []spec.Field{value("unsigned int", "Flags")},
	},
	{
		Number: 2, Name: "cuDriverGetVersion", Version: "2.2", Returns: "CUresult",
		Params: "int *driverVersion",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{answer("int", "driverVersion")},
		Checks: wanted("driverVersion"),
	},
	{
		Number: 3, Name: "cuDeviceGet", Version: "2.0", Returns: "CUresult",
		Params: "CUdevice *device, int ordinal",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{answer("CUdevice", "device"), value("int", "ordinal")},
		Checks: wanted("device"),
	},
	{
		Number: 4, Name: "cuDeviceGetCount", Version: "2.0", Returns: "CUresult",
		Params: "int *count",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{answer("int", "count")},
		Checks: wanted("count"),
	},
	{
		Number: 5, Name: "cuDeviceGetName", Version: "2.0", Returns: "CUresult",
		Params: "char *name, int len, CUdevice dev",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{answerBytes("len", "name"), value("CUdevice", "dev")},
		Checks: []spec.Check{{Fail: "!name || len <= 0", Status: "CUDA_ERROR_INVALID_VALUE"}},
	},
	{
		Number: 6, Name: "cuDeviceGetAttribute", Version: "2.0", Returns: "CUresult",
		Params: "int *pi, CUdevice_attribute attrib, CUdevice dev",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{answer("int", "pi"), value("CUdevice_attribute", "attrib"), value("CUdevice", "dev")},
		Checks: wanted("pi"),
	},
	{
		Number: 7, Name: "cuDeviceTotalMem_v2", Version: "3.2", Returns: "CUresult",
		Params: "size_t *bytes, CUdevice dev",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{answer("size_t", "bytes"), value("CUdevice", "dev")},
		Checks: wanted("bytes"),
	},
	{
		// The shim has one object for a device's primary context, however often it is
		// retained.
		Number: 8, Name: "cuDevicePrimaryCtxRetain", Version: "7.0", Returns: "CUresult",
		Params: "CUcontext *pctx, CUdevice dev",
		Form:   spec.SpecialShim, Wait: spec.Accepted,
		Wire: []spec.Field{made(cudaContext, "pctx"), value("CUdevice", "dev")},
	},
	{
		Number: 9, Name: "cuDevicePrimaryCtxRelease_v2", Version: "11.0", Returns: "CUresult",
		Params: "CUdevice dev",
		Form:   spec.SpecialShim, Wait: spec.Accepted,
		Wire: []spec.Field{value("CUdevice", "dev")},
	},
	{
		Number: 10, Name: "cuCtxSetCurrent", Version: "4.0", Returns: "CUresult",
		Params: "CUcontext ctx",
		Form:   spec.Local,
	},
	{
		Number: 11, Name: "cuCtxSynchronize", Version: "2.0", Returns: "CUresult",
		Params: "void",
		Form:   spec.Generated, Wait: spec.Finished,
		Wire: []spec.Field{currentContext},
	},
	{
		// Only the image itself says how long it is, so the worker looks before the
		// driver does.
		Number: 12, Name: "cuModuleLoadData", Version: "2.0", Returns: "CUresult",
		Params: "CUmodule *module, const void *image",
		Form:   spec.SpecialWorker, Wait: spec.Accepted,
		Wire:   []spec.Field{currentContext, made(cudaModule, "module"), bytesOf("sl_image_size(image)", "image")},
		Checks: wanted("module", "image"),
	},
	{
		Number: 13, Name: "cuModuleUnload", Version: "2.0", Returns: "CUresult",
		Params: "CUmodule hmod",
		Form:   spec.Release, Object: cudaModule,
	},
	{
		// Its answer is the layout of the function's parameters.
		Number: 14, Name: "cuModuleGetFunction", Version: "2.0", Returns: "CUresult",
		Params: "CUfunction *hfunc, CUmodule hmod, const char *name",
		Form:   spec.Special, Wait: spec.Accepted,
		Wire: []spec.Field{currentContext, made(cudaFunction, "hfunc"), of(cudaModule, "hmod"), text("name")},
	},
	{
		// What it answers with is an address that the Lease has from then on.
		Number: 15, Name: "cuModuleGetGlobal_v2", Version: "3.2", Returns: "CUresult",
		Params: "CUdeviceptr *dptr, size_t *bytes, CUmodule hmod, const char *name",
		Form:   spec.SpecialWorker, Wait: spec.Accepted,
		Wire:   []spec.Field{currentContext, answer("CUdeviceptr", "dptr"), answer("size_t", "bytes"), of(cudaModule, "hmod"), text("name")},
		Checks: wanted("name"),
	},
	{
		Number: 16, Name: "cuFuncGetAttribute", Version: "2.2", Returns: "CUresult",
		Params: "int *pi, CUfunction_attribute attrib, CUfunction hfunc",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{currentContext, answer("int", "pi"), value("CUfunction_attribute", "attrib"), of(cudaFunction, "hfunc")},
		Checks: wanted("pi"),
	},
	{
		Number: 17, Name: "cuFuncGetParamInfo", Version: "12.4", Returns: "CUresult",
		Params: "CUfunction func, size_t paramIndex, size_t *paramOffset, size_t *paramSize",
		Form:   spec.Local,
	},
	{
		Number: 18, Name: "cuLaunchKernel", Version: "4.0", Returns: "CUresult",
		Params: "CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void **kernelParams, void **extra",
		Form:   spec.Generated,
		Wire: []spec.Field{
			currentContext, of(cudaFunction, "f"),
			value("unsigned int", "gridDimX"), value("unsigned int", "gridDimY"), value("unsigned int", "gridDimZ"),
			value("unsigned int", "blockDimX"), value("unsigned int", "blockDimY"), value("unsigned int", "blockDimZ"),
			value("unsigned int", "sharedMemBytes"), stream,
			{Kind: spec.Parameters, Name: "kernelParams", Count: "f"},
		},
		Checks: []spec.Check{
			{Fail: "extra", Status: "CUDA_ERROR_NOT_SUPPORTED"},
			{Fail: "f_object->parameter_count && !kernelParams", Status: "CUDA_ERROR_INVALID_VALUE"},
		},
	},
	{
		Number: 19, Name: "cuMemAlloc_v2", Version: "3.2", Returns: "CUresult",
		Params: "CUdeviceptr *dptr, size_t bytesize",
		Form:   spec.SpecialWorker, Wait: spec.Accepted,
		Wire:   []spec.Field{currentContext, answer("CUdeviceptr", "dptr"), value("size_t", "bytesize")},
		Checks: wanted("dptr"),
	},
	{
		Number: 20, Name: "cuMemFree_v2", Version: "3.2", Returns: "CUresult",
		Params: "CUdeviceptr dptr",
		Form:   spec.SpecialWorker, Wait: spec.Accepted,
		Wire: []spec.Field{currentContext, place("dptr", "", "")},
	},
	{
		Number: 21, Name: "cuMemcpyHtoD_v2", Version: "3.2", Returns: "CUresult",
		Params: "CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{currentContext, place("dstDevice", "ByteCount", ""), bytesOf("ByteCount", "srcHost")},
		Checks: []spec.Check{{Fail: "ByteCount && !srcHost", Status: "CUDA_ERROR_INVALID_VALUE"}},
	},
	{
		Number: 22, Name: "cuMemcpyDtoH_v2", Version: "3.2", Returns: "CUresult",
		Params: "void *dstHost, CUdeviceptr srcDevice, size_t ByteCount",
		Form:   spec.Generated, Wait: spec.Finished,
		Wire:   []spec.Field{currentContext, answerBytes("ByteCount", "dstHost"), place("srcDevice", "ByteCount", "")},
		Checks: []spec.Check{{Fail: "ByteCount && !dstHost", Status: "CUDA_ERROR_INVALID_VALUE"}},
	},
	{
		Number: 23, Name: "cuMemcpyDtoD_v2", Version: "3.2", Returns: "CUresult",
		Params: "CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire: []spec.Field{currentContext, place("dstDevice", "ByteCount", ""), place("srcDevice", "ByteCount", ""), value("size_t", "ByteCount")},
	},
	{
		// The driver takes the bytes before it returns, as they are in no pinned memory.
		Number: 24, Name: "cuMemcpyHtoDAsync_v2", Version: "3.2", Returns: "CUresult",
		Params: "CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream",
		Form:   spec.Generated,
		Wire:   []spec.Field{currentContext, place("dstDevice", "ByteCount", ""), bytesOf("ByteCount", "srcHost"), stream},
		Checks: []spec.Check{{Fail: "ByteCount && !srcHost", Status: "CUDA_ERROR_INVALID_VALUE"}},
	},
	{
		// To memory that is not pinned it returns when the copy is over.
		Number: 25, Name: "cuMemcpyDtoHAsync_v2", Version: "3.2", Returns: "CUresult",
		Params: "void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream",
		Form:   spec.SpecialWorker, Wait: spec.Finished,
		Wire:   []spec.Field{currentContext, answerBytes("ByteCount", "dstHost"), place("srcDevice", "ByteCount", ""), stream},
		Checks: []spec.Check{{Fail: "ByteCount && !dstHost", Status: "CUDA_ERROR_INVALID_VALUE"}},
	},
	{
		Number: 26, Name: "cuMemsetD8_v2", Version: "3.2", Returns: "CUresult",
		Params: "CUdeviceptr dstDevice, unsigned char uc, size_t N",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire: []spec.Field{currentContext, place("dstDevice", "N", ""), value("unsigned char", "uc"), value("size_t", "N")},
	},
	{
		Number: 27, Name: "cuMemsetD32Async", Version: "3.2", Returns: "CUresult",
		Params: "CUdeviceptr dstDevice, unsigned int ui, size_t N, CUstream hStream",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire: []spec.Field{currentContext, place("dstDevice", "N", "unsigned int"), value("unsigned int", "ui"), value("size_t", "N"), stream},
	},
	{
		Number: 28, Name: "cuStreamCreate", Version: "2.0", Returns: "CUresult",
		Params: "CUstream *phStream, unsigned int Flags",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{currentContext, made(cudaStream, "phStream"), value("unsigned int", "Flags")},
		Checks: wanted("phStream"),
	},
	{
		Number: 29, Name: "cuStreamSynchronize", Version: "2.0", Returns: "CUresult",
		Params: "CUstream hStream",
		Form:   spec.Generated, Wait: spec.Finished,
		Wire: []spec.Field{currentContext, stream},
	},
	{
		Number: 30, Name: "cuStreamWaitEvent", Version: "3.2", Returns: "CUresult",
		Params: "CUstream hStream, CUevent hEvent, unsigned int Flags",
		Form:   spec.Generated,
		Wire:   []spec.Field{currentContext, stream, of(cudaEvent, "hEvent"), value("unsigned int", "Flags")},
	},
	{
		Number: 31, Name: "cuStreamDestroy_v2", Version: "4.0", Returns: "CUresult",
		Params: "CUstream hStream",
		Form:   spec.Release, Object: cudaStream,
	},
	{
		Number: 32, Name: "cuEventCreate", Version: "2.0", Returns: "CUresult",
		Params: "CUevent *phEvent, unsigned int Flags",
		Form:   spec.Generated,
		Wire:   []spec.Field{currentContext, made(cudaEvent, "phEvent"), value("unsigned int", "Flags")},
		Checks: wanted("phEvent"),
	},
	{
		Number: 33, Name: "cuEventRecord", Version: "2.0", Returns: "CUresult",
		Params: "CUevent hEvent, CUstream hStream",
		Form:   spec.Generated,
		Wire:   []spec.Field{currentContext, of(cudaEvent, "hEvent"), stream},
	},
	{
		Number: 34, Name: "cuEventQuery", Version: "2.0", Returns: "CUresult",
		Params: "CUevent hEvent",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire: []spec.Field{of(cudaEvent, "hEvent")},
	},
	{
		Number: 35, Name: "cuEventSynchronize", Version: "2.0", Returns: "CUresult",
		Params: "CUevent hEvent",
		Form:   spec.Generated, Wait: spec.Finished,
		Wire: []spec.Field{currentContext, of(cudaEvent, "hEvent")},
	},
	{
		Number: 36, Name: "cuEventElapsedTime", Version: "2.0", Returns: "CUresult",
		Params: "float *pMilliseconds, CUevent hStart, CUevent hEnd",
		Form:   spec.Generated, Wait: spec.Accepted,
		Wire:   []spec.Field{currentContext, answer("float", "pMilliseconds"), of(cudaEvent, "hStart"), of(cudaEvent, "hEnd")},
		Checks: wanted("pMilliseconds"),
	},
	{
		Number: 37, Name: "cuEventDestroy_v2", Version: "4.0", Returns: "CUresult",
		Params: "CUevent hEvent",
		Form:   spec.Release, Object: cudaEvent,
	},
}

var (
	currentContext = spec.Field{Kind: spec.Current, Object: cudaContext, Name: "context"}
	stream         = spec.Field{Kind: spec.HandleOrNo, Object: cudaStream, Name: "hStream"}
)

func value(typ, name string) spec.Field { return spec.Field{Kind: spec.Scalar, Type: typ, Name: name} }

func text(name string) spec.Field {
	return spec.Field{Kind: spec.String, Count: "strlen(" + name + ") + 1", Name: name}
}

func answer(typ, name string) spec.Field { return spec.Field{Kind: spec.Answer, Type: typ, Name: name} }

func answerBytes(length, name string) spec.Field {
	return spec.Field{Kind: spec.AnswerBytes, Count: length, Name: name}
}

func bytesOf(length, name string) spec.Field {
	return spec.Field{Kind: spec.Bytes, Count: length, Name: name}
}

func place(name, count, element string) spec.Field {
	return spec.Field{Kind: spec.Address, Name: name, Count: count, Type: element}
}

func of(o spec.Object, name string) spec.Field {
	return spec.Field{Kind: spec.Handle, Object: o, Name: name}
}

func made(o spec.Object, name string) spec.Field {
	return spec.Field{Kind: spec.New, Object: o, Name: name}
}

// wanted are the checks that a call was given its pointers.
func wanted(names ...string) (checks []spec.Check) {
	for _, name := range names {
		checks = append(checks, spec.Check{Fail: "!" + name, Status: "CUDA_ERROR_INVALID_VALUE"})
	}
	return checks
}
