package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"

	"sluice/vdev/record"
	"sluice/vdev/wire"
)

const firstHandle = wire.FirstHandle

// commandMade is the reply to a call that waits for its command: where there is
// any reply, the command was accepted and its handles are taken, whatever came
// of it.
const commandMade = 1

// pendingTransfer is a transfer that nobody waits for.
type pendingTransfer struct {
	event  C.cl_event
	ticket uint32
	result region
}

// eventOut is where the driver puts the event of a command, or nil.
func (t *thread) eventOut(o *object) *C.cl_event {
	if o == nil {
		return nil
	}
	return (*C.cl_event)(unsafe.Pointer(&t.scratch.created))
}

func (t *thread) keepEvent(o *object, status C.cl_int) {
	if o != nil {
		t.keep(o, t.scratch.created, status)
	}
}

// enqueued returns a command's status, and keeps the refusal of one that nobody
// waits for until somebody waits for its queue.
func (t *thread) enqueued(queue *object, status C.cl_int) C.cl_int {
	if status != C.CL_SUCCESS && t.waiter == 0 {
		queue.refusal = status
	}
	return status
}

// refusal takes the queue's kept refusal.
func refusal(queue *object) C.cl_int {
	status := queue.refusal
	queue.refusal = C.CL_SUCCESS
	return status
}

// place returns the bytes of a transfer, or nil after a violation.
func (t *thread) place(where C.cl_uint, offset, size C.size_t) unsafe.Pointer {
	at, n := uint64(offset), uint64(size)
	switch where {
	case wire.PlaceStaging:
		if n > 0 && at <= wire.StagingSize && n <= wire.StagingSize-at {
			return unsafe.Pointer(&t.session.shared.bytes[wire.StagingOffset+at])
		}
	case wire.PlaceArena:
		if place, ok := t.session.reserved[at]; ok && n > 0 && n <= place.size {
			return unsafe.Pointer(&t.session.arenaShared.bytes[at])
		}
	case wire.PlaceObject:
		whole := uint64(len(t.session.arenaShared.bytes))
		if n > 0 && at <= whole && n <= whole-at && t.session.places.taken(extent{at, n}) {
			return unsafe.Pointer(&t.session.arenaShared.bytes[at])
		}
	}
	t.violate("a transfer of %d bytes at offset %d of place %d", n, at, uint32(where))
	return nil
}

// source is a place that the worker reads.
func (t *thread) source(where C.cl_uint, offset, size C.size_t) unsafe.Pointer {
	first := t.place(where, offset, size)
	if first != nil {
		t.session.record(record.Data, region{where, uint64(offset), uint64(size)})
	}
	return first
}

// target is a place that the shim reads when the transfer is over.
func (t *thread) target(where C.cl_uint, offset, size C.size_t) unsafe.Pointer {
	t.result = region{where, uint64(offset), uint64(size)}
	return t.place(where, offset, size)
}

