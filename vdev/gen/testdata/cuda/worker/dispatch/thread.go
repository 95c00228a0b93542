// Package dispatch stands in for what a worker would have by hand around the
// dispatcher that is generated for CUDA: one thread that reads frames from a pipe.
package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"
)

type kind uint8

type object struct {
	kind       kind
	failed     bool // its create was refused
	driver     unsafe.Pointer
	parameters []parameter // of a function
}

func (o *object) driverOrNil() unsafe.Pointer {
	if o == nil {
		return nil
	}
	return o.driver
}

// parameter is how a function's parameter lies among the others.
type parameter struct{ offset, size C.size_t }

// address is a place in device memory. It is a number: nobody reads through it
// but the driver.
type address struct{ pointer C.CUdeviceptr }

// allocation is device memory that the Lease has.
type allocation struct{ first, size uint64 }

type thread struct {
	objects     map[uint64]*object
	allocations []allocation
	pointers    *[maxParameters]unsafe.Pointer // outside the Go heap, as are those that it holds
	values      *[maxValues]byte
	entered     unsafe.Pointer // the driver's current context

	rest      []byte
	reply     []byte
	refused   C.CUresult
	violation error
}

const (
	maxParameters = 64
	maxValues     = 4096
	maxAnswer     = 1 << 20
)

// Serve carries out the frames that come, until there are no more.
func Serve(frames io.Reader, answers io.Writer) error {
	t := &thread{
		objects:  make(map[uint64]*object),
		pointers: (*[maxParameters]unsafe.Pointer)(C.calloc(maxParameters, C.size_t(unsafe.Sizeof(uintptr(0))))),
		values:   (*[maxValues]byte)(C.calloc(1, maxValues)),
	}
	for {
		var header [C.SL_FRAME_HEADER]byte
		if _, err := io.ReadFull(frames, header[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		t.rest = make([]byte, binary.LittleEndian.Uint32(header[:])-C.SL_FRAME_HEADER)
		if _, err := io.ReadFull(frames, t.rest); err != nil {
			return err
		}
		number, waiter := binary.LittleEndian.Uint16(header[4:]), binary.LittleEndian.Uint16(header[6:])
		t.reply, t.refused = nil, C.CUDA_SUCCESS
		status := t.dispatch(number)
		if t.violation != nil {
			return fmt.Errorf("%s: %w", callName(number), t.violation)
		}
		if waiter == 0 {
			continue
		}
		answer := binary.LittleEndian.AppendUint32(nil, uint32(status))
		answer = binary.LittleEndian.AppendUint32(answer, uint32(len(t.reply)))
		if _, err := answers.Write(append(answer, t.reply...)); err != nil {
			return err
		}
	}
}

func (t *thread) violate(format string, a ...any) {
	if t.violation == nil {
		t.violation = fmt.Errorf(format, a...)
	}
}

func (t *thread) complete() bool {
	if len(t.rest) != 0 {
		t.violate("%d bytes behind the last argument", len(t.rest))
	}
	return t.violation == nil && t.refused == C.CUDA_SUCCESS
}

func (t *thread) refusedCommand() C.CUresult { return t.refused }

// yield says that others could go on meanwhile.
func (t *thread) yield() { fmt.Fprintln(os.Stderr, "may wait:") }

func (t *thread) tell(value unsafe.Pointer, size uintptr) {
	t.reply = append(t.reply, unsafe.Slice((*byte)(value), size)...)
}

func (t *thread) keep(o *object, driver unsafe.Pointer, status C.CUresult) C.CUresult {
	o.driver, o.failed = driver, status != C.CUDA_SUCCESS
	return status
}

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

func driverContext(p unsafe.Pointer) C.CUcontext   { return C.CUcontext(p) }
func driverModule(p unsafe.Pointer) C.CUmodule     { return C.CUmodule(p) }
func driverFunction(p unsafe.Pointer) C.CUfunction { return C.CUfunction(p) }
func driverStream(p unsafe.Pointer) C.CUstream     { return C.CUstream(p) }
func driverEvent(p unsafe.Pointer) C.CUevent       { return C.CUevent(p) }
