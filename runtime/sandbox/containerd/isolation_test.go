package containerd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"sluice/broker/lease"
	"sluice/runtime/image"
	"sluice/runtime/sandbox"
	"sluice/runtime/sandbox/sandboxtest"
	"sluice/runtime/sandbox/sandboxtest/report"
)

func newBench(t *testing.T) *sandboxtest.Bench {
	t.Helper()
	return sandboxtest.NewBench(t, newWorld(t, sandboxtest.BuildProbe(t)).fixture(t))
}

func look(t *testing.T, change func(*sandbox.Spec)) report.Report {
	t.Helper()
	b := newBench(t)
	spec := b.Spec("report")
	change(&spec)
	var seen report.Report
	b.Output(spec, &seen)
	return seen
}

func TestProgramIsConfined(t *testing.T) {
	seen := look(t, func(*sandbox.Spec) {})

	// What a GPU, an FPGA or any other accelerator needs is a node that is none of these.
	harmless := []string{"/dev/full", "/dev/null", "/dev/pts/ptmx", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"}
	if !slices.Equal(seen.Devices, harmless) {
		t.Errorf("device nodes %v, want %v", seen.Devices, harmless)
	}
	for name, want := range map[string]string{
		"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapBnd": "0000000000000000", "CapInh": "0000000000000000",
		"CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if seen.Status[name] != want {
			t.Errorf("%s is %q, want %q", name, seen.Status[name], want)
		}
	}
	if seen.UID != 65534 || seen.GID != 65534 || len(seen.Groups) > 1 || len(seen.Groups) == 1 && seen.Groups[0] != 65534 {
		t.Errorf("user %d, group %d, groups %v", seen.UID, seen.GID, seen.Groups)
	}
	if len(seen.Interfaces) != 1 || !strings.HasPrefix(seen.Interfaces[0], "lo up|loopback") {
		t.Errorf("network interfaces %v, want a loopback that is up", seen.Interfaces)
	}
	if !strings.Contains(seen.DialError, "network is unreachable") {
		t.Errorf("connecting outside: %q", seen.DialError)
	}
	if !strings.Contains(seen.RootError, "read-only") && !strings.Contains(seen.RootError, "permission denied") {
		t.Errorf("writing to the root: %q", seen.RootError)
	}
	if seen.TmpError != "" {
		t.Errorf("writing to /tmp: %s", seen.TmpError)
	}
	if seen.MknodError == "" || seen.UnshareNote == "" {
		t.Errorf("making a device node: %q; a user namespace: %q; want both refused", seen.MknodError, seen.UnshareNote)
	}
	for path, want := range map[string][]string{
		"/": {" ro,"}, "/tmp": {"tmpfs ", "rw,", "nosuid", "nodev"}, "/run/function": {"rw,", "nosuid", "nodev", "noexec"}, "/sys": {" ro,"},
	} {
		for _, option := range want {
			if !strings.Contains(seen.Mounts[path]+",", option) {
				t.Errorf("%s is mounted as %q, want %q", path, seen.Mounts[path], option)
			}
		}
	}
	for _, path := range seen.Files {
		if strings.HasPrefix(path, "/run/sluice/") || strings.HasPrefix(path, "/etc/OpenCL/vendors/") {
			t.Errorf("%s is there, but the function asks for no device", path)
		}
	}
}

// An image without a user runs as root, still without any capability.
func TestRootIsConfined(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	w.image = w.asRoot(t)
	b := sandboxtest.NewBench(t, w.fixture(t))
	var seen report.Report
	b.Output(b.Spec("report"), &seen)
	if seen.UID != 0 || seen.Status["CapEff"] != "0000000000000000" || seen.Status["CapBnd"] != "0000000000000000" {
		t.Errorf("user %d with capabilities %s of %s", seen.UID, seen.Status["CapEff"], seen.Status["CapBnd"])
	}
	if !strings.Contains(seen.RootError, "read-only") {
		t.Errorf("writing to the root: %q", seen.RootError)
	}
	if !strings.Contains(seen.MknodError, "not permitted") {
		t.Errorf("making a device node: %q", seen.MknodError)
	}
}

// asRoot imports the probe's image again without its user.
func (w world) asRoot(t *testing.T) image.Imported {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile(w.folder.Library())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "probe"), content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := image.Build(context.Background(), dir, "root:test", &archive); err != nil {
		t.Fatal(err)
	}
	imported, err := image.Import(context.Background(), w.open(t).Client(), withoutUser(t, &archive))
	if err != nil {
		t.Fatal(err)
	}
	return imported
}

