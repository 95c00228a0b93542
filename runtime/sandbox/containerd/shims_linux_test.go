package containerd_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sys/unix"

	"sluice/runtime/sandbox"
	"sluice/runtime/sandbox/containerd"
	"sluice/runtime/sandbox/sandboxtest"
)

// patience bounds the wait for what must come.
const patience = 30 * time.Second

// A shim whose container containerd does not know is ended with all that it runs; its neighbour is left alone.
func TestListEndsLostShims(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	opened := w.open(t)
	b := sandboxtest.NewBench(t, w.fixture(t))
	lost, _ := b.RunReady(b.Spec("hold"), 1)
	kept, _ := b.RunReady(b.Spec("hold"), 1)
	id, pid := lost.Identity().ID, lost.PID()
	socket := w.shimSocket(id)
	if _, err := os.Stat(socket); err != nil {
		t.Fatalf("the shim's socket is not where it is looked for: %v", err)
	}
	b.Must(opened.Client().ContainerService().Delete(namespaces.WithNamespace(t.Context(), w.namespace), id))

	found, err := opened.List(t.Context())
	b.Must(err)
	if len(found) != 1 || found[0].Identity().ID != kept.Identity().ID {
		t.Errorf("found %v", found)
	}
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the lost program: %v, want it gone", err)
	}
	wantNoCgroup(t, id)
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the shim's socket is left: %v", err)
	}
	b.WantState(kept, sandbox.Running)
}

// A shim that is killed leaves its socket and what it ran; both go with the Instance.
func TestDeleteAfterTheShimsDeath(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	b := sandboxtest.NewBench(t, w.fixture(t))
	instance, _ := b.RunReady(b.Spec("hold"), 1)
	pid, socket := instance.PID(), w.shimSocket(instance.Identity().ID)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	b.Must(err)
	_, parent, _ := strings.Cut(string(status), "PPid:")
	shim, err := strconv.Atoi(strings.Fields(parent)[0])
	b.Must(err)
	b.Must(unix.Kill(shim, unix.SIGKILL))
	b.Must(instance.Delete(b.Context))
	// containerd ends the program when it notices, which can be a moment later.
	for deadline := time.Now().Add(patience); unix.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the program runs on without its shim")
		}
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dead shim's socket is left: %v", err)
	}
}

// A cgroup that was forgotten, with one below it, goes with its Instance.
func TestDeleteRemovesForgottenCgroups(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	b := sandboxtest.NewBench(t, w.fixture(t))
	instance, _ := b.RunReady(b.Spec("hold"), 1)
	id := instance.Identity().ID
	roots := cgroupsOf(t, id)
	if len(roots) == 0 {
		t.Fatal("the Instance has no cgroup where it is looked for")
	}
	b.Must(instance.Kill(b.Context))
	// runc removes the cgroups that it made and does not look below them, as when a deletion is broken off in between.
	b.Must(w.deleteTask(b.Context, w.open(t), id))
	for _, root := range roots {
		b.Must(os.MkdirAll(filepath.Join(root, "below"), 0o755))
	}
	b.Must(instance.Delete(b.Context))
	wantNoCgroup(t, id)
}

func wantNoCgroup(t *testing.T, id string) {
	t.Helper()
	if left := cgroupsOf(t, id); len(left) > 0 {
		t.Errorf("cgroups are left: %v", left)
	}
}

// cgroupsOf finds an Instance's cgroups, of either version.
func cgroupsOf(t *testing.T, id string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/*/sluice/", "/sys/fs/cgroup/sluice/"} {
		paths, err := filepath.Glob(pattern + id)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, paths...)
	}
	return found
}

// shimSocket is where containerd puts it.
func (w world) shimSocket(id string) string {
	sum := sha256.Sum256([]byte(filepath.Join(daemon.Address, w.namespace, id)))
	return filepath.Join("/run/containerd/s", fmt.Sprintf("%x", sum))
}

// deleteTask deletes an ended task behind the Sandbox's back.
func (w world) deleteTask(ctx context.Context, opened *containerd.Sandbox, id string) error {
	ctx = namespaces.WithNamespace(ctx, w.namespace)
	container, err := opened.Client().LoadContainer(ctx, id)
	if err != nil {
		return err
	}
	task, err := container.Task(ctx, nil)
	if err != nil {
		return err
	}
	_, err = task.Delete(ctx)
	return err
}