func (t *thread) clEnqueueReadBuffer(a argsClEnqueueReadBuffer) C.cl_int {
	to := t.target(a.place, a.placeOffset, a.size)
	if to == nil {
		return C.CL_SUCCESS
	}
	t.session.lease.fromDevice.Add(uint64(a.size))
	status := C.clEnqueueReadBuffer(driverQueue(a.commandQueue.driver), driverMem(a.buffer.driver), C.CL_FALSE, a.offset, a.size, to, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	return t.transferred(a.commandQueue, a.event, a.blocking, a.ticket, status)
}

func (t *thread) clEnqueueWriteBuffer(a argsClEnqueueWriteBuffer) C.cl_int {
	from := t.source(a.place, a.placeOffset, a.size)
	if from == nil {
		return C.CL_SUCCESS
	}
	t.session.lease.toDevice.Add(uint64(a.size))
	status := C.clEnqueueWriteBuffer(driverQueue(a.commandQueue.driver), driverMem(a.buffer.driver), C.CL_FALSE, a.offset, a.size, from, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	return t.transferred(a.commandQueue, a.event, a.blocking, a.ticket, status)
}

// regionBytes is the size of a region without gaps, or 0 where it is malformed.
func regionBytes(region *C.size_t) C.size_t {
	if region == nil {
		return 0
	}
	r := unsafe.Slice(region, 3)
	high, area := bits.Mul64(uint64(r[0]), uint64(r[1]))
	high2, volume := bits.Mul64(area, uint64(r[2]))
	if high != 0 || high2 != 0 {
		return 0
	}
	return C.size_t(volume)
}

func (t *thread) clEnqueueReadBufferRect(a argsClEnqueueReadBufferRect) C.cl_int {
	size := regionBytes(a.region)
	to := t.target(a.place, a.placeOffset, size)
	if to == nil || t.sizesGiven(a.bufferOrigin) == nil {
		return C.CL_SUCCESS
	}
	t.session.lease.fromDevice.Add(uint64(size))
	status := C.clEnqueueReadBufferRect(driverQueue(a.commandQueue.driver), driverMem(a.buffer.driver), C.CL_FALSE, a.bufferOrigin, &noOrigin[0], a.region, a.bufferRowPitch, a.bufferSlicePitch, 0, 0, to, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	return t.transferred(a.commandQueue, a.event, a.blocking, a.ticket, status)
}

func (t *thread) clEnqueueWriteBufferRect(a argsClEnqueueWriteBufferRect) C.cl_int {
	size := regionBytes(a.region)
	from := t.source(a.place, a.placeOffset, size)
	if from == nil || t.sizesGiven(a.bufferOrigin) == nil {
		return C.CL_SUCCESS
	}
	t.session.lease.toDevice.Add(uint64(size))
	status := C.clEnqueueWriteBufferRect(driverQueue(a.commandQueue.driver), driverMem(a.buffer.driver), C.CL_FALSE, a.bufferOrigin, &noOrigin[0], a.region, a.bufferRowPitch, a.bufferSlicePitch, 0, 0, from, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	return t.transferred(a.commandQueue, a.event, a.blocking, a.ticket, status)
}

var noOrigin [3]C.size_t

// sizesGiven refuses an absent list of sizes where the driver would read one.
func (t *thread) sizesGiven(list *C.size_t) *C.size_t {
	if list == nil {
		t.violate("an absent list of sizes")
	}
	return list
}

// ownEventOut is where the driver puts an event that the worker itself needs.
func (t *thread) ownEventOut() *C.cl_event {
	return (*C.cl_event)(unsafe.Pointer(&t.scratch.created))
}

// transferred follows a transfer to its end: it waits for it, or gives it a
// ticket.
func (t *thread) transferred(queue, event *object, blocking C.cl_bool, ticket uint32, status C.cl_int) C.cl_int {
	own := C.cl_event(t.scratch.created)
	t.keepEvent(event, status)
	if status != C.CL_SUCCESS {
		t.session.finish(pendingTransfer{ticket: ticket}, wire.TicketFailed)
		return t.enqueued(queue, status)
	}
	if event != nil {
		C.clRetainEvent(own)
	}
	waits := blocking != C.CL_FALSE && t.waiter != 0
	switch {
	case ticket != 0:
		if waits {
			C.clRetainEvent(own)
		}
		t.session.follow(pendingTransfer{own, ticket, t.result})
	case !waits:
		C.clReleaseEvent(own)
	}
	if !waits {
		return status
	}
	earlier := refusal(queue)
	if len(t.reply) == 0 {
		t.reply = append(t.reply, commandMade)
	}
	status = t.waitOne(own)
	if status == C.CL_SUCCESS {
		t.brought = t.result
		return earlier
	}
	return status
}

// waitOne hands the lead on, waits for an event and releases it.
func (t *thread) waitOne(event C.cl_event) C.cl_int {
	t.scratch.created = unsafe.Pointer(event)
	t.yield()
	status := C.clWaitForEvents(1, t.ownEventOut())
	C.clReleaseEvent(event)
	return status
}

// finish marks a transfer's ticket.
func (s *Session) finish(p pendingTransfer, state uint32) {
	if p.ticket >= 1 && p.ticket <= wire.TicketCount {
		s.recordTicket(p, state)
		atomic.StoreUint32(word32(s.shared.bytes, wire.TicketOffset+4*int(p.ticket-1)), state)
	}
}

// follow remembers a transfer with a ticket, and marks those that are over.
func (s *Session) follow(p pendingTransfer) {
	s.pendingMutex.Lock()
	defer s.pendingMutex.Unlock()
	s.pending = append(s.pending, p)
	if s.lease.limits.Steady {
		s.settleAtOnce(p.event)
	}
	if len(s.pending) > 1 && over(s.pending[0].event) != 0 {
		s.settleLocked()
	}
}

// over is the state of a transfer's ticket, or 0 where it is not over.
func over(event C.cl_event) uint32 {
	var state C.cl_int
	status := C.clGetEventInfo(event, C.CL_EVENT_COMMAND_EXECUTION_STATUS, C.size_t(unsafe.Sizeof(state)), unsafe.Pointer(&state), nil)
	switch {
	case status != C.CL_SUCCESS || state < C.CL_COMPLETE:
		return wire.TicketFailed
	case state == C.CL_COMPLETE:
		return wire.TicketDone
	}
	return 0
}

// settle marks the tickets of the transfers that are over. Every answer settles
// first, so that a program that sees a command's end sees its bytes.
func (s *Session) settle() {
	s.pendingMutex.Lock()
	defer s.pendingMutex.Unlock()
	s.settleLocked()
}

func (s *Session) settleLocked() {
	kept := s.pending[:0]
	for _, p := range s.pending {
		state := over(p.event)
		if state == 0 {
			kept = append(kept, p)
			continue
		}
		s.finish(p, state)
		C.clReleaseEvent(p.event)
	}
	s.pending = kept
}

// settle is the shim's own call: it waits for the oldest transfer where it is
// told to, and its answer settles.
func (t *thread) settle(a argsSettle) C.cl_int {
	s := t.session
	s.pendingMutex.Lock()
	var oldest C.cl_event
	if len(s.pending) > 0 && a.ticket != 0 {
		oldest = s.pending[0].event
		C.clRetainEvent(oldest)
	}
	s.pendingMutex.Unlock()
	if oldest == nil {
		return C.CL_SUCCESS
	}
	t.waitOne(oldest)
	return C.CL_SUCCESS
}

// mapping is a map that the program has not undone. The driver keeps a mapped
// object, so that a program which leaves without its unmap must be stood in for.
type mapping struct {
	queue   C.cl_command_queue
	mem     C.cl_mem
	pointer unsafe.Pointer
	written region // what the program may write; empty where it only reads
}

// noteMap remembers a map of a region, which the shim may read when it is over.
func (t *thread) noteMap(queue C.cl_command_queue, mem C.cl_mem, pointer unsafe.Pointer, flags C.cl_map_flags, r region) {
	m := mapping{queue: queue, mem: mem, pointer: pointer}
	if flags&mapWrites != 0 {
		m.written = r
	}
	if flags&C.CL_MAP_READ != 0 {
		t.result = r
	}
	C.clRetainCommandQueue(queue)
	t.session.mapped = append(t.session.mapped, m)
}

// unmapped finds a map that the program undoes, or -1.
func (s *Session) unmapped(mem C.cl_mem, pointer unsafe.Pointer) int {
	return slices.IndexFunc(s.mapped, func(m mapping) bool { return m.mem == mem && m.pointer == pointer })
}

func (t *thread) clEnqueueMapBuffer(a argsClEnqueueMapBuffer) C.cl_int {
	var status C.cl_int
	t.session.expose(a.buffer.buffer)
	queue, mem := driverQueue(a.commandQueue.driver), driverMem(a.buffer.driver)
	mapped := C.clEnqueueMapBuffer(queue, mem, C.CL_FALSE, a.mapFlags, a.offset, a.size, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut(), &status)
	if status == C.CL_SUCCESS {
		t.noteMap(queue, mem, mapped, a.mapFlags, arenaRegion(a.buffer.buffer, a.offset, a.size))
	}
	return t.transferred(a.commandQueue, a.event, a.blocking, 0, status)
}

func (t *thread) clEnqueueUnmapMemObject(a argsClEnqueueUnmapMemObject) C.cl_int {
	b := a.memobj.buffer
	if uint64(a.offset) >= b.size {
		t.violate("an unmap at offset %d of %d bytes", uint64(a.offset), b.size)
		return C.CL_SUCCESS
	}
	s := t.session
	mapped := unsafe.Pointer(&s.arenaShared.bytes[b.place.offset+uint64(a.offset)])
	i := s.unmapped(driverMem(a.memobj.driver), mapped)
	if i >= 0 {
		s.record(record.Data, s.mapped[i].written)
	}
	status := C.clEnqueueUnmapMemObject(driverQueue(a.commandQueue.driver), driverMem(a.memobj.driver), mapped, a.eventWaitList.count, listEvent(a.eventWaitList), t.eventOut(a.event))
	t.keepEvent(a.event, status)
	if status == C.CL_SUCCESS && i >= 0 {
		C.clReleaseCommandQueue(s.mapped[i].queue)
		s.mapped = slices.Delete(s.mapped, i, i+1)
	}
	return t.enqueued(a.commandQueue, status)
}

// access maps a range, and unmaps it again behind a gate that the shim opens
// when it has read or written the range. The queue's later commands wait behind
// the gate as they would behind the transfer that this stands for.
func (t *thread) access(a argsAccess) C.cl_int {
	s, b := t.session, a.buffer.buffer
	queue, mem := driverQueue(a.commandQueue.driver), driverMem(a.buffer.driver)
	context := contextOf(queue)
	var status C.cl_int
	gate := s.newUserEvent(context, &status)
	if status != C.CL_SUCCESS {
		return t.keep(a.created, nil, status)
	}
	s.expose(b)
	mapped := C.clEnqueueMapBuffer(queue, mem, C.CL_FALSE, a.mapFlags, a.offset, a.size, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut(), &status)
	if status != C.CL_SUCCESS {
		s.setUserEvent(gate, C.CL_COMPLETE)
		C.clReleaseEvent(gate)
		if a.event != nil {
			*a.event = object{}
		}
		return t.keep(a.created, nil, status)
	}
	own := C.cl_event(t.scratch.created)
	t.scratch.handles[0] = unsafe.Pointer(gate)
	status = C.clEnqueueUnmapMemObject(queue, mem, mapped, 1, (*C.cl_event)(unsafe.Pointer(&t.scratch.handles[0])), t.eventOut(a.event))
	t.keepEvent(a.event, status)
	t.keep(a.created, unsafe.Pointer(gate), status)
	if status != C.CL_SUCCESS {
		s.setUserEvent(gate, C.CL_COMPLETE)
		C.clReleaseEvent(gate)
		C.clReleaseEvent(own)
		return status
	}
	s.countTransfer(a.mapFlags, uint64(a.size))
	t.reply = binary.LittleEndian.AppendUint64(t.reply, b.place.offset+uint64(a.offset))
	entered := arenaRegion(b, a.offset, a.size)
	if a.mapFlags&mapWrites != 0 {
		s.entered[gate] = entered
	}
	if a.mapFlags&C.CL_MAP_READ != 0 {
		t.brought = entered
	}
	return t.waitOne(own)
}

func contextOf(queue C.cl_command_queue) C.cl_context {
	var context C.cl_context
	C.clGetCommandQueueInfo(queue, C.CL_QUEUE_CONTEXT, C.size_t(unsafe.Sizeof(context)), unsafe.Pointer(&context), nil)
	return context
}

func (t *thread) leave(a argsLeave) C.cl_int {
	gate := driverEvent(a.gate.driver)
	t.session.record(record.Data, t.session.entered[gate])
	delete(t.session.entered, gate)
	return t.session.setUserEvent(gate, C.CL_COMPLETE)
}
