// Package buildcache keeps what drivers have compiled for a tenant beyond the life of the worker that had it compiled, so
// that a program which the tenant has built before is not compiled again.
//
// A driver has a cache of its own, in files below one folder that the worker alone writes. When a Lease is released the
// worker packs that folder, and the daemon stores the package for the tenant and the device; the tenant's next worker on a
// like device unpacks it. The driver's own key, of source, options, headers and compiler, decides what is the same program.
// A tenant's kernels may have written anything into its package: it is read by workers of that tenant alone, and the
// daemon never looks into it.
package buildcache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of what is kept, in bytes.
const (
	PackageBytesMax = 32 << 20  // of a tenant on a device
	TenantBytesMax  = 128 << 20 // of a tenant
	StoreBytesMax   = 1 << 30
)

// ErrPackage is wrapped by errors about a package that is not kept, which are the worker's fault.
var ErrPackage = errors.New("no package of builds")

// Key says what a package is good for.
type Key struct {
	Tenant string
	// Of the device, as its driver reports them.
	Platform, Device, DriverVersion string
}

// Store keeps packages in files: a folder of a tenant, a file of a kind of device.
type Store struct {
	folder string
	mutex  sync.Mutex
}

// NewStore keeps packages below folder, which it makes.
func NewStore(folder string) (*Store, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of builds: %w", err)
	}
	return &Store{folder: folder}, nil
}

// path names a key's file. What tenants and drivers are called is no part of it: they may be called anything.
func (s *Store) path(k Key) string {
	return filepath.Join(s.folder, digest(k.Tenant), digest(k.Platform, k.Device, k.DriverVersion))
}

func digest(parts ...string) string {
	hash := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(hash, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// Open returns a key's package for reading, which the caller closes, or nil where there is none.
func (s *Store) Open(k Key) (*os.File, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	file, err := os.Open(s.path(k))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening a package of builds: %w", err)
	}
	now := time.Now() // what is used is dropped last
	_ = os.Chtimes(file.Name(), now, now)
	return file, nil
}

// Save replaces a key's package by the sealed memory that a worker sent. The oldest packages make room.
func (s *Store) Save(k Key, memory *os.File) error {
	size, err := sealedBytes(memory)
	if err != nil {
		return err
	}
	if size > PackageBytesMax {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrPackage, size, PackageBytesMax)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	path := s.path(k)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("saving a package of builds: %w", err)
	}
	temporary := path + ".new"
	if err := copyTo(temporary, io.NewSectionReader(memory, 0, size)); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("saving a package of builds: %w", err)
	}
	if err := s.trim(filepath.Dir(path), TenantBytesMax); err != nil {
		return err
	}
	return s.trim(s.folder, StoreBytesMax)
}

func copyTo(path string, from io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("saving a package of builds: %w", err)
	}
	_, err = io.Copy(file, from)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("saving a package of builds: %w", err)
	}
	return nil
}

// sealedBytes is the size of memory that nobody can change any more; of nothing else, as reading from a worker's pipe
// or file might never end.
func sealedBytes(memory *os.File) (int64, error) {
	const wanted = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	seals, err := unix.FcntlInt(memory.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&wanted != wanted {
		return 0, fmt.Errorf("%w: no sealed memory", ErrPackage)
	}
	info, err := memory.Stat()
	if err != nil {
		return 0, fmt.Errorf("saving a package of builds: %w", err)
	}
	return info.Size(), nil
}

// trim removes the packages below folder that were used longest ago, until the rest have at most bytesMax.
func (s *Store) trim(folder string, bytesMax int64) error {
	type kept struct {
		path string
		size int64
		used time.Time
	}
	var all []kept
	sum := int64(0)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		all = append(all, kept{path, info.Size(), info.ModTime()})
		sum += info.Size()
		return nil
	})
	if err != nil {
		return fmt.Errorf("making room for packages of builds: %w", err)
	}
	slices.SortFunc(all, func(a, b kept) int { return a.used.Compare(b.used) })
	for _, k := range all {
		if sum <= bytesMax {
			break
		}
		if err := os.Remove(k.path); err != nil {
			return fmt.Errorf("making room for packages of builds: %w", err)
		}
		sum -= k.size
	}
	return nil
}