func TestLeaseIsInjected(t *testing.T) {
	seen := look(t, func(s *sandbox.Spec) { s.Lease = &lease.Lease{ID: "l", Token: "secret"} })
	for _, path := range []string{"/run/sluice/session", "/run/sluice/lib/libsluice-opencl.so", "/etc/OpenCL/vendors/sluice.icd"} {
		if !slices.Contains(seen.Files, path) {
			t.Errorf("%s is not there; files are %v", path, seen.Files)
		}
	}
	for _, path := range []string{"/run/sluice/session", "/run/sluice/lib", "/etc/OpenCL/vendors"} {
		if !strings.Contains(seen.Mounts[path], " ro,") {
			t.Errorf("%s is mounted as %q", path, seen.Mounts[path])
		}
	}
	if !slices.Contains(seen.Env, "SLUICE_TOKEN=secret") || !slices.Contains(seen.Env, "SLUICE_SOCKET=/run/sluice/session/broker.sock") {
		t.Errorf("environment %v", seen.Env)
	}
}

func TestMemoryLimitHolds(t *testing.T) {
	b := newBench(t)
	const limit = 64 << 20
	within := b.Spec("allocate", fmt.Sprint(limit/2))
	within.MemoryBytes = limit
	if exit := b.Wait(b.Run(within)); exit.Code != 0 || exit.OutOfMemory {
		t.Errorf("half the limit: %+v; log:\n%s", exit, b.Log(within))
	}
	past := b.Spec("allocate", fmt.Sprint(2*limit))
	past.MemoryBytes = limit
	instance := b.Run(past)
	exit := b.Wait(instance)
	if exit.Code != 137 || !exit.OutOfMemory {
		t.Errorf("twice the limit: %+v, want killed for it", exit)
	}
	b.Must(instance.Delete(b.Context))
	if again := b.Wait(instance); again != exit {
		t.Errorf("after Delete the exit is %+v, was %+v", again, exit)
	}
	if strings.Contains(b.Log(past), "allocated") {
		t.Error("the memory was allocated")
	}
}

// The reason must reach a daemon that did not see the end: nobody waits while the Instance runs.
func TestOutOfMemoryIsKnownToDelete(t *testing.T) {
	b := newBench(t)
	spec := b.Spec("allocate", fmt.Sprint(128<<20))
	spec.MemoryBytes = 32 << 20
	b.Wait(b.Run(spec))
	found, err := b.Reopen(t).List(b.Context)
	b.Must(err)
	b.Must(found[0].Delete(b.Context))
	if exit := b.Wait(found[0]); !exit.OutOfMemory || exit.Code != 137 {
		t.Errorf("exit %+v", exit)
	}
}

func TestProcessesAreLimited(t *testing.T) {
	b := newBench(t)
	spec := b.Spec("fork", "1100")
	instance := b.Run(spec)
	b.Wait(instance)
	b.Must(instance.Delete(b.Context))
	if strings.Contains(b.Log(spec), "forked 1100") {
		t.Error("the limit does not hold")
	}
}

// The kernel's own files say what holds; their names differ between versions 1 and 2.
func TestCgroupLimits(t *testing.T) {
	b := newBench(t)
	spec := b.Spec("hold")
	spec.CPUMilli, spec.MemoryBytes = 250, 128<<20
	b.RunReady(spec, 1)
	want := map[string]string{
		"cpu/sluice/ID/cpu.cfs_quota_us": "25000", "cpu/sluice/ID/cpu.cfs_period_us": "100000", "cpu/sluice/ID/cpu.shares": "256",
		"memory/sluice/ID/memory.limit_in_bytes": "134217728", "pids/sluice/ID/pids.max": "1024",
	}
	if cgroups.Mode() == cgroups.Unified {
		want = map[string]string{
			"sluice/ID/cpu.max": "25000 100000", "sluice/ID/memory.max": "134217728", "sluice/ID/memory.swap.max": "0", "sluice/ID/pids.max": "1024",
		}
	}
	for name, value := range want {
		content, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", strings.Replace(name, "ID", spec.ID, 1)))
		if got := strings.TrimSpace(string(content)); err != nil || got != value {
			t.Errorf("%s is %q, %v; want %q", name, got, err, value)
		}
	}
}

