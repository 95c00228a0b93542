package doctor

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/runtime/sandbox/containerd/containerdtest"
)

// goodHost is this machine with a containerd of the test's own and a worker that was just built.
func goodHost(t *testing.T) Host {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "sluice-doctor-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	// Workers confined by root run as another user, who must reach the program.
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	worker := filepath.Join(folder, "sluice-worker")
	if out, err := exec.Command("go", "build", "-o", worker, "sluice/cmd/sluice-worker").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	daemon, err := containerdtest.Start(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := daemon.Stop(); err != nil {
			t.Error(err)
		}
	})
	return Host{
		StateFolder: filepath.Join(folder, "not", "yet"), Containers: true, ContainerdAddress: daemon.Address,
		WorkerPath: worker, ShimPath: worker, // any file does
		Addresses: []string{"127.0.0.1:0"},
	}
}

// A thread whose root is a folder is where a chroot's processes are.
func TestChrootIsFound(t *testing.T) {
	folder := t.TempDir()
	found := make(chan Finding)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Chroot(folder)); err != nil {
			t.Error(err)
		}
		found <- checkNamespaces(t.Context(), Host{})
	}()
	if f := <-found; f.Status != Missing || !strings.Contains(f.Detail, "no mount point") || f.Fix == "" {
		t.Errorf("in a chroot: %+v", f)
	}
	if f := checkNamespaces(t.Context(), Host{}); f.Status != OK {
		t.Errorf("outside of one: %+v", f)
	}
}

// A host on which the tests run lacks nothing, and each thing that is taken away is found.
func TestExamine(t *testing.T) {
	host := goodHost(t)
	for _, f := range Examine(t.Context(), host) {
		if f.Status == Missing {
			t.Errorf("%s: %s (%s)", f.Check, f.Detail, f.Fix)
		}
		if f.Check == "devices" && !strings.Contains(f.Detail, "opencl-") {
			t.Errorf("devices: %s", f.Detail)
		}
		if f.Status != OK && f.Fix == "" {
			t.Errorf("%s: %s, and nothing mends it", f.Check, f.Detail)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notAnswering := filepath.Join(filepath.Dir(host.ContainerdAddress), "nobody.sock")
	if err := os.WriteFile(notAnswering, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		check, says string
		change      func(*Host)
	}{
		{"programs", "no such file", func(h *Host) { h.ShimPath += "-gone" }},
		{"devices", "sluice-worker", func(h *Host) { h.WorkerPath += "-gone" }},
		{"devices", "exit code 1", func(h *Host) { h.WorkerPath = "/bin/false" }},
		{"containerd", "no such file", func(h *Host) { h.ContainerdAddress += "-gone" }},
		{"containerd", "does not answer", func(h *Host) { h.ContainerdAddress = notAnswering }},
		{"sockets", "Linux allows 108", func(h *Host) { h.StateFolder = "/" + strings.Repeat("s", 90) }},
		{"sockets", "Linux allows 108", func(h *Host) { h.StateFolder, h.Containers = "/var/lib/some-folder", false }},
		{"disk", "not a directory", func(h *Host) { h.StateFolder = host.WorkerPath + "/state" }},
		{"addresses", "address already in use", func(h *Host) { h.Addresses = []string{taken.Addr().String()} }},
	} {
		changed := host
		c.change(&changed)
		f := examineOne(t, c.check, changed)
		if f.Status != Missing || !strings.Contains(f.Detail, c.says) || f.Fix == "" {
			t.Errorf("%s: %+v, want it missing, for %q", c.check, f, c.says)
		}
	}
	// What is not needed is not missed.
	changed := host
	changed.Containers, changed.ContainerdAddress = false, "/nonexistent"
	if f := examineOne(t, "containerd", changed); f.Status != OK {
		t.Errorf("containerd for plain processes: %+v", f)
	}
	changed = host
	changed.Running, changed.Addresses = true, []string{taken.Addr().String()}
	if f := examineOne(t, "addresses", changed); f.Status != OK {
		t.Errorf("addresses of a daemon that runs: %+v", f)
	}
}

func examineOne(t *testing.T, name string, host Host) Finding {
	t.Helper()
	for _, c := range checks {
		if c.name == name {
			return c.run(t.Context(), host)
		}
	}
	t.Fatalf("no check %s", name)
	return Finding{}
}

// NVIDIA's hardware is known by its numbers, of display controllers alone.
func TestHasNVIDIA(t *testing.T) {
	for _, c := range []struct {
		vendor, class string
		want          bool
	}{
		{"0x10de\n", "0x030200\n", true},
		{"0x10de\n", "0x040300\n", false}, // its sound
		{"0x1002\n", "0x030000\n", false},
	} {
		folder := t.TempDir()
		device := filepath.Join(folder, "0000:01:00.0")
		if err := os.Mkdir(device, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"vendor": c.vendor, "class": c.class} {
			if err := os.WriteFile(filepath.Join(device, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := hasNVIDIA(folder); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
