package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"sluice/vdev/wire"
)

// unsetMax bounds the user events without a status of one Session.
const unsetMax = 1 << 16

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
	status := C.driver_ask_notice(driverEvent(a.event.driver), a.state, (*C.uint32_t)(unsafe.Pointer(words)), s.notices)
	if status != C.CL_SUCCESS {
		atomic.StoreUint32(word32(s.shared.bytes, wire.NoticeOffset+8*int(a.notice)+4), uint32(status))
		atomic.StoreUint32(words, 1)
		atomic.AddUint32(bell, 1)
		C.driver_wake((*C.uint32_t)(unsafe.Pointer(bell)), 1)
	}
	return status
}

func (t *thread) clFinish(a argsClFinish) C.cl_int {
	queue, earlier := driverQueue(a.commandQueue.driver), refusal(a.commandQueue)
	// The program may release the queue from another thread meanwhile.
	C.clRetainCommandQueue(queue)
	t.yield()
	status := C.clFinish(queue)
	C.clReleaseCommandQueue(queue)
	if status != C.CL_SUCCESS {
		return status
	}
	t.reply = append(t.reply, commandMade)
	return earlier
}

// outlast waits for what the queue holds: for all of it where one thread alone
// feeds the queue, which cannot do so meanwhile, and else for a marker.
func (t *thread) outlast(a argsOutlast) C.cl_int {
	if a.several == 0 {
		return t.clFinish(argsClFinish{commandQueue: a.commandQueue})
	}
	earlier := refusal(a.commandQueue)
	status := C.clEnqueueMarkerWithWaitList(driverQueue(a.commandQueue.driver), 0, nil, t.ownEventOut())
	if status == C.CL_SUCCESS {
		status = t.waitOne(C.cl_event(t.scratch.created))
	}
	if status != C.CL_SUCCESS {
		return status
	}
	t.reply = append(t.reply, commandMade)
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

// clGetEventProfilingInfo answers with all times of a command that is over beside
// the one that was asked for.
func (t *thread) clGetEventProfilingInfo(a argsClGetEventProfilingInfo) C.cl_int {
	event := driverEvent(a.event.driver)
	asked, status := eventTime(event, a.paramName)
	if status != C.CL_SUCCESS {
		return status
	}
	var final uint64
	var times [wire.TimeCount]uint64
	if over(event) == wire.TicketDone {
		for i := range times {
			time, status := eventTime(event, C.CL_PROFILING_COMMAND_QUEUED+C.cl_profiling_info(i))
			if status == C.CL_SUCCESS {
				times[i] = uint64(time)
				final |= 1 << i
			}
		}
	}
	t.reply = binary.LittleEndian.AppendUint64(t.reply, uint64(asked))
	t.reply = binary.LittleEndian.AppendUint64(t.reply, final)
	for _, time := range times {
		t.reply = binary.LittleEndian.AppendUint64(t.reply, time)
	}
	return C.CL_SUCCESS
}

// eventTime asks the driver for one of a command's times, in nanoseconds.
func eventTime(event C.cl_event, which C.cl_profiling_info) (time C.cl_ulong, status C.cl_int) {
	status = C.clGetEventProfilingInfo(event, which, C.size_t(unsafe.Sizeof(time)), unsafe.Pointer(&time), nil)
	return time, status
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
	if len(s.unset) == unsetMax {
		*status = C.CL_OUT_OF_RESOURCES
		return nil
	}
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

// clEnqueueWaitForEvents is a barrier by its old name, at which some drivers end
// the process.
func (t *thread) clEnqueueWaitForEvents(a argsClEnqueueWaitForEvents) C.cl_int {
	status := C.clEnqueueBarrierWithWaitList(driverQueue(a.commandQueue.driver), a.eventList.count, listEvent(a.eventList), nil)
	return t.enqueued(a.commandQueue, status)
}

// refusedCommand is the status of a command that is not carried out. One that
// nobody waits for fails by its event where the event that it waits for has.
func (t *thread) refusedCommand() C.cl_int {
	if t.refused == C.CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST {
		return C.CL_SUCCESS
	}
	return t.refused
}

// abandon ends what a refused frame named: its handles are free again where the
// shim is told, or say the reason where it is not.
func (t *thread) abandon(status C.cl_int) {
	t.session.finish(pendingTransfer{ticket: t.ticketTaken}, wire.TicketFailed)
	told := t.waiter != 0 && status != C.CL_SUCCESS
	for _, o := range t.made {
		switch {
		case told:
			*o = object{}
		case o.kind == kindEvent && t.refused == C.CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
			if event := C.driver_failed_like(t.waitedFor); event != nil {
				o.driver, o.failed = unsafe.Pointer(event), C.CL_SUCCESS
			}
		default:
			o.failed = t.refused
		}
	}
}
