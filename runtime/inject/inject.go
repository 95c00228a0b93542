// Package inject gives a Sandbox what a program needs to find the broker: the session socket's folder, the shim, the vendor
// file that names the shim, and the Lease's token. Only folders are mounted, never single files: sockets are made anew, files
// are replaced by renaming, and an image's own vendor files must not mix in.
package inject

import (
	"errors"
	"fmt"
	"io"
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
)

// Where a container sees the folders.
const (
	ContainerSession = "/run/sluice/session"
	ContainerLibrary = "/run/sluice/lib"
	ContainerVendors = "/etc/OpenCL/vendors"
)

const (
	libraryName = "libsluice-opencl.so"
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

// Install writes the inject folder below state, an absolute path: a copy of the shim and the vendor files that name it.
// Every file is replaced atomically, so programs that start meanwhile see the old one or the new one.
func Install(state, library string) (Folder, error) {
	folder := Folder{state}
	if !filepath.IsAbs(state) {
		return Folder{}, fmt.Errorf("state folder %q is not absolute", state)
	}
	// The session folder is the broker's to fill, but it must exist before it can be mounted.
	for _, dir := range []string{folder.Session(), folder.libraries(), folder.containerVendors(), folder.processVendors()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Folder{}, fmt.Errorf("make inject folder: %w", err)
		}
	}
	content, err := readLibrary(library)
	if err != nil {
		return Folder{}, err
	}
	for _, file := range []struct {
		path    string
		content []byte
	}{
		{folder.Library(), content},
		{filepath.Join(folder.containerVendors(), vendorName), []byte(ContainerLibrary + "/" + libraryName + "\n")},
		{filepath.Join(folder.processVendors(), vendorName), []byte(folder.Library() + "\n")},
	} {
		if err := replace(file.path, file.content); err != nil {
			return Folder{}, fmt.Errorf("write inject folder: %w", err)
		}
	}
	return folder, nil
}

// Session is the host folder of the session socket.
func (f Folder) Session() string { return filepath.Join(f.state, "session") }

// Socket is the host path of the session socket.
func (f Folder) Socket() string { return filepath.Join(f.Session(), socketName) }

// Library is the host path of the installed shim.
func (f Folder) Library() string { return filepath.Join(f.libraries(), libraryName) }

func (f Folder) libraries() string        { return filepath.Join(f.state, "inject", "lib") }
func (f Folder) containerVendors() string { return filepath.Join(f.state, "inject", "vendors") }

// processVendors holds the vendor file for programs that see the host's file system.
func (f Folder) processVendors() string { return filepath.Join(f.state, "inject", "vendors-process") }

// Container returns the mounts and the environment of a container that holds the Lease; nothing where l is nil.
func (f Folder) Container(l *lease.Lease) ([]specs.Mount, map[string]string) {
	if l == nil {
		return nil, nil
	}
	mounts := []specs.Mount{
		bind(f.Session(), ContainerSession, "noexec"),
		bind(f.libraries(), ContainerLibrary),
		bind(f.containerVendors(), ContainerVendors, "noexec"),
	}
	return mounts, map[string]string{
		EnvSocket: ContainerSession + "/" + socketName, EnvToken: l.Token, EnvVendors: ContainerVendors,
	}
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
