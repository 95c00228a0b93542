package dispatch

// #include "driver.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"sluice/vdev/wire"
)

const (
	// threadMax bounds the threads of a Session that wait for the driver at once.
	threadMax = 256
	// steadyReplyBytes has long replies of about one size, as binaries of one program
	// are, take one size of place.
	steadyReplyBytes = 1 << 20
	// Bounds of the spin before a sleep, in rounds of pause.
	spinMin, spinMax = 16, 2048
)

// thread carries out frames while it leads its Session.
type thread struct {
	decoder
	session *Session
	waiter  uint16 // the completion slot of the frame at hand, plus one
	reply   []byte
	spin    uint32
	yielded bool
	result  region // what the frame at hand has the shim read
	brought region // what of it is there when the frame is answered
}

// start adds a thread to the Session.
func (s *Session) start() {
	s.running.Add(1)
	s.threads.Add(1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		ExactTimers()
		defer s.threads.Done()
		defer s.running.Add(-1)
		memory := (*scratch)(C.calloc(1, C.size_t(unsafe.Sizeof(scratch{}))))
		defer C.free(unsafe.Pointer(memory))
		t := &thread{session: s, spin: spinMax / 8}
		t.decoder = decoder{session: s, scratch: memory}
		t.run()
	}()
}

// run leads when nobody does and sleeps when somebody else does. A program's
// push wakes one sleeper where nobody leads.
func (t *thread) run() {
	s := t.session
	for !s.closed.Load() {
		seen := atomic.LoadUint32(s.doorbell)
		if t.lead() {
			seen = t.drain()
			if seen == stayAwake {
				continue
			}
		}
		if s.closed.Load() {
			return
		}
		s.idle.Add(1)
		C.driver_sleep((*C.uint32_t)(unsafe.Pointer(s.doorbell)), C.uint32_t(seen))
		s.idle.Add(-1)
	}
}

// stayAwake is drain's answer when the thread has lost the lead while it waited
// for the driver.
const stayAwake = ^uint32(0)

func (t *thread) lead() bool {
	if !t.session.leading.CompareAndSwap(0, 1) {
		return false
	}
	atomic.StoreUint32(t.session.asleep, 0)
	return true
}

// drain carries out frames until there are none, and gives up the lead. It
// returns the doorbell's value to sleep on.
func (t *thread) drain() uint32 {
	s := t.session
	for !s.closed.Load() {
		if atomic.LoadUint64(s.head) == s.consumed && !t.await() {
			seen := atomic.LoadUint32(s.doorbell)
			consumed := s.consumed
			s.leading.Store(0)
			atomic.StoreUint32(s.asleep, 1)
			if atomic.LoadUint64(s.head) == consumed || !t.lead() {
				return seen
			}
			continue
		}
		if leads := t.step(); !leads {
			return stayAwake
		}
	}
	// Who ends the session leads last.
	s.leading.Store(0)
	return stayAwake
}

// await spins for a frame, longer while frames tend to come within the spin.
func (t *thread) await() bool {
	s := t.session
	if C.driver_spin((*C.uint64_t)(unsafe.Pointer(s.head)), C.uint64_t(s.consumed), C.uint32_t(t.spin)) != 0 {
		t.spin = min(spinMax, t.spin+t.spin/4+1)
		return true
	}
	t.spin = max(spinMin, t.spin-t.spin/8)
	return false
}

// step carries out one frame. It returns false where the thread no longer leads.
func (t *thread) step() bool {
	s := t.session
	number, ok := t.next()
	if !ok {
		return true
	}
	t.reply = t.reply[:0]
	status := t.dispatch(number)
	if t.violation != nil {
		s.fail(fmt.Errorf("%s: %w", callName(number), t.violation))
		return true
	}
	s.lease.calls.Add(1)
	if t.refused != C.CL_SUCCESS {
		t.abandon(status)
	}
	t.recordTaken()
	leads := t.leads()
	if s.closed.Load() {
		// What waited may have been let go, not carried out.
		status = C.CL_OUT_OF_RESOURCES
	}
	if t.waiter != 0 {
		t.answer(status, leads)
	} else if status != C.CL_SUCCESS {
		s.log.Debug("a call that nobody waits for was refused", "call", callName(number), "status", int(status))
	}
	return leads
}

