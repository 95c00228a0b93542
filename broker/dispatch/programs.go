package dispatch

// #include "driver.h"
import "C"

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unsafe"
)

func (t *thread) clCreateProgramWithSource(a argsClCreateProgramWithSource) C.cl_int {
	var status C.cl_int
	t.session.watchOutput(a.source)
	a.created.build = &build{}
	given := relocate(a.source)
	if len(given) != len(a.source) {
		a.created.build.source = append(bytes.Clone(a.source), 0)
	}
	source := C.CBytes(append(given, 0))
	defer C.free(source)
	text, length := (*C.char)(source), C.size_t(len(given))
	program := C.clCreateProgramWithSource(driverContext(a.context.driver), 1, &text, &length, &status)
	return t.keep(a.created, unsafe.Pointer(program), status)
}

// clCreateProgramWithBinary answers with a status for each device's binary.
func (t *thread) clCreateProgramWithBinary(a argsClCreateProgramWithBinary) C.cl_int {
	count := int(a.deviceList.count)
	if count == 0 || len(a.lengths) != 8*count {
		t.violate("%d bytes of lengths for the binaries of %d devices", len(a.lengths), count)
		return C.CL_SUCCESS
	}
	const word = 8
	space := C.calloc(C.size_t(count), 3*word)
	defer C.free(space)
	lengths := unsafe.Slice((*C.size_t)(space), count)
	pointers := unsafe.Slice((*unsafe.Pointer)(unsafe.Add(space, word*count)), count)
	statuses := unsafe.Slice((*C.cl_int)(unsafe.Add(space, 2*word*count)), count)
	t.session.watchOutput(a.binaries)
	all := C.CBytes(a.binaries)
	defer C.free(all)
	offset := uint64(0)
	for i := range count {
		length := binary.LittleEndian.Uint64(a.lengths[word*i:])
		if length == 0 || length > uint64(len(a.binaries))-offset {
			t.violate("a binary of %d bytes at %d of %d", length, offset, len(a.binaries))
			return C.CL_SUCCESS
		}
		lengths[i], pointers[i] = C.size_t(length), unsafe.Add(all, offset)
		offset += length
	}
	t.session.lease.awaitBuilds()
	var status C.cl_int
	program := C.clCreateProgramWithBinary(driverContext(a.context.driver), a.deviceList.count, listDevice(a.deviceList), &lengths[0], (**C.uchar)(unsafe.Pointer(&pointers[0])), &statuses[0], &status)
	for _, s := range statuses {
		t.reply = binary.LittleEndian.AppendUint32(t.reply, uint32(s))
	}
	a.created.build = &build{}
	return t.keep(a.created, unsafe.Pointer(program), status)
}

func (t *thread) clCreateProgramWithBuiltInKernels(a argsClCreateProgramWithBuiltInKernels) C.cl_int {
	var status C.cl_int
	names := C.CString(string(a.kernelNames))
	defer C.free(unsafe.Pointer(names))
	t.session.lease.awaitBuilds()
	program := C.clCreateProgramWithBuiltInKernels(driverContext(a.context.driver), a.deviceList.count, listDevice(a.deviceList), names, &status)
	a.created.build = &build{}
	return t.keep(a.created, unsafe.Pointer(program), status)
}

func (t *thread) clCreateProgramWithIL(a argsClCreateProgramWithIL) C.cl_int {
	var status C.cl_int
	t.session.watchOutput(a.il)
	t.session.lease.awaitBuilds()
	program := C.clCreateProgramWithIL(driverContext(a.context.driver), pointer(a.il), C.size_t(len(a.il)), &status)
	kernels, err := spirvArguments(a.il)
	if err != nil {
		// Another intermediate language, of whose kernels the driver itself must know.
		t.session.log.Debug("no SPIR-V", "error", err)
	}
	a.created.build = &build{kernels: kernels}
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
	given, done, status := t.include(a.program.build, a.options, a.rest, a.files)
	if status != C.CL_SUCCESS {
		return status
	}
	defer done()
	options := C.CString(a.program.build.ask(a.options, given))
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
	return C.clCompileProgram(program, a.deviceList.count, listDevice(a.deviceList), options, a.inputHeaders.count, listProgram(a.inputHeaders), include, nil, nil)
}

