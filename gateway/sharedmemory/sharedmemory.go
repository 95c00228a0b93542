// Package sharedmemory holds the regions of Triton's system shared memory extension
// (protocol/extension_shared_memory.md): parts of files in one folder that clients on this host share with the gateway, so
// that tensors do not travel through a connection.
//
// A region is its tenant's alone. Its file is opened when it is registered, and only if it belongs to the user at the other
// end of the connection (User): with that, nobody has the gateway read or write a file that he could not himself. Files are
// read and written, not mapped: one that its owner truncates gives an error, not a signal.
package sharedmemory

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Limits of what clients may register and use at once.
const (
	// MaxNameBytes bounds the name of a region.
	MaxNameBytes = 128
	// MaxKeyBytes bounds the name of a file, as the file system does.
	MaxKeyBytes = 255
	// MaxRegions bounds the regions of a tenant, MaxRegionsTotal those of all: each holds a file open.
	MaxRegions      = 128
	MaxRegionsTotal = 2048
	// MaxRegionBytes bounds a region.
	MaxRegionBytes = 1 << 30
	// MaxBytesInUse bounds the bytes of a tenant's requests that came from its regions and are not answered: the gateway
	// holds copies of them, and asking for one takes a client few bytes.
	MaxBytesInUse = 256 << 20
)

// The kinds of errors.
var (
	// ErrInvalid: a field breaks a rule or a limit, or does not fit the region or its file.
	ErrInvalid = errors.New("shared memory")
	// ErrNotFound: the tenant has no region of that name, or there is no file of that key.
	ErrNotFound = errors.New("shared memory not found")
	// ErrExists: the tenant has a region of that name.
	ErrExists = errors.New("shared memory region exists")
	// ErrDenied: the file is not the caller's, or nobody knows whose the connection is.
	ErrDenied = errors.New("shared memory denied")
	// ErrLimit: the tenant, or all together, have as many regions or bytes in use as they may.
	ErrLimit = errors.New("over the limit of shared memory")
)

// Region is a part of a file that a tenant has named.
type Region struct {
	Name string
	// Key is the file's name in the folder, with or without a leading slash, as shm_open takes it.
	Key string
	// Offset is where in the file it begins.
	Offset, ByteSize uint64
}

// Regions holds the regions of all tenants. All methods are safe for concurrent use.
type Regions struct {
	folder *os.File

	mutex   sync.Mutex
	tenants map[string]*holdings
	total   int
}

// holdings are one tenant's.
type holdings struct {
	regions    map[string]*region
	bytesInUse uint64
}

// region is a Region with its file. The mutex of Regions guards the fields below file.
type region struct {
	Region
	file  *os.File
	users int
	gone  bool
}

// Open opens the folder in which files may be named.
func Open(folder string) (*Regions, error) {
	descriptor, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the folder of shared memory %s: %w", folder, err)
	}
	return &Regions{folder: os.NewFile(uintptr(descriptor), folder), tenants: make(map[string]*holdings)}, nil
}

// Path is where a file of the folder lies.
func (r *Regions) Path(key string) string { return filepath.Join(r.folder.Name(), fileName(key)) }

