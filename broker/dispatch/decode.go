package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"sluice/vdev/record"
	"sluice/vdev/wire"
)

const (
	sizesStride = 4 // room for a work dimension's three and a guard
	sizesLists  = 4
	listsMax    = 2 * wire.ListMax
)

// scratch is a thread's memory outside the Go heap, so that handing it to the
// driver costs no check.
type scratch struct {
	frame   [wire.FrameMax]byte
	handles [listsMax]unsafe.Pointer
	sizes   [sizesLists * sizesStride]C.size_t
	created unsafe.Pointer
	number  C.cl_int
}

// list is a decoded list of driver objects.
type list struct {
	count   C.cl_uint
	first   unsafe.Pointer
	devices deviceSet // of a list of devices: those of the Lease that they are of
}

// decoder reads one frame's arguments. What is malformed sets violation; a
// handle whose create was refused sets refused.
type decoder struct {
	session      *Session
	scratch      *scratch
	rest         []byte
	handlesTaken int
	sizesTaken   int
	violation    error
	refused      C.cl_int
	made         []*object // what the frame names anew
	ticketTaken  uint32
	waitedFor    C.cl_event // of a wait list with an event that has failed
}

func (d *decoder) begin(frame []byte) {
	d.rest, d.handlesTaken, d.sizesTaken, d.violation, d.refused = frame, 0, 0, nil, C.CL_SUCCESS
	d.made, d.ticketTaken = d.made[:0], 0
}

func (d *decoder) violate(format string, a ...any) {
	if d.violation == nil {
		d.violation = fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, a...))
	}
}

// complete says whether the call can be carried out.
func (d *decoder) complete() bool {
	if len(d.rest) != 0 {
		d.violate("%d bytes behind the last argument", len(d.rest))
	}
	return d.violation == nil && d.refused == C.CL_SUCCESS
}

func (d *decoder) scalar() uint64 {
	if len(d.rest) < 8 {
		d.violate("a frame that ends within its arguments")
		return 0
	}
	v := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

var refusals = map[kind]C.cl_int{
	kindDevice: C.CL_INVALID_DEVICE, kindContext: C.CL_INVALID_CONTEXT, kindQueue: C.CL_INVALID_COMMAND_QUEUE, kindMem: C.CL_INVALID_MEM_OBJECT,
	kindProgram: C.CL_INVALID_PROGRAM, kindSampler: C.CL_INVALID_SAMPLER, kindKernel: C.CL_INVALID_KERNEL, kindEvent: C.CL_INVALID_EVENT,
}

func (d *decoder) handle(k kind) *object {
	h := d.scalar()
	o := d.session.objects.at(h)
	if o == nil || o.kind != k {
		d.violate("handle %d is not of kind %d", h, k)
		return &object{}
	}
	if o.failed != C.CL_SUCCESS {
		d.refused = refusals[k]
	}
	if o.buffer != nil {
		d.session.recordUse(o.buffer)
	}
	return o
}

func (d *decoder) handleOrNo(k kind) *object {
	if len(d.rest) >= 8 && binary.LittleEndian.Uint64(d.rest) == 0 {
		d.rest = d.rest[8:]
		return nil
	}
	return d.handle(k)
}

func (d *decoder) handles(k kind) list {
	n := d.scalar()
	if n > wire.ListMax || n > uint64(len(d.rest)/8) || d.handlesTaken+int(n) > listsMax {
		d.violate("a list of %d handles", n)
		return list{}
	}
	if n == 0 {
		return list{}
	}
	into := d.scratch.handles[d.handlesTaken : d.handlesTaken+int(n)]
	d.handlesTaken += int(n)
	var devices deviceSet
	for i := range into {
		o := d.handle(k)
		into[i] = o.driver
		devices |= o.devices
	}
	return list{C.cl_uint(n), unsafe.Pointer(&into[0]), devices}
}

// waitList reads the events that a command waits for. One that has failed
// already refuses the command here: not every driver ends such a command.
func (d *decoder) waitList() list {
	l := d.handles(kindEvent)
	if d.violation == nil && d.refused == C.CL_SUCCESS && l.count > 0 && C.driver_any_failed(l.count, listEvent(l)) != 0 {
		d.refused = C.CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST
		d.waitedFor = *listEvent(l)
	}
	return l
}

func (d *decoder) ticket() uint32 {
	d.ticketTaken = uint32(d.scalar())
	return d.ticketTaken
}

// address returns an address of shared virtual memory, or none for 0. One that is
// in no allocation, as after its free, refuses the call.
func (d *decoder) address() address {
	a := d.scalar()
	if a == 0 || d.violation != nil {
		return address{}
	}
	found, ok := d.session.svmAt(a)
	if !ok {
		d.refused = C.CL_INVALID_VALUE
	}
	return found
}

func (d *decoder) sizes() *C.size_t {
	n := d.scalar()
	if n == wire.ListAbsent {
		return nil
	}
	if n >= sizesStride || d.sizesTaken == sizesLists {
		d.violate("a list of %d sizes", n)
		return nil
	}
	into := d.scratch.sizes[d.sizesTaken*sizesStride : (d.sizesTaken+1)*sizesStride]
	d.sizesTaken++
	clear(into)
	for i := range n {
		into[i] = C.size_t(d.scalar())
	}
	return &into[0]
}

// bytes returns bytes that the shim can no longer change: within the scratch
// frame, or copied from the arena, whose place is then free again.
func (d *decoder) bytes() []byte {
	n := d.scalar()
	if n > wire.InlineMax {
		return d.placed(n)
	}
	padded := int(n+7) &^ 7
	if padded > len(d.rest) {
		d.violate("%d bytes in a frame with %d left", n, len(d.rest))
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[padded:]
	return b
}

// bytesExactly returns n bytes: as many as the driver will read.
func (d *decoder) bytesExactly(n int) []byte {
	b := d.bytes()
	if len(b) != n {
		d.violate("%d bytes where the call takes %d", len(b), n)
	}
	return b
}

func (d *decoder) placed(n uint64) []byte {
	offset := d.scalar()
	place, ok := d.session.reserved[offset]
	if n > wire.BytesMax || !ok || n > place.size {
		d.violate("%d bytes at arena offset %d, which is no place of that size", n, offset)
		return nil
	}
	d.session.record(record.Data, region{wire.PlaceArena, offset, n})
	b := append([]byte(nil), d.session.arenaShared.bytes[offset:offset+n]...)
	d.session.unreserve(offset)
	return b
}

// created returns the free entry that a create names.
func (d *decoder) created(k kind) *object {
	h := d.scalar()
	o := d.session.objects.room(h)
	if o == nil || o.kind != noObject {
		d.violate("new handle %d is out of range or in use", h)
		return &object{}
	}
	*o = object{kind: k, failed: C.CL_INVALID_VALUE}
	d.made = append(d.made, o)
	return o
}

// createdList returns the free entries that a create of several names.
func (d *decoder) createdList(k kind) []*object {
	n := d.scalar()
	if n > wire.ListMax || n > uint64(len(d.rest)/8) {
		d.violate("a list of %d new handles", n)
		return nil
	}
	list := make([]*object, 0, n)
	for range n {
		list = append(list, d.created(k))
	}
	return list
}

func (d *decoder) createdOrNo(k kind) *object {
	if len(d.rest) >= 8 && binary.LittleEndian.Uint64(d.rest) == 0 {
		d.rest = d.rest[8:]
		return nil
	}
	return d.created(k)
}
