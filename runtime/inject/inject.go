// Package inject gives a Sandbox what a program needs to find the broker: the session socket's folder, the shim, the vendor
// file that names the shim, and the Lease's token. Only folders are mounted, never single files: sockets are made anew, files
// are replaced by renaming, and an image's own vendor files must not mix in.
package inject

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"sluice/broker/lease"
)

// Environment variables that a program's shim and OpenCL loader read.
const (
	EnvSocket  = "SLUICE_SOCKET"   // path of the session socket, as the program sees it
	EnvToken   = "SLUICE_TOKEN"    // the Lease's token
	EnvVendors = "OCL_ICD_VENDORS" // the folder of vendor files; both Debian's and Khronos's loader read it

	EnvLibraryPath = "LD_LIBRARY_PATH" // where an image without an OpenCL loader finds the shim as one
)

// Where a container sees the folders.
const (
	ContainerSession = "/run/sluice/session"
	ContainerLibrary = "/run/sluice/lib"
	ContainerLoader  = "/run/sluice/loader"
	ContainerVendors = "/etc/OpenCL/vendors"
)

const (
	libraryName = "libsluice-opencl.so"
	loaderName  = "libOpenCL.so.1"
	vendorName  = "sluice.icd"
	socketName  = "broker.sock"
)

// libraryBytesMax bounds the shim's size: a build has some hundred KiB.
const libraryBytesMax = 64 << 20

// ErrLibrary says that the shim is missing or not a shared library.
var ErrLibrary = errors.New("shim library is not usable")

// Folder is the part of the daemon's state folder that reaches into sandboxes.
type Folder struct{ state string }

// At is the inject folder below state that a daemon has installed there.
func At(state string) Folder { return Folder{state} }

// Install writes the inject folder below state, an absolute path: copies of the shim and of what lies beside it for images
// without a loader or with musl, as far as it is there, and the vendor files that name the shim.
// Every file is replaced atomically, so programs that start meanwhile see the old one or the new one.
func Install(state, library string) (Folder, error) {
	folder := Folder{state}
	if !filepath.IsAbs(state) {
		return Folder{}, fmt.Errorf("state folder %q is not absolute", state)
	}
	// The session folder is the broker's to fill, but it must exist before it can be mounted.
	for _, dir := range []string{folder.Session(), folder.containerVendors(), folder.processVendors()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Folder{}, fmt.Errorf("make inject folder: %w", err)
		}
	}
	if err := folder.installLibraries(library); err != nil {
		return Folder{}, err
	}
	for _, file := range []struct {
		path    string
		content []byte
	}{
		{filepath.Join(folder.containerVendors(), vendorName), []byte(ContainerLibrary + "/" + libraryName + "\n")},
		{filepath.Join(folder.processVendors(), vendorName), []byte(folder.Library() + "\n")},
	} {
		if err := replace(file.path, file.content); err != nil {
			return Folder{}, fmt.Errorf("write inject folder: %w", err)
		}
	}
	return folder, nil
}

func (f Folder) installLibraries(library string) error {
	if err := copyLibrary(library, f.Library(), true); err != nil {
		return err
	}
	for _, kind := range []libraryKind{glibc, libpthread, musl} {
		beside := filepath.Join(filepath.Dir(library), string(kind))
		if err := copyLibrary(filepath.Join(beside, loaderName), filepath.Join(f.loaders(kind), loaderName), false); err != nil {
			return err
		}
		if kind == glibc {
			continue
		}
		if err := copyLibrary(filepath.Join(beside, libraryName), filepath.Join(f.libraries(kind), libraryName), false); err != nil {
			return err
		}
	}
	return nil
}

// copyLibrary copies a library, and makes the folder for it also where the library need not be there and is not.
func copyLibrary(from, to string, needed bool) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("make inject folder: %w", err)
	}
	content, err := readLibrary(from)
	if errors.Is(err, fs.ErrNotExist) && !needed {
		return nil
	}
	if err != nil {
		return err
	}
	if err := replace(to, content); err != nil {
		return fmt.Errorf("write inject folder: %w", err)
	}
	return nil
}

// Session is the host folder of the session socket.
func (f Folder) Session() string { return filepath.Join(f.state, "session") }

// Socket is the host path of the session socket.
func (f Folder) Socket() string { return filepath.Join(f.Session(), socketName) }

// Library is the host path of the installed shim.
func (f Folder) Library() string { return filepath.Join(f.libraries(glibc), libraryName) }

func (f Folder) libraries(kind libraryKind) string {
	return filepath.Join(f.state, "inject", kind.folder("lib"))
}

// fitting is the folder of the shim for a kind of C library; where only the shim itself was installed, it is that one's.
func (f Folder) fitting(kind libraryKind) string {
	if _, err := os.Stat(filepath.Join(f.libraries(kind), libraryName)); err != nil {
		return f.libraries(glibc)
	}
	return f.libraries(kind)
}

// loaders holds the shim as libOpenCL.so.1, apart from the shim: an image's own loader must not be hidden.
func (f Folder) loaders(kind libraryKind) string {
	return filepath.Join(f.state, "inject", kind.folder("loader"))
}

func (f Folder) containerVendors() string { return filepath.Join(f.state, "inject", "vendors") }

// processVendors holds the vendor file for programs that see the host's file system.
func (f Folder) processVendors() string { return filepath.Join(f.state, "inject", "vendors-process") }

// Container returns the mounts and the environment of an image's container that holds the Lease; nothing where l is nil.
func (f Folder) Container(l *lease.Lease, image Image) ([]specs.Mount, map[string]string) {
	if l == nil {
		return nil, nil
	}
	mounts := []specs.Mount{
		bind(f.Session(), ContainerSession, "noexec"),
		bind(f.fitting(image.kind), ContainerLibrary),
		bind(f.containerVendors(), ContainerVendors, "noexec"),
	}
	env := map[string]string{
		EnvSocket: ContainerSession + "/" + socketName, EnvToken: l.Token, EnvVendors: ContainerVendors,
	}
	if !image.Loader {
		mounts = append(mounts, bind(f.loaders(image.kind), ContainerLoader))
		env[EnvLibraryPath] = ContainerLoader
	}
	return mounts, env
}

// Process returns the environment of a plain process that holds the Lease; nothing where l is nil.
func (f Folder) Process(l *lease.Lease) map[string]string {
	if l == nil {
		return nil
	}
	return map[string]string{EnvSocket: f.Socket(), EnvToken: l.Token, EnvVendors: f.processVendors()}
}

// bind is a read-only mount; connecting to a socket needs no more.
func bind(source, destination string, options ...string) specs.Mount {
	return specs.Mount{
		Type: "bind", Source: source, Destination: destination,
		Options: append([]string{"bind", "ro", "nosuid", "nodev", "rprivate"}, options...),
	}
}

func readLibrary(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLibrary, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, libraryBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", ErrLibrary, path, err)
	}
	if len(content) > libraryBytesMax {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrLibrary, path, libraryBytesMax)
	}
	if len(content) < 4 || string(content[:4]) != "\x7fELF" {
		return nil, fmt.Errorf("%w: %s is not an ELF file", ErrLibrary, path)
	}
	return content, nil
}

// replace writes a file that is either the old or the new one to every reader.
func replace(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(0o755)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}
