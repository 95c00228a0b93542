package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"unsafe"

	"sluice/vdev/wire"
)

// argumentsMax bounds the arguments of a kernel.
const argumentsMax = 256

// answerMax bounds the answer to a query, in bytes.
const answerMax = 64 << 20

// clCreateContext answers with the devices that the driver says the context has:
// some count a sub-device as its parent.
func (t *thread) clCreateContext(a argsClCreateContext) C.cl_int {
	properties := [3]C.cl_context_properties{C.CL_CONTEXT_PLATFORM, C.cl_context_properties(uintptr(unsafe.Pointer(t.session.lease.platform))), 0}
	var status C.cl_int
	context := C.clCreateContext(&properties[0], a.devices.count, listDevice(a.devices), nil, nil, &status)
	if status != C.CL_SUCCESS {
		return t.keep(a.created, nil, status)
	}
	status = t.deviceList(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetContextInfo(context, C.CL_CONTEXT_DEVICES, size, value, sizeRet)
	})
	if status != C.CL_SUCCESS {
		C.clReleaseContext(context)
		return t.keep(a.created, nil, status)
	}
	a.created.devices = a.devices.devices
	return t.keep(a.created, unsafe.Pointer(context), status)
}

func (t *thread) clCreateCommandQueueWithProperties(a argsClCreateCommandQueueWithProperties) C.cl_int {
	var status C.cl_int
	queue := C.clCreateCommandQueue(driverContext(a.context.driver), driverDevice(a.device.driver), a.properties, &status)
	return t.keep(a.created, unsafe.Pointer(queue), status)
}

// query answers with what the driver's query get returns, in its two steps.
func (t *thread) query(get func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int) C.cl_int {
	var size C.size_t
	if status := get(0, nil, &size); status != C.CL_SUCCESS {
		return status
	}
	if size > answerMax {
		return C.CL_OUT_OF_RESOURCES
	}
	if size == 0 {
		return C.CL_SUCCESS
	}
	t.reply = append(t.reply, make([]byte, size)...)
	return get(size, unsafe.Pointer(&t.reply[0]), nil)
}

func (t *thread) clCreateKernel(a argsClCreateKernel) C.cl_int {
	var status C.cl_int
	name := C.CString(string(a.kernelName))
	defer C.free(unsafe.Pointer(name))
	kernel := C.clCreateKernel(driverProgram(a.program.driver), name, &status)
	if status != C.CL_SUCCESS {
		return t.keep(a.created, nil, status)
	}
	forms, status := argumentForms(kernel)
	if given, known := a.program.build.kernels[string(a.kernelName)]; known && status == C.CL_KERNEL_ARG_INFO_NOT_AVAILABLE {
		forms, status = given, C.CL_SUCCESS
	}
	if status != C.CL_SUCCESS {
		C.clReleaseKernel(kernel)
		return t.keep(a.created, nil, status)
	}
	a.created.arguments, a.created.build = forms, a.program.build
	t.reply = binary.LittleEndian.AppendUint32(t.reply, uint32(len(forms)))
	for _, f := range forms {
		t.reply = binary.LittleEndian.AppendUint32(t.reply, f)
	}
	return t.keep(a.created, unsafe.Pointer(kernel), status)
}

// argumentForms asks the driver which arguments are handles: a program's bytes
// must never stand for the driver's pointers.
func argumentForms(kernel C.cl_kernel) ([]uint32, C.cl_int) {
	var count C.cl_uint
	if status := C.clGetKernelInfo(kernel, C.CL_KERNEL_NUM_ARGS, C.size_t(unsafe.Sizeof(count)), unsafe.Pointer(&count), nil); status != C.CL_SUCCESS {
		return nil, status
	}
	if count > argumentsMax {
		return nil, C.CL_OUT_OF_RESOURCES
	}
	forms := make([]uint32, count)
	for i := range forms {
		var space C.cl_kernel_arg_address_qualifier
		if status := C.clGetKernelArgInfo(kernel, C.cl_uint(i), C.CL_KERNEL_ARG_ADDRESS_QUALIFIER, C.size_t(unsafe.Sizeof(space)), unsafe.Pointer(&space), nil); status != C.CL_SUCCESS {
			return nil, status
		}
		switch space {
		case C.CL_KERNEL_ARG_ADDRESS_GLOBAL, C.CL_KERNEL_ARG_ADDRESS_CONSTANT:
			forms[i] = wire.ArgumentBuffer
		case C.CL_KERNEL_ARG_ADDRESS_LOCAL:
			forms[i] = wire.ArgumentLocal
		default:
			forms[i] = valueForm(kernel, C.cl_uint(i))
		}
	}
	return forms, C.CL_SUCCESS
}

