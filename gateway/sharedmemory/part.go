package sharedmemory

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Part is a part of a region that one tensor has. It must be released.
type Part struct {
	regions *Regions
	tenant  string
	region  *region
	// offset is in the file, size what the tensor may have.
	offset, size uint64
	charged      uint64
}

// Use finds a part of a tenant's region and keeps the region from being closed until Release.
func (r *Regions) Use(tenant, name string, offset, size uint64) (*Part, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var found *region
	if held := r.tenants[tenant]; held != nil {
		found = held.regions[name]
	}
	if found == nil {
		return nil, fmt.Errorf("%w: no region %q", ErrNotFound, name)
	}
	if offset > found.ByteSize || size > found.ByteSize-offset {
		return nil, fmt.Errorf("%w: offset %d and byte_size %d are beyond the end of region %q, which has %d bytes",
			ErrInvalid, offset, size, name, found.ByteSize)
	}
	found.users++
	return &Part{regions: r, tenant: tenant, region: found, offset: found.Offset + offset, size: size}, nil
}

// Read copies the part. The copy counts as in use until Release.
func (p *Part) Read() ([]byte, error) {
	if err := p.charge(); err != nil {
		return nil, err
	}
	data := make([]byte, p.size)
	_, err := p.region.file.ReadAt(data, int64(p.offset))
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: the file of region %q has been made shorter", ErrInvalid, p.region.Name)
	case err != nil:
		return nil, fmt.Errorf("read region %q: %w", p.region.Name, err)
	}
	return data, nil
}

func (p *Part) charge() error {
	p.regions.mutex.Lock()
	defer p.regions.mutex.Unlock()
	held := p.regions.of(p.tenant)
	if p.size > MaxBytesInUse-held.bytesInUse {
		return fmt.Errorf("%w: requests of the tenant use %d bytes, the limit is %d", ErrLimit, held.bytesInUse, MaxBytesInUse)
	}
	held.bytesInUse += p.size
	p.charged += p.size
	return nil
}

// Write puts data at the part's beginning. More than fits is ErrInvalid, and nothing is written.
func (p *Part) Write(data []byte) error {
	if uint64(len(data)) > p.size {
		return fmt.Errorf("%w: the output has %d bytes, shared_memory_byte_size is %d", ErrInvalid, len(data), p.size)
	}
	// A write beyond the end would make the file longer, with memory that is charged to the daemon.
	var is unix.Stat_t
	if err := unix.Fstat(int(p.region.file.Fd()), &is); err != nil {
		return fmt.Errorf("examine region %q: %w", p.region.Name, err)
	}
	if uint64(is.Size) < p.offset+uint64(len(data)) {
		return fmt.Errorf("%w: the file of region %q has been made shorter", ErrInvalid, p.region.Name)
	}
	if _, err := p.region.file.WriteAt(data, int64(p.offset)); err != nil {
		return fmt.Errorf("write region %q: %w", p.region.Name, err)
	}
	return nil
}

// Release ends the use.
func (p *Part) Release() {
	p.regions.mutex.Lock()
	defer p.regions.mutex.Unlock()
	p.region.users--
	p.region.closeIdle()
	if p.charged > 0 {
		p.regions.of(p.tenant).bytesInUse -= p.charged
		p.charged = 0
	}
	p.regions.tidy(p.tenant)
}
