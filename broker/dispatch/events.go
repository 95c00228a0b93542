package dispatch

// #include "driver.h"
import "C"

import (
	"sync/atomic"
	"unsafe"

	"sluice/vdev/wire"
)

// notify has the driver's own threads tell the shim when an event reaches a
// state: no thread of the worker waits for it.
func (t *thread) notify(a argsNotify) C.cl_int {
	s := t.session
	if a.notice >= wire.NoticeCount {
		t.violate("notice %d of %d", uint32(a.notice), wire.NoticeCount)
		return C.CL_SUCCESS
	}
	words := word32(s.shared.bytes, wire.NoticeOffset+8*int(a.notice))
	bell := word32(s.shared.bytes, wire.WordNotice)
	status := C.driver_ask_notice(driverEvent(a.event.driver), a.state, (*C.uint32_t)(unsafe.Pointer(words)), (*C.uint32_t)(unsafe.Pointer(bell)), s.notices)
	if status != C.CL_SUCCESS {
		atomic.StoreUint32(word32(s.shared.bytes, wire.NoticeOffset+8*int(a.notice)+4), uint32(status))
		atomic.StoreUint32(words, 1)
		atomic.AddUint32(bell, 1)
		C.driver_wake((*C.uint32_t)(unsafe.Pointer(bell)), 1)
	}
	return status
}

// noticesOutstanding counts what the driver's threads have yet to write to the
// segment.
func (s *Session) noticesOutstanding() uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(s.notices)))
}

func (t *thread) clFinish(a argsClFinish) C.cl_int {
	queue, earlier := driverQueue(a.commandQueue.driver), refusal(a.commandQueue)
	t.yield()
	if status := C.clFinish(queue); status != C.CL_SUCCESS {
		return status
	}
	return earlier
}

// clWaitForEvents keeps the events while it waits, as the program may release
// them from another thread.
func (t *thread) clWaitForEvents(a argsClWaitForEvents) C.cl_int {
	events := unsafe.Slice(listEvent(a.eventList), int(a.eventList.count))
	for _, e := range events {
		C.clRetainEvent(e)
	}
	t.yield()
	status := C.clWaitForEvents(a.eventList.count, listEvent(a.eventList))
	for _, e := range events {
		C.clReleaseEvent(e)
	}
	return status
}

func (t *thread) clGetEventInfo(a argsClGetEventInfo) C.cl_int {
	return t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
		return C.clGetEventInfo(driverEvent(a.event.driver), C.CL_EVENT_COMMAND_EXECUTION_STATUS, size, value, sizeRet)
	})
}

func (t *thread) clCreateUserEvent(a argsClCreateUserEvent) C.cl_int {
	var status C.cl_int
	event := t.session.newUserEvent(driverContext(a.context.driver), &status)
	return t.keep(a.created, unsafe.Pointer(event), status)
}

func (t *thread) clSetUserEventStatus(a argsClSetUserEventStatus) C.cl_int {
	return t.session.setUserEvent(driverEvent(a.event.driver), a.executionStatus)
}

func (s *Session) newUserEvent(context C.cl_context, status *C.cl_int) C.cl_event {
	event := C.clCreateUserEvent(context, status)
	if *status == C.CL_SUCCESS {
		C.clRetainEvent(event)
		s.unset[event] = struct{}{}
	}
	return event
}

func (s *Session) setUserEvent(event C.cl_event, to C.cl_int) C.cl_int {
	status := C.clSetUserEventStatus(event, to)
	if _, kept := s.unset[event]; kept {
		delete(s.unset, event)
		C.clReleaseEvent(event)
	}
	return status
}
