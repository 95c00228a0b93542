package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3/cgroup1"
	"golang.org/x/sys/unix"

	"sluice/broker/handover"
)

// workerPath is the real sluice-worker.
var workerPath string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-worker")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	workerPath = filepath.Join(dir, "sluice-worker")
	build := exec.Command("go", "build", "-o", workerPath, "sluice/cmd/sluice-worker")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building sluice-worker:", err)
		return 1
	}
	return m.Run()
}

func newSupervisor(t *testing.T, folder string) *Supervisor {
	t.Helper()
	s, err := New(Config{
		WorkerPath: workerPath, Folder: folder, Warm: 1, StartTimeout: time.Minute, ProbeTimeout: time.Minute,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs a Supervisor in a fresh folder until the test ends.
func start(t *testing.T) *Supervisor {
	t.Helper()
	s := newSupervisor(t, shortDir(t))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		entries, err := os.ReadDir(s.config.Folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				t.Errorf("worker folder %s is left", entry.Name())
			}
		}
	})
	return s
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sup")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func take(t *testing.T, s *Supervisor) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := s.Take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProbeListsPoCL(t *testing.T) {
	s := newSupervisor(t, shortDir(t))
	inventory, err := s.Probe(context.Background())
	if err != nil || len(inventory.Devices) != 1 {
		t.Fatalf("inventory %+v, error %v", inventory, err)
	}
	d := inventory.Devices[0]
	if d.Platform != "Portable Computing Language" || d.Kind != "cpu" || d.MemoryBytes == 0 {
		t.Errorf("device %+v", d)
	}
}

// TestProbeSurvivesBadWorkers has programs in the worker's place that do what a bad driver makes it do.
func TestProbeSurvivesBadWorkers(t *testing.T) {
	for name, c := range map[string]struct{ script, says string }{
		"crash":      {"exec python3 -c 'import ctypes; ctypes.string_at(0)'", "SIGSEGV"},
		"exit":       {"exit 3", "exit code 3"},
		"hang":       {"exec sleep 1000", "hangs"},
		"no answer":  {"exit 0", "malformed inventory"},
		"nonsense":   {`echo '{"devices":[{"id":"x"}]}'`, "no api"},
		"memory":     {`exec python3 -c 'import sys; sys.stdin.read(); b"x" * (1 << 30)'`, "out of the memory that its cgroup grants"},
		"oversize":   {"head -c 2000000 /dev/zero", "over 1048576 bytes"},
		"never runs": {"", "starting worker"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSupervisor(t, shortDir(t))
			path := filepath.Join(t.TempDir(), "worker")
			text := "#!/bin/sh\n" + c.script + "\n"
			if c.script == "" {
				text = "no program"
			}
			if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			s.config.WorkerPath, s.config.ProbeTimeout = path, time.Minute
			if name == "hang" {
				s.config.ProbeTimeout = time.Second
			}
			_, err := s.Probe(context.Background())
			if !errors.Is(err, ErrProbe) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want it to say %q", err, c.says)
			}
		})
	}
}