// clLinkProgram keeps a program even where linking failed, as the driver does:
// its build log says why.
func (t *thread) clLinkProgram(a argsClLinkProgram) C.cl_int {
	var status C.cl_int
	link := func(text string) C.cl_program {
		options := C.CString(text)
		defer C.free(unsafe.Pointer(options))
		return C.clLinkProgram(driverContext(a.context.driver), a.deviceList.count, listDevice(a.deviceList), options, a.inputPrograms.count, listProgram(a.inputPrograms), nil, nil, &status)
	}
	t.session.lease.awaitBuilds()
	asked := &build{}
	program := link(asked.ask(a.options, string(a.options)))
	if status == C.CL_INVALID_LINKER_OPTIONS {
		if program != nil { // Intel's driver makes one all the same
			C.clReleaseProgram(program)
		}
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
	given, done, status := t.include(a.program.build, a.options, a.rest, a.files)
	if status != C.CL_SUCCESS {
		return status
	}
	defer done()
	options := C.CString(a.program.build.ask(a.options, given))
	defer C.free(unsafe.Pointer(options))
	program := driverProgram(a.program.driver)
	t.keepThrough(program, list{})
	defer releasePrograms(program, list{})
	return C.clBuildProgram(program, a.deviceList.count, listDevice(a.deviceList), options, nil, nil)
}

// keepThrough hands the lead on before a build that may take long, and waits until
// it may begin. The program may be released by another of its threads meanwhile,
// so it is retained.
func (t *thread) keepThrough(program C.cl_program, headers list) {
	C.clRetainProgram(program)
	for _, p := range unsafe.Slice(listProgram(headers), int(headers.count)) {
		C.clRetainProgram(p)
	}
	t.yield()
	t.session.lease.awaitBuilds()
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
	case C.CL_PROGRAM_DEVICES:
		return t.deviceList(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
			return C.clGetProgramInfo(program, C.CL_PROGRAM_DEVICES, size, value, sizeRet)
		})
	case C.CL_PROGRAM_CONTEXT:
		return C.CL_INVALID_VALUE
	case C.CL_PROGRAM_SOURCE:
		if a.program.build.source != nil {
			t.reply = append(t.reply, a.program.build.source...)
			return C.CL_SUCCESS
		}
	}
	return t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetProgramInfo(program, a.paramName, size, value, sizeRet)
	})
}

// binaries answers with the number of the devices' binaries and the length of
// each, in eight bytes, and then the binaries.
func (t *thread) binaries(program C.cl_program) C.cl_int {
	status := t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetProgramInfo(program, C.CL_PROGRAM_BINARY_SIZES, size, value, sizeRet)
	})
	if status != C.CL_SUCCESS || len(t.reply) == 0 {
		return status
	}
	const word = 8
	count, total := len(t.reply)/word, uint64(0)
	for i := range count {
		length := binary.LittleEndian.Uint64(t.reply[word*i:])
		if length > answerMax || total+length > answerMax {
			return C.CL_OUT_OF_RESOURCES
		}
		total += length
	}
	space := C.calloc(1, C.size_t(word*count)+C.size_t(total))
	defer C.free(space)
	pointers, all := unsafe.Slice((*unsafe.Pointer)(space), count), unsafe.Add(space, word*count)
	offset := uint64(0)
	for i := range pointers {
		// A device without a binary has no pointer.
		if length := binary.LittleEndian.Uint64(t.reply[word*i:]); length > 0 {
			pointers[i] = unsafe.Add(all, offset)
			offset += length
		}
	}
	status = C.clGetProgramInfo(program, C.CL_PROGRAM_BINARIES, C.size_t(word*count), space, nil)
	t.reply = append(binary.LittleEndian.AppendUint64(nil, uint64(count)), t.reply...)
	if status == C.CL_SUCCESS && total > 0 {
		t.reply = append(t.reply, unsafe.Slice((*byte)(all), int(total))...)
	}
	return status
}

func (t *thread) clGetProgramBuildInfo(a argsClGetProgramBuildInfo) C.cl_int {
	if a.paramName == C.CL_PROGRAM_BUILD_OPTIONS {
		t.reply = append(append(t.reply, a.program.build.options...), 0)
		return C.CL_SUCCESS
	}
	status := t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetProgramBuildInfo(driverProgram(a.program.driver), driverDevice(a.device.driver), a.paramName, size, value, sizeRet)
	})
	if a.paramName == C.CL_PROGRAM_BUILD_LOG {
		t.reply = a.program.build.asSpelled(t.reply)
	}
	return status
}