// A task is prepared before its program is found missing: all of it must go again, and after Delete too.
func TestNothingIsLeftBehind(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	b := sandboxtest.NewBench(t, w.fixture(t))
	before := w.resources(t)
	bad := b.Spec()
	bad.Command = []string{"/no/such/program"}
	if _, err := b.Sandbox.Create(b.Context, bad); !errors.Is(err, sandbox.ErrProgram) {
		t.Errorf("got %v, want ErrProgram", err)
	}
	unwritable := b.Spec("hold")
	unwritable.LogPath = "/proc/none/log"
	if _, err := b.Sandbox.Create(b.Context, unwritable); err == nil {
		t.Error("created without a log")
	}
	abandoned, cancel := context.WithCancel(b.Context)
	cancel()
	if _, err := b.Sandbox.Create(abandoned, b.Spec("hold")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	instance, _ := b.RunReady(b.Spec("parent", "hold"), 2)
	b.Must(instance.Delete(b.Context))
	if after := w.resources(t); !slices.Equal(after, before) {
		t.Errorf("left behind: %v, was %v", after, before)
	}
	if left, _ := filepath.Glob("/sys/fs/cgroup/*/sluice/" + instance.Identity().ID); len(left) > 0 {
		t.Errorf("cgroups %v", left)
	}
}

// resources lists what containerd holds for the namespace but images and their content.
func (w world) resources(t *testing.T) []string {
	t.Helper()
	c := w.open(t).Client()
	ctx := namespaces.WithNamespace(context.Background(), w.namespace)
	var found []string
	containers, err := c.Containers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, container := range containers {
		found = append(found, "container "+container.ID())
	}
	tasks, err := c.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks.Tasks {
		found = append(found, "task "+task.ID)
	}
	for _, name := range image.Snapshotters {
		err := c.SnapshotService(name).Walk(ctx, func(_ context.Context, info snapshots.Info) error {
			found = append(found, "snapshot "+info.Name)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(found)
	return found
}

const (
	// downTime is so long that tries to reconnect in doubling steps would be seconds apart.
	downTime  = 6 * time.Second
	backBound = time.Second
)

// Containers outlive containerd too: Wait goes on, and the Instance can still be ended.
func TestContainerdRestarts(t *testing.T) {
	b := newBench(t)
	instance, _ := b.RunReady(b.Spec("serve"), 1)
	type result struct {
		exit sandbox.Exit
		err  error
	}
	waited := make(chan result, 1)
	go func() {
		exit, err := instance.Wait(b.Context)
		waited <- result{exit, err}
	}()
	b.Must(daemon.Restart())
	b.WantState(instance, sandbox.Running)
	connection, err := instance.Dial(b.Context)
	b.Must(err)
	connection.Close()
	b.Must(instance.Kill(b.Context))
	if got := <-waited; got.err != nil || got.exit.Code != 137 {
		t.Errorf("waited for %+v, %v", got.exit, got.err)
	}
}

// However long ago containerd crashed, what it is asked for is done as soon as it is back.
func TestContainerdIsBack(t *testing.T) {
	b := newBench(t)
	// list asks every now and then until it is answered or the time is up.
	list := func(bound time.Duration) (err error) {
		for from := time.Now(); time.Since(from) < bound; time.Sleep(10 * time.Millisecond) {
			if _, err = b.Sandbox.List(b.Context); err == nil {
				break
			}
		}
		return err
	}
	b.Must(daemon.Crash(func() {
		if list(downTime) == nil {
			t.Error("containerd answers though it is down")
		}
	}))
	if err := list(backBound); err != nil {
		t.Errorf("%v after containerd is back: %v", backBound, err)
	}
}

func TestImageIsMissing(t *testing.T) {
	b := newBench(t)
	spec := b.Spec("hold")
	spec.Image = "unknown:latest"
	if _, err := b.Sandbox.Create(b.Context, spec); !errors.Is(err, sandbox.ErrImageNotFound) {
		t.Errorf("got %v, want ErrImageNotFound", err)
	}
}

func TestLogIsPrivate(t *testing.T) {
	b := newBench(t)
	spec := b.Spec("exit", "0")
	b.Wait(b.Run(spec))
	info, err := os.Stat(spec.LogPath)
	b.Must(err)
	if info.Mode() != fs.FileMode(0o600) {
		t.Errorf("log has mode %s", info.Mode())
	}
}
