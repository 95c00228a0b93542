package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

func (t *thread) release(a argsRelease) C.CUresult {
	o := t.objects[uint64(a.handle)]
	if o == nil || o.kind != kind(a.object) {
		t.violate("handle %d is not of kind %d", a.handle, a.object)
		return C.CUDA_SUCCESS
	}
	delete(t.objects, uint64(a.handle))
	if o.failed {
		return C.CUDA_SUCCESS
	}
	return releaseDriver(o.kind, o.driver)
}

// cuModuleLoadData sees to it that the driver finds the image's end.
func (t *thread) cuModuleLoadData(a argsCuModuleLoadData) C.CUresult {
	if end := slices.Index(a.image, 0); end < 0 || end != len(a.image)-1 {
		return t.keep(a.module, nil, C.CUDA_ERROR_INVALID_IMAGE)
	}
	var module C.CUmodule
	status := C.cuModuleLoadData(&module, pointer(a.image))
	return t.keep(a.module, unsafe.Pointer(module), status)
}

// cuModuleGetFunction answers with the layout of the function's parameters.
func (t *thread) cuModuleGetFunction(a argsCuModuleGetFunction) C.CUresult {
	var function C.CUfunction
	status := C.cuModuleGetFunction(&function, driverModule(a.hmod.driver), (*C.char)(pointer(a.name)))
	for status == C.CUDA_SUCCESS {
		var p parameter
		if C.cuFuncGetParamInfo(function, C.size_t(len(a.hfunc.parameters)), &p.offset, &p.size) != C.CUDA_SUCCESS {
			break
		}
		if len(a.hfunc.parameters) == maxParameters || p.offset+p.size > maxValues {
			return t.keep(a.hfunc, nil, C.CUDA_ERROR_NOT_SUPPORTED)
		}
		a.hfunc.parameters = append(a.hfunc.parameters, p)
		t.reply = binary.LittleEndian.AppendUint64(t.reply, uint64(p.offset))
		t.reply = binary.LittleEndian.AppendUint64(t.reply, uint64(p.size))
	}
	return t.keep(a.hfunc, unsafe.Pointer(function), status)
}

func (t *thread) cuModuleGetGlobal_v2(a argsCuModuleGetGlobal_v2) C.CUresult {
	var first C.CUdeviceptr
	var size C.size_t
	status := C.cuModuleGetGlobal_v2(&first, &size, driverModule(a.hmod.driver), (*C.char)(pointer(a.name)))
	return t.allocated(status, first, size, true)
}

func (t *thread) cuMemAlloc_v2(a argsCuMemAlloc_v2) C.CUresult {
	var first C.CUdeviceptr
	status := C.cuMemAlloc_v2(&first, a.bytesize)
	return t.allocated(status, first, a.bytesize, false)
}

// allocated enters what the driver has given, and answers with its place.
func (t *thread) allocated(status C.CUresult, first C.CUdeviceptr, size C.size_t, tellsSize bool) C.CUresult {
	if status != C.CUDA_SUCCESS {
		return status
	}
	t.allocations = append(t.allocations, allocation{uint64(first), uint64(size)})
	t.tell(unsafe.Pointer(&first), unsafe.Sizeof(first))
	if tellsSize {
		t.tell(unsafe.Pointer(&size), unsafe.Sizeof(size))
	}
	return status
}

func (t *thread) cuMemFree_v2(a argsCuMemFree_v2) C.CUresult {
	i := slices.IndexFunc(t.allocations, func(has allocation) bool { return has.first == uint64(a.dptr.pointer) })
	if i < 0 {
		return C.CUDA_ERROR_INVALID_VALUE
	}
	t.allocations = slices.Delete(t.allocations, i, i+1)
	return C.cuMemFree_v2(a.dptr.pointer)
}

// cuMemcpyDtoHAsync_v2 answers when the bytes are there.
func (t *thread) cuMemcpyDtoHAsync_v2(a argsCuMemcpyDtoHAsync_v2) C.CUresult {
	stream := driverStream(a.hStream.driverOrNil())
	status := C.cuMemcpyDtoHAsync_v2(pointer(a.dstHost), a.srcDevice.pointer, C.size_t(len(a.dstHost)), stream)
	if status == C.CUDA_SUCCESS {
		status = C.cuStreamSynchronize(stream)
	}
	if status == C.CUDA_SUCCESS {
		t.tell(pointer(a.dstHost), uintptr(len(a.dstHost)))
	}
	return status
}
