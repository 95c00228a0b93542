package dispatch

// #include "driver.h"
import "C"

import (
	"strings"
	"unsafe"

	"sluice/vdev/wire"
)

type kind uint8

// object is what a handle names: a driver's object, or the reason why there is
// none, so that calls that follow a refused create are refused in turn.
type object struct {
	kind    kind
	devices deviceSet // of a device or a context: the Lease's devices that it is of
	failed  C.cl_int
	// refusal is a queue's: the status of a command that nobody waited for.
	refusal C.cl_int
	driver  unsafe.Pointer

	buffer    *buffer  // of a buffer
	arguments []uint32 // of a kernel: wire.Argument forms
	build     *build   // of a program and its kernels
}

func (o *object) driverOrNil() unsafe.Pointer {
	if o == nil {
		return nil
	}
	return o.driver
}

// build is how the program asked for its build, where the worker asked the
// driver for more.
type build struct {
	options      string
	argumentInfo bool     // asked for, so that its queries may be answered
	source       []byte   // as the program gave it, where the driver has another
	folders      []string // of included files: a name here, the program's name, and so on
	// kernels are the forms of the arguments of those that came as SPIR-V, by name.
	kernels map[string][]uint32
}

// ask notes the options of a build and returns those for the driver, of which all
// but argumentInfo are given.
func (b *build) ask(options []byte, driver string) string {
	b.options = string(options)
	if strings.Contains(b.options, argumentInfo) {
		b.argumentInfo = true
		return driver
	}
	return strings.TrimSpace(driver + " " + argumentInfo)
}

const chunkObjects = 4096

// objects is a Session's handle table. Its chunks do not move, so that a
// pointer into it stays good while other threads add to it.
type objects struct {
	chunks [wire.HandleMax / chunkObjects]*[chunkObjects]object
}

// at returns the entry of a handle, or nil where none can be.
func (o *objects) at(handle uint64) *object {
	if handle == 0 || handle >= wire.HandleMax {
		return nil
	}
	chunk := o.chunks[handle/chunkObjects]
	if chunk == nil {
		return nil
	}
	return &chunk[handle%chunkObjects]
}

// room returns the entry of a handle that a create names.
func (o *objects) room(handle uint64) *object {
	if handle < wire.FirstHandle || handle >= wire.HandleMax {
		return nil
	}
	if chunk := &o.chunks[handle/chunkObjects]; *chunk == nil {
		*chunk = new([chunkObjects]object)
	}
	return o.at(handle)
}

// each calls f for every object that exists, of one kind.
func (o *objects) each(k kind, f func(*object)) {
	for _, chunk := range o.chunks {
		if chunk == nil {
			continue
		}
		for i := range chunk {
			if chunk[i].kind == k {
				f(&chunk[i])
			}
		}
	}
}

func driverPlatform(p unsafe.Pointer) C.cl_platform_id { return C.cl_platform_id(p) }
func driverDevice(p unsafe.Pointer) C.cl_device_id     { return C.cl_device_id(p) }
func driverContext(p unsafe.Pointer) C.cl_context      { return C.cl_context(p) }
func driverQueue(p unsafe.Pointer) C.cl_command_queue  { return C.cl_command_queue(p) }
func driverMem(p unsafe.Pointer) C.cl_mem              { return C.cl_mem(p) }
func driverSampler(p unsafe.Pointer) C.cl_sampler      { return C.cl_sampler(p) }
func driverProgram(p unsafe.Pointer) C.cl_program      { return C.cl_program(p) }
func driverKernel(p unsafe.Pointer) C.cl_kernel        { return C.cl_kernel(p) }
func driverEvent(p unsafe.Pointer) C.cl_event          { return C.cl_event(p) }

func listEvent(l list) *C.cl_event      { return (*C.cl_event)(l.first) }
func listMem(l list) *C.cl_mem          { return (*C.cl_mem)(l.first) }
func listDevice(l list) *C.cl_device_id { return (*C.cl_device_id)(l.first) }
func listProgram(l list) *C.cl_program  { return (*C.cl_program)(l.first) }
