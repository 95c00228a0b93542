package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"unsafe"

	"sluice/vdev/record"
	"sluice/vdev/wire"
)

// region is bytes that the shim reads or writes beside the ring.
type region struct {
	where        C.cl_uint
	offset, size uint64
}

// arenaRegion is a part of a memory object's place.
func arenaRegion(b *buffer, offset, size C.size_t) region {
	return region{wire.PlaceObject, b.place.offset + uint64(offset), uint64(size)}
}

// record adds an entry of a region's bytes: Data of the frame at hand, or a Result before the shim is told of it.
func (s *Session) record(kind record.Kind, r region) {
	recording := s.lease.limits.Record
	if recording == nil || r.size == 0 {
		return
	}
	e := record.Entry{Kind: kind, Place: wire.PlaceArena, Value: r.offset}
	if r.where == wire.PlaceStaging {
		e.Place, e.Bytes = wire.PlaceStaging, s.shared.bytes[wire.StagingOffset+r.offset:][:r.size]
	} else {
		e.Bytes = s.arenaShared.bytes[r.offset:][:r.size]
	}
	recording.Add(e)
}

// recordFrame begins the frame at hand.
func (t *thread) recordFrame(header uint64, body []byte) {
	if recording := t.session.lease.limits.Record; recording != nil {
		frame := binary.LittleEndian.AppendUint64(make([]byte, 0, wire.FrameHeader+len(body)), header)
		recording.Open(append(frame, body...))
	}
}

// recordTaken ends the frame at hand, whose data are all there, before another thread may lead.
func (t *thread) recordTaken() {
	if recording := t.session.lease.limits.Record; recording != nil && !t.yielded {
		recording.Taken()
	}
}

// recordUse adds what the shim has filled a new buffer with, when a frame names it.
func (s *Session) recordUse(b *buffer) {
	if s.lease.limits.Record == nil {
		return
	}
	b.uses++
	if b.located {
		b.located = false
		s.record(record.Data, arenaRegion(b, 0, C.size_t(b.size)))
	}
}

// recordAnswer adds the answer that is about to be given.
func (t *thread) recordAnswer(status C.cl_int) {
	if recording := t.session.lease.limits.Record; recording != nil {
		recording.Add(record.Entry{Kind: record.Answer, Place: uint32(t.waiter), Value: uint64(uint32(status)), Bytes: t.reply})
		if status == C.CL_SUCCESS {
			t.session.record(record.Result, t.brought)
		}
	}
}

// recordTicket adds what a transfer has brought, and its ticket, which is about to be set.
func (s *Session) recordTicket(p pendingTransfer, state uint32) {
	recording := s.lease.limits.Record
	if recording == nil {
		return
	}
	recording.Add(record.Entry{Kind: record.Ticket, Place: p.ticket, Value: uint64(state)})
	if state == wire.TicketDone {
		s.record(record.Result, p.result)
	}
}

const mapWrites = C.CL_MAP_WRITE | C.CL_MAP_WRITE_INVALIDATE_REGION

// settleAtOnce marks a transfer's ticket when it is over, not at the next answer: what is said again waits for a ticket without
// a word to the worker.
func (s *Session) settleAtOnce(event C.cl_event) {
	C.clRetainEvent(event)
	s.threads.Add(1)
	go func() {
		defer s.threads.Done()
		waited := (*C.cl_event)(C.malloc(C.size_t(unsafe.Sizeof(event))))
		defer C.free(unsafe.Pointer(waited))
		*waited = event
		C.clWaitForEvents(1, waited)
		s.settle()
		C.clReleaseEvent(event)
	}()
}

// CallName is a call's name by its number in a frame.
func CallName(call uint16) string { return callName(call) }

// Volatile says whether a call is answered by the time of day or by what the device has come to, so that no two answers need be
// the same.
func Volatile(call uint16) bool { return volatileCalls[callName(call)] }

var volatileCalls = map[string]bool{
	"clGetProgramBuildInfo": true, "clGetProgramInfo": true, // a compiler names its temporary files, in binaries too
	"clGetEventInfo": true, "clGetEventProfilingInfo": true, "clGetDeviceAndHostTimer": true, "clGetHostTimer": true,
	"output": true, "settle": true,
}