func valueForm(kernel C.cl_kernel, index C.cl_uint) uint32 {
	var name [64]byte
	status := C.clGetKernelArgInfo(kernel, index, C.CL_KERNEL_ARG_TYPE_NAME, C.size_t(len(name)), unsafe.Pointer(&name[0]), nil)
	const sampler = "sampler_t\x00"
	if status == C.CL_SUCCESS && string(name[:len(sampler)]) == sampler {
		return wire.ArgumentSampler
	}
	return wire.ArgumentValue
}

func (t *thread) clCloneKernel(a argsClCloneKernel) C.cl_int {
	var status C.cl_int
	kernel := C.clCloneKernel(driverKernel(a.sourceKernel.driver), &status)
	a.created.arguments, a.created.build = a.sourceKernel.arguments, a.sourceKernel.build
	return t.keep(a.created, unsafe.Pointer(kernel), status)
}

func (t *thread) clSetKernelArg(a argsClSetKernelArg) C.cl_int {
	if uint64(a.argIndex) >= uint64(len(a.kernel.arguments)) || uint32(a.argForm) != a.kernel.arguments[a.argIndex] {
		t.violate("argument %d of a kernel with %d, of form %d", uint32(a.argIndex), len(a.kernel.arguments), uint32(a.argForm))
		return C.CL_SUCCESS
	}
	kernel := driverKernel(a.kernel.driver)
	switch a.argForm {
	case wire.ArgumentBuffer:
		t.scratch.created = nil
		if a.buffer != nil {
			t.scratch.created = a.buffer.driver
		}
		return C.clSetKernelArg(kernel, a.argIndex, C.size_t(unsafe.Sizeof(t.scratch.created)), unsafe.Pointer(&t.scratch.created))
	case wire.ArgumentLocal:
		return C.clSetKernelArg(kernel, a.argIndex, a.argSize, nil)
	case wire.ArgumentValue:
		value := pointer(a.argValue)
		if value == nil {
			// The driver is to judge the size, not the pointer, which the program has given.
			value = unsafe.Pointer(&t.scratch.frame)
		}
		return C.clSetKernelArg(kernel, a.argIndex, C.size_t(len(a.argValue)), value)
	}
	if a.sampler == nil {
		return C.CL_INVALID_SAMPLER
	}
	t.scratch.created = a.sampler.driver
	return C.clSetKernelArg(kernel, a.argIndex, C.size_t(unsafe.Sizeof(t.scratch.created)), unsafe.Pointer(&t.scratch.created))
}

func (t *thread) clGetKernelInfo(a argsClGetKernelInfo) C.cl_int {
	switch a.paramName {
	case C.CL_KERNEL_CONTEXT, C.CL_KERNEL_PROGRAM:
		return C.CL_INVALID_VALUE
	}
	return t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetKernelInfo(driverKernel(a.kernel.driver), a.paramName, size, value, sizeRet)
	})
}

func (t *thread) clGetDeviceAndHostTimer(a argsClGetDeviceAndHostTimer) C.cl_int {
	var device, host C.cl_ulong
	status := C.clGetDeviceAndHostTimer(driverDevice(a.device.driver), &device, &host)
	t.reply = binary.LittleEndian.AppendUint64(t.reply, uint64(device))
	t.reply = binary.LittleEndian.AppendUint64(t.reply, uint64(host))
	return status
}

func (t *thread) clGetKernelArgInfo(a argsClGetKernelArgInfo) C.cl_int {
	if !a.kernel.build.argumentInfo {
		return C.CL_KERNEL_ARG_INFO_NOT_AVAILABLE
	}
	return t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetKernelArgInfo(driverKernel(a.kernel.driver), a.argIndx, a.paramName, size, value, sizeRet)
	})
}
