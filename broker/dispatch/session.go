package dispatch

// #include "driver.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sluice/vdev/record"
	"sluice/vdev/wire"
)

// letGoTimeout bounds the wait for the driver to let go of a finished Session's
// buffers; what it still holds then stays mapped until the worker ends.
const letGoTimeout = 5 * time.Second

// Session is one shim connection. Its frames are carried out by the thread that
// leads; a thread that waits for the driver hands the lead on.
type Session struct {
	lease *Lease
	conn  *net.UnixConn
	log   *slog.Logger

	shared      segment
	arenaShared segment
	ring        []byte
	head        *uint64
	tail        *uint64
	doorbell    *uint32
	asleep      *uint32
	consumed    uint64

	leading atomic.Uint32
	idle    atomic.Int32
	running atomic.Int32
	closed  atomic.Bool
	prints  atomic.Bool
	threads sync.WaitGroup
	failed  atomic.Pointer[error]

	// The leader alone uses these.
	burst      burst
	objects    objects
	places     *arena
	reserved   map[uint64]extent
	reservedIn uint64
	credit     credit
	retired    []*buffer
	svm        []allocation // of shared virtual memory, by offset
	// unset are the user events without a status. The Session keeps them, as
	// commands may wait for one that the program has no name for any more.
	unset map[C.cl_event]struct{}

	notices *C.struct_driver_notices

	mapped []mapping
	// entered are the places that the shim writes to until it leaves, by gate.
	entered map[C.cl_event]region

	pendingMutex sync.Mutex
	pending      []pendingTransfer
}

