package containerd_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/runtime/sandbox/containerd"
)

// What a process was looking into when it was killed is cleared away by the next.
func TestMountsThatWereLeftBehindAreCleared(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "mounts")
	for _, name := range []string{"mounted", "not-mounted"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mounted := filepath.Join(folder, "mounted")
	if err := unix.Mount("left", mounted, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(mounted, unix.MNT_DETACH) })
	if err := containerd.MountIn(folder); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