// TestDriversThreadCrashEndsTheWorker has a driver of our own whose thread reads address 0, in a confined worker.
func TestDriversThreadCrashEndsTheWorker(t *testing.T) {
	folder := shortDir(t)
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	source, driver := filepath.Join(folder, "driver.c"), filepath.Join(folder, "driver.so")
	const text = `
		#include <pthread.h>
		#include <stdlib.h>
		#include <string.h>
		static void *thread(void *how) { if (how) abort(); *(volatile int *)0 = 1; return 0; }
		int clGetPlatformInfo(void) { return -1; }
		int clIcdGetPlatformIDsKHR(void) { pthread_t t; pthread_create(&t, 0, thread, HOW); pthread_join(t, 0); return -1; }
		void *clGetExtensionFunctionAddress(const char *name) { return strcmp(name, "clIcdGetPlatformIDsKHR") ? 0 : (void *)clIcdGetPlatformIDsKHR; }`
	for name, c := range map[string]struct{ how, says string }{
		"fault": {"(void *)0", "crashed by signal SIGSEGV"},
		"abort": {"(void *)1", "crashed by signal SIGABRT"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(source, []byte(strings.ReplaceAll(text, "HOW", c.how)), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("gcc", "-w", "-shared", "-fPIC", "-o", driver, source, "-lpthread").CombinedOutput(); err != nil {
				t.Fatalf("gcc: %v\n%s", err, out)
			}
			if err := os.WriteFile(filepath.Join(folder, "ours.icd"), []byte(driver+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Setenv("OCL_ICD_VENDORS", folder)
			_, err := newSupervisor(t, shortDir(t)).Probe(context.Background())
			if !errors.Is(err, ErrProbe) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want it to say %q", err, c.says)
			}
		})
	}
}

func TestCgroupHoldsTheSlice(t *testing.T) {
	s := start(t)
	p := take(t, s)
	if p.group == nil {
		t.Fatal("the worker has no cgroup")
	}
	memory := cgroupFileOf(t, s, p, "memory", "memory.limit_in_bytes", "memory.max")
	processor := cgroupFileOf(t, s, p, "cpu", "cpu.shares", "cpu.weight")
	want := func(who string, memoryBytes, weight int) {
		t.Helper()
		for path, want := range map[string]int{memory: memoryBytes, processor: weight} {
			if got := strings.TrimSpace(readFile(t, path)); got != strconv.Itoa(want) {
				t.Errorf("%s: %s is %s, want %d", who, path, got, want)
			}
		}
	}
	want("warm worker", OverheadBytes, 10000)
	// Whatever the worker answers, its limits are set before it learns of its lease.
	const slice = 100 << 20
	assign := handover.Assign{LeaseID: "l", MemoryBytes: slice, ComputeMilli: 250, Devices: []handover.AssignedDevice{{MemoryBytes: slice}}}
	if err := p.Assign(context.Background(), assign, []byte("{}"), nil); err != nil {
		t.Logf("assign: %v", err)
	}
	want("assigned worker", OverheadBytes+slice, 2500)
	p.Kill()
	<-p.Done()
	for _, path := range []string{memory, processor} {
		if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the dead worker's cgroup is left: %v", err)
		}
	}
}

// cgroupFileOf is the path of a file of a worker's group, as either version names it.
func cgroupFileOf(t *testing.T, s *Supervisor, p *Process, controller, v1, v2 string) string {
	t.Helper()
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return filepath.Join("/sys/fs/cgroup", cgroupName(s.config.Folder), p.ID, v2)
	}
	for _, line := range strings.Split(readFile(t, filepath.Join("/proc", strconv.Itoa(p.PID), "cgroup")), "\n") {
		if _, path, found := strings.Cut(line, ":"+controller+":"); found {
			return filepath.Join("/sys/fs/cgroup", controller, path, v1)
		}
	}
	t.Fatalf("the worker has no %s cgroup", controller)
	return ""
}

func TestAnotherWorkerIsWarmAfterTakeAndAfterDeath(t *testing.T) {
	s := start(t)
	first := take(t, s)
	second := take(t, s)
	if first.PID == second.PID {
		t.Fatal("one worker was given twice")
	}
	if _, err := second.Stats(context.Background()); err != nil {
		t.Errorf("stats of a warm worker: %v", err)
	}
	if err := unix.Kill(first.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	if want := "killed by signal SIGKILL"; first.Reason() != want {
		t.Errorf("reason %q, want %q", first.Reason(), want)
	}
	if _, err := first.Stats(context.Background()); err == nil {
		t.Error("a dead worker answered")
	}
	if _, err := second.Stats(context.Background()); err != nil {
		t.Errorf("the neighbour of a dead worker: %v", err)
	}
}

func TestTakeSaysWhyNoWorkerIsReady(t *testing.T) {
	s := newSupervisor(t, shortDir(t))
	s.config.WorkerPath = "/bin/false"
	runContext, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(runContext) }()
	defer func() { stop(); <-ended }()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := s.Take(ctx)
		cancel()
		if !errors.Is(err, ErrNoWorker) {
			t.Fatalf("error %v", err)
		}
		if strings.Contains(err.Error(), "exit code 1") {
			return // the first tries may come before the first failure
		}
	}
}

