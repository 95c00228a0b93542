package dispatch

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sluice/vdev/wire"
)

// segment is shared memory of one Session, sized and sealed, so that the shim
// can neither shrink it under the worker nor grow it.
type segment struct {
	fd    int
	bytes []byte
}

func newShared(name string, size int) (segment, error) {
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
	s.bytes, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		s.close()
		return segment{}, fmt.Errorf("mapping %d bytes of shared memory: %w", size, err)
	}
	return s, nil
}

// newSegment makes a Session's segment and fills it with pages, which are
// charged to whoever touches them first.
func newSegment() (segment, error) {
	s, err := newShared("sluice-segment", wire.SegmentSize)
	if err != nil {
		return segment{}, err
	}
	populate(s.bytes)
	return s, nil
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
		_ = unix.Munmap(s.bytes)
	}
	_ = unix.Close(s.fd)
	s.bytes = nil
}