// Close ends all regions. nil has none.
func (r *Regions) Close() error {
	if r == nil {
		return nil
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for tenant := range r.tenants {
		r.unregister(tenant, "")
	}
	return r.folder.Close()
}

// Register opens a region for a tenant. The file must be the user's.
func (r *Regions) Register(tenant string, given Region, user uint32) error {
	if err := check(given); err != nil {
		return err
	}
	file, err := r.open(given, user)
	if err != nil {
		return err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	held := r.of(tenant)
	switch {
	case held.regions[given.Name] != nil:
		err = fmt.Errorf("%w: %q", ErrExists, given.Name)
	case len(held.regions) >= MaxRegions:
		err = fmt.Errorf("%w: the tenant has %d regions", ErrLimit, len(held.regions))
	case r.total >= MaxRegionsTotal:
		err = fmt.Errorf("%w: all tenants together have %d regions", ErrLimit, r.total)
	default:
		held.regions[given.Name] = &region{Region: given, file: file}
		r.total++
		return nil
	}
	r.tidy(tenant)
	return errors.Join(err, file.Close())
}

func check(given Region) error {
	if given.Name == "" || len(given.Name) > MaxNameBytes {
		return fmt.Errorf("%w: name has %d bytes, 1 to %d are allowed", ErrInvalid, len(given.Name), MaxNameBytes)
	}
	name := fileName(given.Key)
	if name == "" || len(name) > MaxKeyBytes || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%w: key must be one file's name of 1 to %d bytes", ErrInvalid, MaxKeyBytes)
	}
	if given.ByteSize == 0 || given.ByteSize > MaxRegionBytes {
		return fmt.Errorf("%w: byte_size is %d, 1 to %d are allowed", ErrInvalid, given.ByteSize, MaxRegionBytes)
	}
	return nil
}

func fileName(key string) string { return strings.TrimPrefix(key, "/") }

// open opens a region's file and checks that it is a regular one, the user's, and large enough. No symbolic link and no
// other file system is followed, and nothing makes the call wait.
func (r *Regions) open(given Region, user uint32) (*os.File, error) {
	descriptor, err := unix.Openat2(int(r.folder.Fd()), fileName(given.Key), &unix.OpenHow{
		Flags:   unix.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, fmt.Errorf("%w: no file %q", ErrNotFound, given.Key)
	case err != nil:
		// What exactly is there is not the caller's to know.
		return nil, fmt.Errorf("%w: %q is no regular file of the connection's user", ErrDenied, given.Key)
	}
	file := os.NewFile(uintptr(descriptor), given.Key)
	if err := examine(file, given, user); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func examine(file *os.File, given Region, user uint32) error {
	var is unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &is); err != nil {
		return fmt.Errorf("examine %q: %w", given.Key, err)
	}
	if is.Mode&unix.S_IFMT != unix.S_IFREG || is.Uid != user {
		return fmt.Errorf("%w: %q is no regular file of the connection's user", ErrDenied, given.Key)
	}
	if size := uint64(max(is.Size, 0)); given.Offset > size || given.ByteSize > size-given.Offset {
		return fmt.Errorf("%w: offset %d and byte_size %d are beyond the end of %q, which has %d bytes",
			ErrInvalid, given.Offset, given.ByteSize, given.Key, size)
	}
	return nil
}

// Status gives the tenant's region of that name, or all of them where name is empty, by name.
func (r *Regions) Status(tenant, name string) ([]Region, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	held := r.tenants[tenant]
	if held == nil {
		held = new(holdings)
	}
	if name == "" {
		var all []Region
		for _, each := range slices.Sorted(maps.Keys(held.regions)) {
			all = append(all, held.regions[each].Region)
		}
		return all, nil
	}
	found := held.regions[name]
	if found == nil {
		return nil, fmt.Errorf("%w: no region %q", ErrNotFound, name)
	}
	return []Region{found.Region}, nil
}

// Unregister ends the tenant's region of that name, or all of them where name is empty; a name that is not there is no error.
// What uses a region goes on to its end.
func (r *Regions) Unregister(tenant, name string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.unregister(tenant, name)
}

func (r *Regions) unregister(tenant, name string) {
	held := r.tenants[tenant]
	if held == nil {
		return
	}
	for each, region := range held.regions {
		if name == "" || name == each {
			delete(held.regions, each)
			r.total--
			region.gone = true
			region.closeIdle()
		}
	}
	r.tidy(tenant)
}

// of gives a tenant's holdings, and makes them.
func (r *Regions) of(tenant string) *holdings {
	held := r.tenants[tenant]
	if held == nil {
		held = &holdings{regions: make(map[string]*region)}
		r.tenants[tenant] = held
	}
	return held
}

// tidy forgets a tenant who has nothing.
func (r *Regions) tidy(tenant string) {
	if held := r.tenants[tenant]; held != nil && len(held.regions) == 0 && held.bytesInUse == 0 {
		delete(r.tenants, tenant)
	}
}

// closeIdle closes the file of a region that is gone and that nobody uses.
func (r *region) closeIdle() {
	if r.gone && r.users == 0 {
		// Nothing is buffered: an error loses nothing.
		_ = r.file.Close()
	}
}
