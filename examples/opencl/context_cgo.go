package opencl

/*
#cgo CFLAGS: -DCL_TARGET_OPENCL_VERSION=120
#cgo LDFLAGS: -lOpenCL
#include <stdlib.h>
#include <CL/cl.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Context is a device with a context and one in-order queue on it.
type Context struct {
	device  C.cl_device_id
	context C.cl_context
	queue   C.cl_command_queue
}

// Open takes the first device of the first platform that has one.
func Open() (*Context, error) {
	device, err := firstDevice()
	if err != nil {
		return nil, err
	}
	var code C.cl_int
	context := C.clCreateContext(nil, 1, &device, nil, nil, &code)
	if err := check("clCreateContext", code); err != nil {
		return nil, err
	}
	queue := C.clCreateCommandQueue(context, device, 0, &code)
	if err := check("clCreateCommandQueue", code); err != nil {
		C.clReleaseContext(context)
		return nil, err
	}
	return &Context{device: device, context: context, queue: queue}, nil
}

func firstDevice() (C.cl_device_id, error) {
	var count C.cl_uint
	if err := check("clGetPlatformIDs", C.clGetPlatformIDs(0, nil, &count)); err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, fmt.Errorf("OpenCL has no platform")
	}
	platforms := make([]C.cl_platform_id, count)
	if err := check("clGetPlatformIDs", C.clGetPlatformIDs(count, &platforms[0], nil)); err != nil {
		return nil, err
	}
	var last error
	for _, platform := range platforms {
		var device C.cl_device_id
		last = check("clGetDeviceIDs", C.clGetDeviceIDs(platform, C.CL_DEVICE_TYPE_ALL, 1, &device, nil))
		if last == nil {
			return device, nil
		}
	}
	return nil, last
}

// DeviceName is the name that the driver gives the device.
func (c *Context) DeviceName() (string, error) {
	var size C.size_t
	if err := check("clGetDeviceInfo", C.clGetDeviceInfo(c.device, C.CL_DEVICE_NAME, 0, nil, &size)); err != nil {
		return "", err
	}
	name := make([]byte, size+1)
	if err := check("clGetDeviceInfo", C.clGetDeviceInfo(c.device, C.CL_DEVICE_NAME, size, unsafe.Pointer(&name[0]), nil)); err != nil {
		return "", err
	}
	return C.GoString((*C.char)(unsafe.Pointer(&name[0]))), nil
}

// Finish waits for everything that was enqueued.
func (c *Context) Finish() error {
	return check("clFinish", C.clFinish(c.queue))
}

// Release gives back the queue and the context.
func (c *Context) Release() {
	C.clReleaseCommandQueue(c.queue)
	C.clReleaseContext(c.context)
}

// check turns an error code into an error.
func check(call string, code C.cl_int) error {
	if code == C.CL_SUCCESS {
		return nil
	}
	return &Error{Call: call, Code: int(code)}
}
