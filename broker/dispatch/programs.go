package dispatch

// #include "driver.h"
import "C"

import (
	"strings"
	"unsafe"
)

func (t *thread) clCreateProgramWithSource(a argsClCreateProgramWithSource) C.cl_int {
	var status C.cl_int
	t.session.watchOutput(a.source)
	source := C.CBytes(append(a.source, 0))
	defer C.free(source)
	text, length := (*C.char)(source), C.size_t(len(a.source))
	program := C.clCreateProgramWithSource(driverContext(a.context.driver), 1, &text, &length, &status)
	a.created.build = &build{}
	return t.keep(a.created, unsafe.Pointer(program), status)
}

func (t *thread) clCreateProgramWithBinary(a argsClCreateProgramWithBinary) C.cl_int {
	if len(a.binary) == 0 {
		return t.keep(a.created, nil, C.CL_INVALID_VALUE)
	}
	var status, binaryStatus C.cl_int
	t.session.watchOutput(a.binary)
	binary := C.CBytes(a.binary)
	defer C.free(binary)
	data, length := (*C.uchar)(binary), C.size_t(len(a.binary))
	program := C.clCreateProgramWithBinary(driverContext(a.context.driver), 1, &t.session.lease.device, &length, &data, &binaryStatus, &status)
	a.created.build = &build{}
	return t.keep(a.created, unsafe.Pointer(program), status)
}

func (t *thread) clCreateProgramWithBuiltInKernels(a argsClCreateProgramWithBuiltInKernels) C.cl_int {
	var status C.cl_int
	names := C.CString(string(a.kernelNames))
	defer C.free(unsafe.Pointer(names))
	program := C.clCreateProgramWithBuiltInKernels(driverContext(a.context.driver), 1, &t.session.lease.device, names, &status)
	a.created.build = &build{}
	return t.keep(a.created, unsafe.Pointer(program), status)
}

func (t *thread) clCreateProgramWithIL(a argsClCreateProgramWithIL) C.cl_int {
	var status C.cl_int
	t.session.watchOutput(a.il)
	program := C.clCreateProgramWithIL(driverContext(a.context.driver), pointer(a.il), C.size_t(len(a.il)), &status)
	a.created.build = &build{}
	return t.keep(a.created, unsafe.Pointer(program), status)
}

// argumentInfo makes the driver keep what tells a kernel's arguments apart.
const argumentInfo = "-cl-kernel-arg-info"

func (t *thread) clCompileProgram(a argsClCompileProgram) C.cl_int {
	names := strings.Split(string(a.names), "\x00")
	if len(names) != int(a.inputHeaders.count)+1 {
		t.violate("%d names for %d headers", len(names)-1, a.inputHeaders.count)
		return C.CL_SUCCESS
	}
	options := C.CString(a.program.build.ask(a.options))
	defer C.free(unsafe.Pointer(options))
	include := (**C.char)(C.calloc(C.size_t(len(names)), C.size_t(unsafe.Sizeof(options))))
	defer C.free(unsafe.Pointer(include))
	pointers := unsafe.Slice(include, len(names))
	for i := range names[:len(names)-1] {
		pointers[i] = C.CString(names[i])
		defer C.free(unsafe.Pointer(pointers[i]))
	}
	if a.inputHeaders.count == 0 {
		include = nil
	}
	program := driverProgram(a.program.driver)
	t.keepThrough(program, a.inputHeaders)
	defer releasePrograms(program, a.inputHeaders)
	return C.clCompileProgram(program, 1, &t.session.lease.device, options, a.inputHeaders.count, listProgram(a.inputHeaders), include, nil, nil)
}

// clLinkProgram keeps a program even where linking failed, as the driver does:
// its build log says why.
func (t *thread) clLinkProgram(a argsClLinkProgram) C.cl_int {
	var status C.cl_int
	link := func(text string) C.cl_program {
		options := C.CString(text)
		defer C.free(unsafe.Pointer(options))
		return C.clLinkProgram(driverContext(a.context.driver), 1, &t.session.lease.device, options, a.inputPrograms.count, listProgram(a.inputPrograms), nil, nil, &status)
	}
	asked := &build{}
	program := link(asked.ask(a.options))
	if program == nil && status == C.CL_INVALID_LINKER_OPTIONS {
		program = link(string(a.options))
	}
	if program == nil {
		return t.keep(a.created, nil, status)
	}
	a.created.build = asked
	t.reply = append(t.reply, commandMade)
	t.keep(a.created, unsafe.Pointer(program), C.CL_SUCCESS)
	return status
}

func (t *thread) clBuildProgram(a argsClBuildProgram) C.cl_int {
	options := C.CString(a.program.build.ask(a.options))
	defer C.free(unsafe.Pointer(options))
	program := driverProgram(a.program.driver)
	t.keepThrough(program, list{})
	defer releasePrograms(program, list{})
	return C.clBuildProgram(program, 1, &t.session.lease.device, options, nil, nil)
}

// keepThrough hands the lead on before a build that may take long. The program
// may be released by another of its threads meanwhile, so it is retained.
func (t *thread) keepThrough(program C.cl_program, headers list) {
	C.clRetainProgram(program)
	for _, p := range unsafe.Slice(listProgram(headers), int(headers.count)) {
		C.clRetainProgram(p)
	}
	t.yield()
}

func releasePrograms(program C.cl_program, headers list) {
	C.clReleaseProgram(program)
	for _, p := range unsafe.Slice(listProgram(headers), int(headers.count)) {
		C.clReleaseProgram(p)
	}
}

func (t *thread) clGetProgramInfo(a argsClGetProgramInfo) C.cl_int {
	program := driverProgram(a.program.driver)
	switch a.paramName {
	case C.CL_PROGRAM_BINARIES:
		return t.binaries(program)
	case C.CL_PROGRAM_CONTEXT, C.CL_PROGRAM_DEVICES:
		return C.CL_INVALID_VALUE
	}
	return t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetProgramInfo(program, a.paramName, size, value, sizeRet)
	})
}

// binaries answers with the one device's binary.
func (t *thread) binaries(program C.cl_program) C.cl_int {
	var size C.size_t
	if status := C.clGetProgramInfo(program, C.CL_PROGRAM_BINARY_SIZES, C.size_t(unsafe.Sizeof(size)), unsafe.Pointer(&size), nil); status != C.CL_SUCCESS {
		return status
	}
	if size > answerMax {
		return C.CL_OUT_OF_RESOURCES
	}
	if size == 0 {
		return C.CL_SUCCESS
	}
	binary := C.calloc(1, size)
	defer C.free(binary)
	t.scratch.created = binary
	status := C.clGetProgramInfo(program, C.CL_PROGRAM_BINARIES, C.size_t(unsafe.Sizeof(binary)), unsafe.Pointer(&t.scratch.created), nil)
	if status == C.CL_SUCCESS {
		t.reply = append(t.reply, unsafe.Slice((*byte)(binary), int(size))...)
	}
	return status
}

func (t *thread) clGetProgramBuildInfo(a argsClGetProgramBuildInfo) C.cl_int {
	if a.paramName == C.CL_PROGRAM_BUILD_OPTIONS {
		t.reply = append(append(t.reply, a.program.build.options...), 0)
		return C.CL_SUCCESS
	}
	return t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetProgramBuildInfo(driverProgram(a.program.driver), driverDevice(a.device.driver), a.paramName, size, value, sizeRet)
	})
}
