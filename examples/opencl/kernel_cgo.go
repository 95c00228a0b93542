package opencl

/*
#include <stdlib.h>
#include <CL/cl.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// Program is a built program.
type Program struct {
	program C.cl_program
}

// BuildProgram compiles OpenCL C. If it does not compile, the error holds the log.
func (c *Context) BuildProgram(source string) (*Program, error) {
	text := C.CString(source)
	defer C.free(unsafe.Pointer(text))
	var code C.cl_int
	program := C.clCreateProgramWithSource(c.context, 1, &text, nil, &code)
	if err := check("clCreateProgramWithSource", code); err != nil {
		return nil, err
	}
	if err := check("clBuildProgram", C.clBuildProgram(program, 1, &c.device, nil, nil, nil)); err != nil {
		var failure *Error
		if errors.As(err, &failure) {
			failure.Log = c.buildLog(program)
		}
		C.clReleaseProgram(program)
		return nil, err
	}
	return &Program{program: program}, nil
}

// buildLog is empty if the driver gives none.
func (c *Context) buildLog(program C.cl_program) string {
	var size C.size_t
	if C.clGetProgramBuildInfo(program, c.device, C.CL_PROGRAM_BUILD_LOG, 0, nil, &size) != C.CL_SUCCESS {
		return ""
	}
	log := make([]byte, size+1)
	if C.clGetProgramBuildInfo(program, c.device, C.CL_PROGRAM_BUILD_LOG, size, unsafe.Pointer(&log[0]), nil) != C.CL_SUCCESS {
		return ""
	}
	return C.GoString((*C.char)(unsafe.Pointer(&log[0])))
}

// Release gives the program back; its kernels keep what they need.
func (p *Program) Release() { C.clReleaseProgram(p.program) }

// Kernel is one kernel function with its arguments.
type Kernel struct {
	kernel C.cl_kernel
}

// Kernel finds the kernel function of that name.
func (p *Program) Kernel(name string) (*Kernel, error) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	var code C.cl_int
	kernel := C.clCreateKernel(p.program, text, &code)
	if err := check("clCreateKernel", code); err != nil {
		return nil, err
	}
	return &Kernel{kernel: kernel}, nil
}

// SetArguments sets all arguments in order, each a *Buffer or an int32.
func (k *Kernel) SetArguments(arguments ...any) error {
	for i, argument := range arguments {
		var code C.cl_int
		switch value := argument.(type) {
		case *Buffer:
			code = C.clSetKernelArg(k.kernel, C.cl_uint(i), C.size_t(unsafe.Sizeof(value.memory)), unsafe.Pointer(&value.memory))
		case int32:
			code = C.clSetKernelArg(k.kernel, C.cl_uint(i), C.size_t(unsafe.Sizeof(value)), unsafe.Pointer(&value))
		default:
			return fmt.Errorf("argument %d is a %T, want *Buffer or int32", i, argument)
		}
		if err := check("clSetKernelArg", code); err != nil {
			return err
		}
	}
	return nil
}

// Run enqueues the kernel with the arguments that are set now, over global work items in
// one to three dimensions, in work-groups of group. Many drivers compile a kernel anew
// for each new size of its groups: a program of many global sizes should keep one.
func (c *Context) Run(kernel *Kernel, global, group []int) error {
	if len(global) < 1 || len(global) > 3 || len(group) != len(global) {
		return fmt.Errorf("run a kernel over %v in groups of %v, want 1 to 3 dimensions", global, group)
	}
	var globalSizes, groupSizes [3]C.size_t
	for i := range global {
		globalSizes[i], groupSizes[i] = C.size_t(global[i]), C.size_t(group[i])
	}
	return check("clEnqueueNDRangeKernel", C.clEnqueueNDRangeKernel(c.queue, kernel.kernel, C.cl_uint(len(global)), nil, &globalSizes[0], &groupSizes[0], 0, nil, nil))
}

// Release gives the kernel back.
func (k *Kernel) Release() { C.clReleaseKernel(k.kernel) }