// assigned starts a Supervisor as an earlier daemon would, with a worker that has its Lease.
func assigned(t *testing.T, folder string) (earlier *Supervisor, p *Process) {
	t.Helper()
	earlier = newSupervisor(t, folder)
	p, err := earlier.startReady(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	err = p.Assign(context.Background(), handover.Assign{LeaseID: "l", MemoryBytes: 1 << 20, Devices: []handover.AssignedDevice{{MemoryBytes: 1 << 20}}}, []byte(`{"kept":true}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	return earlier, p
}

// die makes a Supervisor let go of everything without clearing up, as a daemon's end by SIGKILL does.
func die(s *Supervisor, processes ...*Process) {
	for _, p := range processes {
		p.left.Store(true)
		p.disconnect()
	}
	s.lock.Close()
}

func folders(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestNextDaemonAdoptsAWorkerWithItsLease(t *testing.T) {
	folder := shortDir(t)
	earlier, p := assigned(t, folder)
	if _, err := New(earlier.config); err == nil {
		t.Error("two daemons share a folder")
	}
	die(earlier, p)

	next := newSupervisor(t, folder)
	adopted := next.Adopted()
	if len(adopted) != 1 || adopted[0].PID != p.PID || adopted[0].Greeting().LeaseID != "l" || string(adopted[0].Record()) != `{"kept":true}` {
		t.Fatalf("adopted %+v, want the worker %d", adopted, p.PID)
	}
	if _, err := adopted[0].Stats(context.Background()); err != nil {
		t.Errorf("stats of an adopted worker: %v", err)
	}
	group := adopted[0].group
	if group == nil {
		t.Error("the adopted worker's cgroup is not found")
	}
	adopted[0].Kill()
	<-adopted[0].Done()
	if left := folders(t, folder); len(left) > 0 {
		t.Errorf("left in the folder: %v", left)
	}
	if group != nil && group.v1 != nil && group.v1.State() != cgroup1.Deleted {
		t.Errorf("the cgroup is left: %s", group.v1.State())
	}
}

// TestAdoptedWorkersDeathIsNoticed kills a worker that this daemon did not start.
func TestAdoptedWorkersDeathIsNoticed(t *testing.T) {
	folder := shortDir(t)
	earlier, p := assigned(t, folder)
	die(earlier, p)
	adopted := newSupervisor(t, folder).Adopted()
	if len(adopted) != 1 {
		t.Fatalf("adopted %d workers, want 1", len(adopted))
	}
	if err := unix.Kill(p.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-adopted[0].Done()
	if !strings.Contains(adopted[0].Reason(), "earlier daemon") {
		t.Errorf("reason %q", adopted[0].Reason())
	}
	if left := folders(t, folder); len(left) > 0 {
		t.Errorf("left in the folder: %v", left)
	}
}

// TestLeaveEndsWarmWorkersAlone stops a daemon that another will follow.
func TestLeaveEndsWarmWorkersAlone(t *testing.T) {
	folder := shortDir(t)
	earlier, p := assigned(t, folder)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- earlier.Run(ctx) }()
	warm := take(t, earlier)
	earlier.Leave()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	<-warm.Done()
	if left := folders(t, folder); len(left) != 1 || left[0] != p.ID {
		t.Errorf("left in the folder: %v, want %s", left, p.ID)
	}
	adopted := newSupervisor(t, folder).Adopted()
	if len(adopted) != 1 || adopted[0].PID != p.PID {
		t.Fatalf("adopted %+v, want the worker %d", adopted, p.PID)
	}
	adopted[0].Kill()
	<-adopted[0].Done()
}

// TestNextDaemonClearsWhatCannotBeAdopted has an earlier daemon die at every step of a worker's way to its Lease.
func TestNextDaemonClearsWhatCannotBeAdopted(t *testing.T) {
	folder := shortDir(t)
	earlier := newSupervisor(t, folder)
	warm, err := earlier.startReady(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	unassigned, err := earlier.startReady(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := unassigned.Keep([]byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	// The pid file of a process that is not ours: the same number, another start time.
	foreign := filepath.Join(folder, "foreign")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, pidFile), fmt.Appendf(nil, "%d 1\n", os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	die(earlier, warm, unassigned)

	next := newSupervisor(t, folder)
	if adopted := next.Adopted(); len(adopted) > 0 {
		t.Errorf("adopted %+v", adopted)
	}
	if left := folders(t, folder); len(left) > 0 {
		t.Errorf("left in the folder: %v", left)
	}
	for _, p := range []*Process{warm, unassigned} {
		if err := unix.Kill(p.PID, 0); err == nil {
			if state := readFile(t, fmt.Sprintf("/proc/%d/stat", p.PID)); !strings.Contains(state, ") Z ") {
				t.Errorf("worker %d still runs", p.PID)
			}
		}
	}
}

// TestWorkerBehindItsGateEndsWithTheDaemon closes the gate unopened, as the death of a daemon does that has not recorded
// the worker yet.
func TestWorkerBehindItsGateEndsWithTheDaemon(t *testing.T) {
	command := exec.Command(workerPath, "-stage", handover.StagePlain, handover.ModeServe)
	command.Stdin = strings.NewReader("")
	out, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "gate") {
		t.Errorf("error %v, output %s", err, out)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
