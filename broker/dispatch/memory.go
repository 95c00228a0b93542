package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"
)

// A driver may hold a released buffer a moment longer than the last command that
// used it; a program that allocates again at once waits so long for its bytes.
const (
	retiredTimeout = 100 * time.Millisecond
	retiredPoll    = 100 * time.Microsecond
)

// hostFlags is where a program wants a buffer's bytes; they are in the arena.
const hostFlags = C.CL_MEM_USE_HOST_PTR | C.CL_MEM_ALLOC_HOST_PTR | C.CL_MEM_COPY_HOST_PTR

// buffer is the place of a buffer's bytes.
type buffer struct {
	place     extent // in the arena
	size      uint64 // as the program asked
	root      *buffer
	element   uint64    // bytes of an image's element; 0 of a buffer
	devices   deviceSet // whose memory it is counted of
	populated bool
	// uses counts the frames that name a recorded Session's buffer. One that is located
	// by the first of them is filled by the shim until the next.
	uses    int
	located bool
	flag    *C.uint32_t // set by the driver when it has let go; nil for a sub-buffer
}

func (t *thread) clCreateBuffer(a argsClCreateBuffer) C.cl_int {
	s := t.session
	size := uint64(a.size)
	if !s.credit.covers(a.context.devices, size) {
		return t.keep(a.created, nil, C.CL_MEM_OBJECT_ALLOCATION_FAILURE)
	}
	s.reclaim()
	place, ok := s.places.take(size)
	if !ok {
		return t.keep(a.created, nil, C.CL_MEM_OBJECT_ALLOCATION_FAILURE)
	}
	b := &buffer{place: place, size: size, devices: a.context.devices, flag: (*C.uint32_t)(C.calloc(1, 4))}
	var status C.cl_int
	flags := a.flags&^hostFlags | C.CL_MEM_USE_HOST_PTR
	mem := C.clCreateBuffer(driverContext(a.context.driver), flags, a.size, unsafe.Pointer(&s.arenaShared.bytes[place.offset]), &status)
	if status != C.CL_SUCCESS {
		C.free(unsafe.Pointer(b.flag))
		s.places.give(place)
		return t.keep(a.created, nil, status)
	}
	s.credit.spend(b.devices, size)
	C.driver_watch(mem, b.flag)
	a.created.buffer = b
	return t.keep(a.created, unsafe.Pointer(mem), status)
}

func (t *thread) clCreateSubBuffer(a argsClCreateSubBuffer) C.cl_int {
	parent := a.buffer.buffer
	if parent == nil || parent.root != nil {
		return t.keep(a.created, nil, C.CL_INVALID_MEM_OBJECT)
	}
	if uint64(a.origin) > parent.size || uint64(a.size) > parent.size-uint64(a.origin) {
		return t.keep(a.created, nil, C.CL_INVALID_VALUE)
	}
	var status C.cl_int
	region := C.cl_buffer_region{origin: a.origin, size: a.size}
	mem := C.clCreateSubBuffer(driverMem(a.buffer.driver), a.flags&^hostFlags, C.CL_BUFFER_CREATE_TYPE_REGION, unsafe.Pointer(&region), &status)
	if status == C.CL_SUCCESS {
		a.created.buffer = &buffer{place: extent{parent.place.offset + uint64(a.origin), uint64(a.size)}, size: uint64(a.size), root: parent}
	}
	return t.keep(a.created, unsafe.Pointer(mem), status)
}

// keep stores what a create made. A refused create that nobody waits for leaves
// its reason behind the handle; where somebody waits, the handle is free again.
func (t *thread) keep(o *object, driver unsafe.Pointer, status C.cl_int) C.cl_int {
	o.driver, o.failed = driver, status
	if status != C.CL_SUCCESS && t.waiter != 0 {
		*o = object{}
	}
	return status
}

