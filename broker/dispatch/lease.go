// Package dispatch is the worker's side of forwarded calls: it reads a Session's
// frames, checks them, and carries them out on the driver. It is the only
// package that a hostile program's bytes reach beside the driver itself.
package dispatch

// #cgo LDFLAGS: -l:libOpenCL.so.1
// #include "driver.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"sluice/vdev/record"
	"sluice/vdev/wire"
)

// Errors of a Lease and its Sessions.
var (
	ErrDevice   = errors.New("no such device")
	ErrProtocol = errors.New("the shim broke the protocol")
	ErrSessions = errors.New("too many sessions")
)

// SessionMax bounds the Sessions of one Lease at a time.
const SessionMax = 64

// preparePause is how long the next Session's segment waits when one was taken: to fill it with pages takes a core that the
// program that has just come needs.
const preparePause = 200 * time.Millisecond

// Limits is what a Lease may use.
type Limits struct {
	// PlatformIndex is the place of the devices' platform in the loader's list.
	PlatformIndex int
	// Devices are 1 to wire.DevicesMax, in the order in which programs see them.
	Devices []Device
	// HeaderFolder is where the files lie that programs include, while they are
	// built. It is this process's alone.
	HeaderFolder string
	// Output is where kernels print; nil where nobody takes it.
	Output *Output
	// Segment is one that was made before, for the first Session, or nil.
	Segment *Segment
	// Unpacked is closed when what the tenant has built before is where the driver
	// looks for it; nil where nothing is to come.
	Unpacked <-chan struct{}
	// Steady has the same frames come to the same answers, as far as the driver does,
	// at the price of speed: no place of the arena is used twice, the shim leaves every
	// transfer to the worker, and shared virtual memory is absent.
	Steady bool
	// Record takes what the Lease's first Session says, and lets no other in; nil:
	// nothing is kept. The Lease is to be steady.
	Record *record.Writer
}

// Device is a part of a device that a Lease has.
type Device struct {
	Index       int // place of the device in its platform's list
	MemoryBytes uint64
}

// Stats counts what a Lease has done since it began, but for Sessions and
// MemoryBytes, which are of now.
type Stats struct {
	Sessions, Calls, BytesToDevice, BytesFromDevice, MemoryBytes uint64
}

// Lease serves the Sessions of one Lease on its devices.
type Lease struct {
	limits   Limits
	platform C.cl_platform_id
	devices  []leased
	svm      bool // memory of the arena can be the devices' shared virtual memory

	sessions, calls, toDevice, fromDevice atomic.Uint64
	headers                               headers
	pace                                  pace
	segments                              chan segment

	background sync.WaitGroup // what is tried and made while programs go on
	closed     chan struct{}  // closed when that is to end

	tried        chan struct{} // closed when worksInPlace is known
	worksInPlace bool
	// imagesInPlace says whether the devices work on images in place, too.
	imagesInPlace func() bool

	mutex sync.Mutex
	open  map[*Session]struct{}
}

// NewLease finds the devices that limits name and gets ready to serve Sessions.
func NewLease(limits Limits) (*Lease, error) {
	l := &Lease{limits: limits, segments: make(chan segment, 1), closed: make(chan struct{}), tried: make(chan struct{}), open: map[*Session]struct{}{}}
	platforms := make([]C.cl_platform_id, 64)
	var count C.cl_uint
	if status := C.clGetPlatformIDs(C.cl_uint(len(platforms)), &platforms[0], &count); status != C.CL_SUCCESS {
		return nil, fmt.Errorf("listing platforms: %w: OpenCL status %d", ErrDevice, status)
	}
	if limits.PlatformIndex < 0 || limits.PlatformIndex >= min(int(count), len(platforms)) {
		return nil, fmt.Errorf("%w: platform %d of %d", ErrDevice, limits.PlatformIndex, count)
	}
	l.platform = platforms[limits.PlatformIndex]
	if err := l.findDevices(); err != nil {
		return nil, err
	}
	l.describe()
	l.background.Go(func() {
		defer close(l.tried)
		l.worksInPlace = !limits.Steady && l.everyDevice(worksInPlace)
	})
	l.imagesInPlace = sync.OnceValue(func() bool { return l.everyDevice(imagesInPlace) })
	if limits.Segment != nil {
		l.segments <- limits.Segment.segment
	} else {
		l.background.Go(func() { l.prepare(0) })
	}
	return l, nil
}

// Close ends and waits for what the Lease does in the background. No Session may be open,
// and none may come.
func (l *Lease) Close() {
	close(l.closed)
	l.background.Wait()
	select {
	case s := <-l.segments:
		s.close()
	default:
	}
}

// prepare makes the next Session's segment ahead of its need, after a pause.
func (l *Lease) prepare(pause time.Duration) {
	select {
	case <-time.After(pause):
	case <-l.closed:
		return
	}
	if s, err := newSegment(); err == nil {
		select {
		case l.segments <- s:
		default:
			s.close()
		}
	}
}

// segment takes the prepared segment, or makes one.
func (l *Lease) segment() (segment, error) {
	select {
	case s := <-l.segments:
		l.background.Go(func() { l.prepare(preparePause) })
		return s, nil
	default:
		return newSegment()
	}
}

// enter has the Session's counts be part of the Lease's.
func (l *Lease) enter(s *Session) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.open[s] = struct{}{}
}

// leave keeps the counts of a Session that ends.
func (l *Lease) leave(s *Session) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.open, s)
	to, from := s.counted()
	l.toDevice.Add(to)
	l.fromDevice.Add(from)
}

// counted is how many bytes the shim says that it has moved itself.
func (s *Session) counted() (to, from uint64) {
	return atomic.LoadUint64(word64(s.shared.bytes, wire.WordToDevice)), atomic.LoadUint64(word64(s.shared.bytes, wire.WordFromDevice))
}

// Stats returns the Lease's counts.
func (l *Lease) Stats() Stats {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var toDevice, fromDevice uint64
	for s := range l.open {
		to, from := s.counted()
		toDevice, fromDevice = toDevice+to, fromDevice+from
	}
	return Stats{
		Sessions:        l.sessions.Load(),
		Calls:           l.calls.Load(),
		BytesToDevice:   l.toDevice.Load() + toDevice,
		BytesFromDevice: l.fromDevice.Load() + fromDevice,
		MemoryBytes:     l.memoryUsed(),
	}
}

// arenaBytes is the size of a Session's arena: the memory, what rounding loses,
// and the places of large transfers.
func (l *Lease) arenaBytes() uint64 {
	memory := l.limits.memoryBytes()
	return roundUp(memory+memory/8+reserveMax+(64<<20), pageBytes)
}

// awaitBuilds waits until the tenant's earlier builds are where the driver looks
// for them. Whatever makes the driver look there, or put anything there, comes
// after it.
func (l *Lease) awaitBuilds() {
	if l.limits.Unpacked != nil {
		<-l.limits.Unpacked
	}
}

func pointer(b []byte) unsafe.Pointer {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Pointer(&b[0])
}

// Compile-time agreement with the wire.
var _ = [1]struct{}{}[wire.RingSize&(wire.RingSize-1)]
