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
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
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
	for _, path := range append(paths, extra...) {
		if err := show(root, path); err != nil {
			return fmt.Errorf("view: %s: %w", path, err)
		}
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			return fmt.Errorf("view: %w", err)
		}
	}
	for _, name := range []string{"proc", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			return fmt.Errorf("view: %w", err)
		}
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := pivot(root); err != nil {
		return err
	}
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &readOnly); err != nil {
		return fmt.Errorf("making the view read-only (needs Linux 5.12): %w", err)
	}
	scratch := fmt.Sprintf("mode=1777,size=%d", ScratchBytesMax)
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, scratch); err != nil {
		return fmt.Errorf("mounting /tmp: %w", err)
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
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(target, shown)
	case info.IsDir():
		err = os.MkdirAll(shown, 0o755)
	default:
		err = os.WriteFile(shown, nil, 0o644)
	}
	if err != nil {
		return err
	}
	return unix.Mount(path, shown, "", unix.MS_BIND|unix.MS_REC, "")
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
