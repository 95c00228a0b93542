package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"unsafe"
)

// turn puts a point into the queue and behind it a command that waits for a
// gate: between the two the program's own process does the work. Without a
// memory object both are markers; with one they are a map and its unmap.
func (t *thread) turn(a argsTurn) C.cl_int {
	if (a.origin == nil) != (a.region == nil) || a.region != nil && (a.memory == nil || a.memory.buffer.element == 0) {
		t.violate("a turn with half an image")
		return C.CL_SUCCESS
	}
	s := t.session
	queue := driverQueue(a.commandQueue.driver)
	var status C.cl_int
	gate := s.newUserEvent(contextOf(queue), &status)
	if status != C.CL_SUCCESS {
		return t.refuseTurn(a, status)
	}
	mem := driverMem(a.memory.driverOrNil())
	mapped, status := t.turnPoint(a, queue, mem)
	if status != C.CL_SUCCESS {
		s.setUserEvent(gate, C.CL_COMPLETE)
		C.clReleaseEvent(gate)
		return t.refuseTurn(a, status)
	}
	point := t.scratch.created
	t.scratch.handles[0] = unsafe.Pointer(gate)
	behind := (*C.cl_event)(unsafe.Pointer(&t.scratch.handles[0]))
	if mapped != nil {
		status = C.clEnqueueUnmapMemObject(queue, mem, mapped, 1, behind, t.eventOut(a.event))
	} else {
		status = C.clEnqueueMarkerWithWaitList(queue, 1, behind, t.eventOut(a.event))
	}
	if status != C.CL_SUCCESS {
		s.setUserEvent(gate, C.CL_COMPLETE)
		C.clReleaseEvent(gate)
		C.clReleaseEvent(C.cl_event(point))
		return t.refuseTurn(a, status)
	}
	t.keepEvent(a.event, status)
	t.keep(a.point, point, status)
	t.keep(a.gate, unsafe.Pointer(gate), status)
	return status
}

// turnPoint enqueues the point, and answers with the place of what it maps.
func (t *thread) turnPoint(a argsTurn, queue C.cl_command_queue, mem C.cl_mem) (unsafe.Pointer, C.cl_int) {
	if a.memory == nil {
		return nil, C.clEnqueueMarkerWithWaitList(queue, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut())
	}
	var mapped unsafe.Pointer
	var status C.cl_int
	var row, slice C.size_t
	t.session.expose(a.memory.buffer)
	size := uint64(a.size)
	if a.region != nil {
		size = uint64(imageRegionBytes(a.memory, a.region))
		mapped = C.clEnqueueMapImage(queue, mem, C.CL_FALSE, a.mapFlags, a.origin, a.region, &row, &slice, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut(), &status)
	} else {
		mapped = C.clEnqueueMapBuffer(queue, mem, C.CL_FALSE, a.mapFlags, a.offset, a.size, a.eventWaitList.count, listEvent(a.eventWaitList), t.ownEventOut(), &status)
	}
	if status != C.CL_SUCCESS {
		return nil, status
	}
	t.session.countTransfer(a.mapFlags, size)
	offset := uintptr(mapped) - uintptr(unsafe.Pointer(&t.session.arenaShared.bytes[0]))
	for _, v := range []uint64{uint64(offset), uint64(row), uint64(slice)} {
		t.reply = binary.LittleEndian.AppendUint64(t.reply, v)
	}
	return mapped, status
}

// countTransfer counts bytes that the program reads or writes through a map.
func (s *Session) countTransfer(flags C.cl_map_flags, size uint64) {
	if flags&C.CL_MAP_READ != 0 {
		s.lease.fromDevice.Add(size)
	} else {
		s.lease.toDevice.Add(size)
	}
}

// refuseTurn gives up what a turn names.
func (t *thread) refuseTurn(a argsTurn, status C.cl_int) C.cl_int {
	for _, o := range []*object{a.point, a.gate, a.event} {
		if o != nil {
			t.keep(o, nil, status)
		}
	}
	return status
}
