package dispatch

// #include "driver.h"
import "C"

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

// everyDevice says whether try finds the same of all the Lease's devices.
func (l *Lease) everyDevice(try func(C.cl_device_id) bool) bool {
	for _, d := range l.devices {
		if !try(d.driver) {
			return false
		}
	}
	return true
}

// worksInPlace finds out whether the device works on the bytes behind a host
// pointer themselves, so that whoever shares that memory may read and write a
// buffer whenever no command uses it. OpenCL demands maps for that; of a CPU
// device, whose memory is the host's, it is enough that two copies, of which the
// second must see what the host has written since the first, show it.
func worksInPlace(device C.cl_device_id) bool {
	var kind C.cl_device_type
	if C.clGetDeviceInfo(device, C.CL_DEVICE_TYPE, C.size_t(unsafe.Sizeof(kind)), unsafe.Pointer(&kind), nil) != C.CL_SUCCESS || kind != C.CL_DEVICE_TYPE_CPU {
		return false
	}
	return onDevice(device, copiesInPlace)
}

// onDevice has a device tried with a context and a queue of its own, and two pages of memory.
func onDevice(device C.cl_device_id, try func(C.cl_context, C.cl_command_queue, []byte) bool) bool {
	memory, err := unix.Mmap(-1, 0, 2*pageBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return false
	}
	defer unix.Munmap(memory)
	var status C.cl_int
	context := C.clCreateContext(nil, 1, &device, nil, nil, &status)
	if status != C.CL_SUCCESS {
		return false
	}
	defer C.clReleaseContext(context)
	queue := C.clCreateCommandQueue(context, device, 0, &status)
	if status != C.CL_SUCCESS {
		return false
	}
	defer C.clReleaseCommandQueue(queue)
	return try(context, queue, memory)
}

func copiesInPlace(context C.cl_context, queue C.cl_command_queue, memory []byte) bool {
	var status C.cl_int
	// As buffers lie in the arena: at a page, or at the least alignment of a small one.
	from, to := memory[smallBytes:2*smallBytes], memory[pageBytes:pageBytes+smallBytes]
	source := C.clCreateBuffer(context, C.CL_MEM_USE_HOST_PTR, smallBytes, unsafe.Pointer(&from[0]), &status)
	if status != C.CL_SUCCESS {
		return false
	}
	defer C.clReleaseMemObject(source)
	target := C.clCreateBuffer(context, C.CL_MEM_USE_HOST_PTR, smallBytes, unsafe.Pointer(&to[0]), &status)
	if status != C.CL_SUCCESS {
		return false
	}
	defer C.clReleaseMemObject(target)
	for _, pattern := range []byte{0x5a, 0xa5} {
		for i := range from {
			from[i] = pattern ^ byte(i)
		}
		if C.clEnqueueCopyBuffer(queue, source, target, 0, 0, smallBytes, 0, nil, nil) != C.CL_SUCCESS || C.clFinish(queue) != C.CL_SUCCESS || !bytes.Equal(from, to) {
			return false
		}
	}
	return true
}

// inPlace waits for what was found out.
func (l *Lease) inPlace() bool {
	<-l.tried
	return l.worksInPlace
}
