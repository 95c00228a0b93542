package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ScratchBytesMax bounds the worker's private /tmp, which holds compiled kernels.
const ScratchBytesMax = 512 << 20

// view is what a worker sees of the host's files, read-only. What the host lacks is left out.
var view = []struct{ pattern, reason string }{
	{"/usr", "libraries, drivers, and the linker that PoCL runs"},
	{"/bin", "may be a link into /usr"},
	{"/sbin", "may be a link into /usr"},
	{"/lib", "may be a link into /usr"},
	{"/lib32", "may be a link into /usr"},
	{"/lib64", "the dynamic loader's path"},
	{"/opt", "vendors install drivers here"},
	{"/etc/OpenCL", "vendor files: which drivers there are"},
	{"/etc/alternatives", "Debian's links to libraries"},
	{"/etc/ld.so.cache", "where libraries are"},
	{"/etc/ld.so.conf", "where libraries are"},
	{"/etc/ld.so.conf.d", "where libraries are"},
	{"/etc/localtime", "times in logs"},
	{"/sys", "drivers read the machine's topology"},
	{"/dev/null", "every program expects it"},
	{"/dev/zero", "every program expects it"},
	{"/dev/full", "every program expects it"},
	{"/dev/random", "every program expects it"},
	{"/dev/urandom", "every program expects it"},
	{"/dev/dri", "GPUs"},
	{"/dev/kfd", "AMD GPUs"},
	{"/dev/nvidia*", "NVIDIA GPUs"},
	{"/dev/xclmgmt*", "AMD FPGAs"},
	{"/dev/accel", "accelerators"},
}

// links are made in the view.
var links = map[string]string{
	"/dev/shm":    "/tmp",
	"/dev/fd":     "/proc/self/fd",
	"/dev/stdin":  "/proc/self/fd/0",
	"/dev/stdout": "/proc/self/fd/1",
	"/dev/stderr": "/proc/self/fd/2",
}

// enterView replaces the root of this mount namespace by a tree that holds only the view, a new /proc and an empty /tmp,
// which alone can be written. Everything else of the host, the daemon's state among it, is not there. The process needs
// a mount and a pid namespace of its own, and CAP_SYS_ADMIN in it.
func enterView(extra []string) error {
	// Nothing of this may reach the host's own mount namespace.
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("making mounts private: the root directory is no mount point, as in a chroot: %w", err)
	} else if err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// The new root may hide an extra path: hold on to it.
	held, err := holdFolders(extra)
	if err != nil {
		return err
	}
	const root = "/tmp" // any folder will do to build it on
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID, "mode=0755,size=1m"); err != nil {
		return fmt.Errorf("mounting the new root: %w", err)
	}
	var paths []string
	for _, entry := range view {
		matches, err := filepath.Glob(entry.pattern)
		if err != nil {
			return fmt.Errorf("view: %s: %w", entry.pattern, err)
		}
		paths = append(paths, matches...)
	}
	for _, path := range paths {
		if err := show(root, path); err != nil {
			return fmt.Errorf("view: %s: %w", path, err)
		}
	}
	if err := mountOwn(root); err != nil {
		return err
	}
	for path, folder := range held {
		if err := bind(fmt.Sprintf("/proc/self/fd/%d", folder.Fd()), filepath.Join(root, path), true); err != nil {
			return fmt.Errorf("view: %s: %w", path, err)
		}
		folder.Close()
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			return fmt.Errorf("view: %w", err)
		}
	}
	if err := pivot(root); err != nil {
		return err
	}
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &readOnly); err != nil {
		return fmt.Errorf("making the view read-only (needs Linux 5.12): %w", err)
	}
	writable := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/tmp", 0, &writable); err != nil {
		return fmt.Errorf("making /tmp writable: %w", err)
	}
	return nil
}

// mountOwn mounts what the worker does not share with the host.
func mountOwn(root string) error {
	for _, m := range []struct {
		kind, folder, options string
		flags                 uintptr
	}{
		{"proc", "/proc", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"tmpfs", "/tmp", fmt.Sprintf("mode=1777,size=%d", ScratchBytesMax), unix.MS_NOSUID | unix.MS_NODEV},
	} {
		folder := filepath.Join(root, m.folder)
		if err := os.Mkdir(folder, 0o755); err != nil {
			return fmt.Errorf("view: %w", err)
		}
		if err := unix.Mount(m.kind, folder, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mounting %s: %w", m.folder, err)
		}
	}
	return nil
}

// show makes a path of the host visible under root, with everything below it; a symbolic link as a link.
func show(root, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	shown := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(shown), 0o755); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(target, shown)
	}
	return bind(path, shown, info.IsDir())
}

// bind makes a file or folder appear at another path, too.
func bind(source, shown string, folder bool) error {
	var err error
	if folder {
		err = os.MkdirAll(shown, 0o755)
	} else {
		err = os.WriteFile(shown, nil, 0o644)
	}
	if err != nil {
		return err
	}
	return unix.Mount(source, shown, "", unix.MS_BIND|unix.MS_REC, "")
}

// holdFolders opens folders, those that exist.
func holdFolders(paths []string) (map[string]*os.File, error) {
	held := map[string]*os.File{}
	for _, path := range paths {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("view: %s: %w", path, err)
		}
		held[path] = os.NewFile(uintptr(fd), path)
	}
	return held, nil
}

// pivot makes root the root, and drops the old one. Both lie on the same path for a moment, as pivot_root(2) describes
// under `pivot_root(".", ".")`.
func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("entering the new root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("dropping the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("entering the new root: %w", err)
	}
	return nil
}