// next copies the next frame before anything of it is judged. It returns false
// for a filler and for a frame that ends the Session.
func (t *thread) next() (uint16, bool) {
	s := t.session
	at := s.consumed & (wire.RingSize - 1)
	available := atomic.LoadUint64(s.head) - s.consumed
	header := atomic.LoadUint64(word64(s.ring, int(at)))
	size, number, waiter := uint32(header), uint16(header>>32), uint16(header>>48)
	if size < wire.FrameHeader || size%8 != 0 || uint64(size) > available || at+uint64(size) > wire.RingSize || available > wire.RingSize {
		s.fail(fmt.Errorf("%w: a frame of %d bytes with %d in the ring", ErrProtocol, size, available))
		return 0, false
	}
	if number != 0 && size > wire.FrameMax || waiter > wire.SlotCount {
		s.fail(fmt.Errorf("%w: a frame of %d bytes for slot %d", ErrProtocol, size, waiter))
		return 0, false
	}
	body := t.scratch.frame[:0]
	if number != 0 {
		body = t.scratch.frame[:size-wire.FrameHeader]
		copy(body, s.ring[at+wire.FrameHeader:at+uint64(size)])
	}
	s.consumed += uint64(size)
	atomic.StoreUint64(s.tail, s.consumed)
	if waiters := word32(s.shared.bytes, wire.WordSpaceWaiters); atomic.LoadUint32(waiters) != 0 && atomic.SwapUint32(waiters, 0) != 0 {
		space := word32(s.shared.bytes, wire.WordSpace)
		atomic.AddUint32(space, 1)
		C.driver_wake((*C.uint32_t)(unsafe.Pointer(space)), 1)
	}
	t.begin(body)
	t.waiter, t.result, t.brought = waiter, region{}, region{}
	if number == 0 {
		return 0, false
	}
	t.recordFrame(header, body)
	if err := s.lease.pace.frame(&s.burst, waiter != 0); err != nil {
		s.log.Debug("threads keep their scheduling policy", "error", err)
	}
	return number, true
}

// yield hands the lead on before a call that may wait for the device.
func (t *thread) yield() {
	s := t.session
	t.recordTaken()
	if s.idle.Load() == 0 && s.running.Load() < threadMax {
		s.start()
	}
	consumed := s.consumed
	s.leading.Store(0)
	atomic.StoreUint32(s.asleep, 1)
	if atomic.LoadUint64(s.head) != consumed && atomic.SwapUint32(s.asleep, 0) != 0 {
		atomic.AddUint32(s.doorbell, 1)
		C.driver_wake((*C.uint32_t)(unsafe.Pointer(s.doorbell)), 1)
	}
	t.yielded = true
}

// leads takes the lead back where nobody else has it meanwhile.
func (t *thread) leads() bool {
	if !t.yielded {
		return true
	}
	t.yielded = false
	return t.lead()
}

// answer completes the frame's slot. A reply too long for the slot goes to the
// arena, whose places are the leader's, and from where the shim gives it back.
func (t *thread) answer(status C.cl_int, leads bool) {
	s := t.session
	s.settle()
	s.announceOutput()
	t.recordAnswer(status)
	slot := s.shared.bytes[wire.SlotsOffset+(int(t.waiter)-1)*wire.SlotSize:]
	elsewhere := uint32(0)
	if len(t.reply) <= wire.SlotPayload {
		copy(slot[16:], t.reply)
	} else if offset, ok := t.replyPlace(leads); ok {
		copy(s.arenaShared.bytes[offset:], t.reply)
		binary.LittleEndian.PutUint64(slot[16:], offset)
		elsewhere = 1
	} else {
		status, t.reply = C.CL_OUT_OF_RESOURCES, t.reply[:0]
	}
	binary.LittleEndian.PutUint32(slot[4:], uint32(status))
	binary.LittleEndian.PutUint32(slot[8:], uint32(len(t.reply)))
	binary.LittleEndian.PutUint32(slot[12:], elsewhere)
	state := word32(slot, 0)
	if atomic.SwapUint32(state, wire.SlotDone) == wire.SlotWaiting {
		C.driver_wake((*C.uint32_t)(unsafe.Pointer(state)), 1)
	}
}

func (t *thread) replyPlace(leads bool) (uint64, bool) {
	if !leads {
		return 0, false
	}
	size := uint64(len(t.reply))
	if t.session.lease.limits.Steady {
		size = roundUp(size, steadyReplyBytes)
	}
	return t.session.reserve(size)
}