// reclaim gives back the bytes of buffers that the driver has let go of.
func (s *Session) reclaim() {
	kept := s.retired[:0]
	for _, b := range s.retired {
		if atomic.LoadUint32((*uint32)(unsafe.Pointer(b.flag))) == 0 {
			kept = append(kept, b)
			continue
		}
		C.free(unsafe.Pointer(b.flag))
		s.places.give(b.place)
		s.lease.give(b.devices, b.size)
	}
	s.retired = kept
}

// credit grants bytes of a device's memory to the Session, and, while there is
// enough, as many more as it had at its start: the shim need not ask for each
// buffer. It answers with what it granted.
func (t *thread) credit(a argsCredit) C.cl_int {
	s, device := t.session, a.device.devices
	s.reclaim()
	deadline := time.Now().Add(retiredTimeout)
	for !s.lease.take(device, uint64(a.bytes)) {
		if len(s.retired) == 0 || time.Now().After(deadline) {
			return C.CL_MEM_OBJECT_ALLOCATION_FAILURE
		}
		time.Sleep(retiredPoll)
		s.reclaim()
	}
	granted := uint64(a.bytes) + s.lease.creditAhead(device)
	s.credit[bits.TrailingZeros8(uint8(device))] += granted
	t.reply = binary.LittleEndian.AppendUint64(t.reply, granted)
	return C.CL_SUCCESS
}

// reserve finds a place of the arena for a transfer, filled with pages.
func (s *Session) reserve(size uint64) (uint64, bool) {
	if size > reserveMax-s.reservedIn {
		return 0, false
	}
	place, ok := s.places.take(max(size, pageBytes))
	if !ok || place.size > reserveMax-s.reservedIn {
		if ok {
			s.places.give(place)
		}
		return 0, false
	}
	populate(s.arenaShared.bytes[place.offset : place.offset+place.size])
	s.reserved[place.offset] = place
	s.reservedIn += place.size
	return place.offset, true
}

func (s *Session) unreserve(offset uint64) bool {
	place, ok := s.reserved[offset]
	if ok {
		delete(s.reserved, offset)
		s.reservedIn -= place.size
		s.places.give(place)
	}
	return ok
}

func (t *thread) reserve(a argsReserve) C.cl_int {
	offset, ok := t.session.reserve(uint64(a.bytes))
	if !ok {
		return C.CL_OUT_OF_RESOURCES
	}
	t.reply = binary.LittleEndian.AppendUint64(t.reply, offset)
	return C.CL_SUCCESS
}

func (t *thread) unreserve(a argsUnreserve) C.cl_int {
	if !t.session.unreserve(uint64(a.offset)) {
		t.violate("arena offset %d is no place of a transfer", uint64(a.offset))
	}
	return C.CL_SUCCESS
}

// locate answers where a buffer's bytes are.
func (t *thread) locate(a argsLocate) C.cl_int {
	b := a.buffer.buffer
	b.located = b.uses == 1
	t.session.expose(b)
	t.reply = binary.LittleEndian.AppendUint64(t.reply, b.place.offset)
	shared := uint64(0)
	if t.session.lease.inPlace() && (b.element == 0 || t.session.lease.imagesInPlace()) {
		shared = 1
	}
	t.reply = binary.LittleEndian.AppendUint64(t.reply, shared)
	return C.CL_SUCCESS
}

// expose fills a buffer with pages before the shim may touch it.
func (s *Session) expose(b *buffer) {
	if b.root != nil {
		b = b.root
	}
	if b.populated {
		return
	}
	b.populated = true
	from := b.place.offset / pageBytes * pageBytes
	to := roundUp(b.place.offset+b.place.size, pageBytes)
	populate(s.arenaShared.bytes[from:to])
}

func (t *thread) release(a argsRelease) C.cl_int {
	o := t.session.objects.at(uint64(a.handle))
	if uint64(a.handle) < firstHandle || o == nil || o.kind == noObject || o.kind != kind(a.object) {
		t.violate("release of handle %d, which is not of kind %d", uint64(a.handle), uint64(a.object))
		return C.CL_SUCCESS
	}
	t.session.drop(o)
	return C.CL_SUCCESS
}
