package dispatch

// #include "driver.h"
import "C"

import (
	"fmt"
	"math/rand/v2"
	"unsafe"

	"golang.org/x/sys/unix"

	"sluice/vdev/wire"
)

// segment is shared memory of one Session, sized and sealed, so that the shim
// can neither shrink it under the worker nor grow it.
type segment struct {
	fd    int
	bytes []byte
}

// newShared makes a segment, mapped at address where that is free, and anywhere
// where address is 0. It returns an error where it is not free.
func newShared(name string, size int, address uint64) (segment, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return segment{}, fmt.Errorf("creating shared memory: %w", err)
	}
	s := segment{fd: fd}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		s.close()
		return segment{}, fmt.Errorf("sizing shared memory to %d bytes: %w", size, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		s.close()
		return segment{}, fmt.Errorf("sealing shared memory: %w", err)
	}
	first, err := C.driver_map(C.int(fd), C.size_t(size), C.uintptr_t(address))
	if first == nil {
		s.close()
		return segment{}, fmt.Errorf("mapping %d bytes of shared memory: %w", size, err)
	}
	s.bytes = unsafe.Slice((*byte)(first), size)
	return s, nil
}

// Where an arena is mapped that is to have the same address in the program:
// above the heap and below the libraries that a process on 64-bit Linux has.
const (
	addressLow   = 0x2000_0000_0000
	addressHigh  = 0x5000_0000_0000
	addressAlign = 2 << 20
	addressTries = 8
)

// newArenaShared makes an arena's segment. With sameAddress it is mapped where a
// program is likely to have room; where no such place is free, anywhere.
func newArenaShared(size int, sameAddress bool) (s segment, address uint64, err error) {
	for range addressTries {
		if !sameAddress || size >= addressHigh-addressLow {
			break
		}
		address = addressLow + rand.Uint64N(uint64(addressHigh-addressLow-size))/addressAlign*addressAlign
		if s, err = newShared("sluice-arena", size, address); err == nil {
			return s, address, nil
		}
	}
	s, err = newShared("sluice-arena", size, 0)
	return s, 0, err
}

// newSegment makes a Session's segment and fills it with pages, which are
// charged to whoever touches them first.
func newSegment() (segment, error) {
	s, err := newShared("sluice-segment", wire.SegmentSize, 0)
	if err != nil {
		return segment{}, err
	}
	populate(s.bytes)
	return s, nil
}

// Segment is a Session's shared memory that no Lease has yet.
type Segment struct{ segment }

// NewSegment makes one while there is time, before there is a Lease.
func NewSegment() (*Segment, error) {
	s, err := newSegment()
	if err != nil {
		return nil, err
	}
	return &Segment{s}, nil
}

// populate touches every page of b, aligned to pages, on this process's account.
func populate(b []byte) {
	if len(b) == 0 || unix.Madvise(b, unix.MADV_POPULATE_WRITE) == nil {
		return
	}
	for i := 0; i < len(b); i += pageBytes {
		// A write of what is there would race with the program's own.
		_ = touch(&b[i])
	}
}

func (s *segment) close() {
	if s.bytes != nil {
		C.munmap(unsafe.Pointer(&s.bytes[0]), C.size_t(len(s.bytes)))
	}
	_ = unix.Close(s.fd)
	s.bytes = nil
}