// Serve greets the shim at conn and carries out its calls until it is gone, ctx
// ends, or it breaks the protocol, which is an error.
func (l *Lease) Serve(ctx context.Context, conn *net.UnixConn, log *slog.Logger) error {
	if l.sessions.Add(1) > SessionMax {
		l.sessions.Add(^uint64(0))
		_ = wire.WriteRefusal(conn, fmt.Sprintf("the lease has %d sessions already", SessionMax))
		return ErrSessions
	}
	defer l.sessions.Add(^uint64(0))
	s, err := l.welcome(conn, log)
	if err != nil {
		said := "the worker has no memory for a session"
		if errors.Is(err, ErrSessions) {
			said = err.Error()
		}
		_ = wire.WriteRefusal(conn, said)
		return err
	}
	l.enter(s)
	s.start()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	// The connection carries nothing after the greeting: a byte is as good an end as none.
	var one [1]byte
	_, _ = conn.Read(one[:])
	s.stop()
	l.leave(s)
	s.close()
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// welcome makes the Session's shared memory and hands it to the shim.
func (l *Lease) welcome(conn *net.UnixConn, log *slog.Logger) (*Session, error) {
	shared, err := l.segment()
	if err != nil {
		return nil, err
	}
	arenaShared, address, err := newArenaShared(int(l.arenaBytes()), l.svm)
	if err != nil {
		shared.close()
		return nil, err
	}
	s := &Session{
		lease: l, conn: conn, log: log, shared: shared, arenaShared: arenaShared,
		ring:     shared.bytes[wire.RingOffset : wire.RingOffset+wire.RingSize],
		head:     word64(shared.bytes, wire.WordHead),
		tail:     word64(shared.bytes, wire.WordTail),
		doorbell: word32(shared.bytes, wire.WordDoorbell),
		asleep:   word32(shared.bytes, wire.WordAsleep),
		places:   newArena(l.arenaBytes()),
		reserved: make(map[uint64]extent),
		unset:    make(map[C.cl_event]struct{}),
		entered:  make(map[C.cl_event]region),
		notices:  C.driver_notices_new((*C.uint32_t)(unsafe.Pointer(word32(shared.bytes, wire.WordNotice)))),
	}
	chunk := new([chunkObjects]object)
	s.objects.chunks[0] = chunk
	s.places.once = l.limits.Steady
	chunk[wire.PlatformHandle] = object{kind: kindPlatform, driver: unsafe.Pointer(l.platform)}
	ahead := l.creditAhead(l.all())
	for i, d := range l.devices {
		chunk[wire.DeviceHandle+i] = object{kind: kindDevice, devices: 1 << i, driver: unsafe.Pointer(d.driver)}
		s.credit[i] = ahead
	}
	if err := l.greet(s, ahead, address); err != nil {
		l.giveBack(s.credit)
		C.driver_notices_close(s.notices)
		s.unmap()
		return nil, err
	}
	return s, nil
}

// greet sends the welcome, and begins the recording that is to be made.
func (l *Lease) greet(s *Session, credit, address uint64) error {
	if recording := l.limits.Record; recording != nil {
		header := record.Header{MemoryBytes: l.limits.memoryBytes(), ArenaBytes: l.arenaBytes(), CreditBytes: credit}
		if !recording.Begin(header) {
			return fmt.Errorf("%w: a recording holds one", ErrSessions)
		}
	}
	welcome := wire.AppendWelcome(nil, wire.Welcome{Devices: len(l.devices), ArenaBytes: l.arenaBytes(), CreditBytes: credit, ArenaAddress: address})
	if _, _, err := s.conn.WriteMsgUnix(welcome, unix.UnixRights(s.shared.fd, s.arenaShared.fd), nil); err != nil {
		return fmt.Errorf("welcoming the shim: %w", err)
	}
	return nil
}

// fail ends the Session for a reason that is the shim's fault. The end of the
// connection tells the shim, whose threads would wait for ever otherwise, and
// Serve.
func (s *Session) fail(err error) {
	if s.failed.CompareAndSwap(nil, &err) {
		s.log.Warn("session ended: the shim broke the protocol", "error", err)
	}
	s.closed.Store(true)
	_ = s.conn.Close()
}

// stop ends the threads: it wakes those that sleep and frees those that wait for
// a user event that nobody will set any more.
func (s *Session) stop() {
	s.closed.Store(true)
	C.driver_notices_end(s.notices)
	done := make(chan struct{})
	go func() {
		s.threads.Wait()
		close(done)
	}()
	for {
		atomic.AddUint32(s.doorbell, 1)
		C.driver_wake((*C.uint32_t)(unsafe.Pointer(s.doorbell)), 1<<30)
		if s.leading.CompareAndSwap(0, 1) {
			s.endUserEvents()
			s.leading.Store(0)
		}
		select {
		case <-done:
			s.endUserEvents()
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// endUserEvents lets what waits for a program that is gone run to its end, into
// memory that nobody will look at: a driver that is told of a failure instead may
// keep what the failed commands held (PoCL 3.1 does). The caller leads.
func (s *Session) endUserEvents() {
	for event := range s.unset {
		s.setUserEvent(event, C.CL_COMPLETE)
	}
}

// close gives everything back to the driver, and then the memory.
func (s *Session) close() {
	for _, m := range s.mapped {
		C.clEnqueueUnmapMemObject(m.queue, m.mem, m.pointer, 0, nil, nil)
		C.clFinish(m.queue)
		C.clReleaseCommandQueue(m.queue)
	}
	s.objects.each(kindQueue, func(o *object) {
		if o.failed == C.CL_SUCCESS {
			C.clFinish(driverQueue(o.driver))
		}
	})
	for _, p := range s.pending {
		C.clReleaseEvent(p.event)
	}
	for _, k := range []kind{kindEvent, kindKernel, kindProgram, kindSampler, kindMem, kindQueue, kindContext, kindDevice} {
		s.objects.each(k, func(o *object) { s.drop(o) })
	}
	s.lease.giveBack(s.credit)
	s.giveSVM()
	C.driver_notices_close(s.notices)
	deadline := time.Now().Add(letGoTimeout)
	for s.reclaim(); len(s.retired) > 0; s.reclaim() {
		if time.Now().After(deadline) {
			s.log.Error("the driver still holds what a finished session shared", "buffers", len(s.retired))
			return
		}
		time.Sleep(time.Millisecond)
	}
	s.unmap()
}

func (s *Session) unmap() {
	s.shared.close()
	s.arenaShared.close()
}

// drop releases what an entry names and frees the entry.
func (s *Session) drop(o *object) {
	if o.failed == C.CL_SUCCESS && s.lease.setOf(o.driver) == 0 {
		releaseDriver(o.kind, o.driver)
		if o.buffer != nil && o.buffer.flag != nil {
			s.retired = append(s.retired, o.buffer)
		}
	}
	*o = object{}
}
