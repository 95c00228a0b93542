package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kill ends the daemon as nothing can be prepared for.
func (s *system) kill() error {
	if err := s.daemon.Process.Kill(); err != nil {
		return err
	}
	if err := <-s.exited; err == nil {
		return errors.New("the daemon ended in order, though it was killed")
	}
	return nil
}

// handOver ends the daemon as a service manager does.
func (s *system) handOver() error {
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-s.exited
}

// metric sums the samples of one of the daemon's metrics.
func metric(t *testing.T, s *system, name string) float64 {
	t.Helper()
	response, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var sum float64
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if sample, _, _ := strings.Cut(lines.Text(), "{"); sample != name {
			continue
		}
		fields := strings.Fields(lines.Text())
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// steady is a program that computes on a lease of its own.
type steady struct {
	command *exec.Cmd
	stdin   io.Closer
	lines   *bufio.Scanner
}

func startSteady(t *testing.T, s *system) *steady {
	t.Helper()
	command := s.command(t, "run", "--memory", "64Mi", "--", python, "testdata/steady.py")
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := &steady{command: command, stdin: stdin, lines: startAndScan(t, command)}
	started.goesOn(t)
	return started
}

// goesOn waits until a round has begun and ended since.
func (s *steady) goesOn(t *testing.T) {
	t.Helper()
	since := float64(time.Now().UnixMicro()) / 1e6
	for s.lines.Scan() {
		var began float64
		if _, err := fmt.Sscanf(s.lines.Text(), "round began at %f", &began); err != nil {
			t.Fatalf("the program says %q", s.lines.Text())
		}
		if began > since {
			return
		}
	}
	t.Fatal("the program has ended")
}

func (s *steady) finish(t *testing.T) {
	t.Helper()
	if err := s.stdin.Close(); err != nil {
		t.Error(err)
	}
	last := ""
	for s.lines.Scan() {
		last = s.lines.Text()
	}
	if err := s.command.Wait(); err != nil || !strings.HasPrefix(last, "right: ") {
		t.Errorf("the program ended with %v, its last line is %q", err, last)
	}
}

type listedInstance struct {
	ID, State, LeaseID string
	PID                int
}

type listedLease struct{ ID, Holder string }

// promised is what of a device is not free. How much there is in all is the driver's to say at each start: where a
// host's memory grows and shrinks, PoCL's does too.
type promised struct {
	ID, Name         string
	MemoryBytes      int64 `json:"memory_bytes"`
	FreeComputeMilli int   `json:"free_compute_milli"`
}

func promisedDevices(t *testing.T, s *system) []promised {
	t.Helper()
	var all []promised
	for _, d := range listJSON[struct {
		promised
		FreeMemoryBytes int64 `json:"free_memory_bytes"`
	}](t, s, "devices") {
		d.MemoryBytes -= d.FreeMemoryBytes
		all = append(all, d.promised)
	}
	return all
}

func listJSON[T any](t *testing.T, s *system, what string) []T {
	t.Helper()
	var all []T
	if err := json.Unmarshal([]byte(output(t, s.command(t, what, "-o", "json"))), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// A daemon that is killed or upgraded ends nothing: a program goes on computing, a function goes on answering from the
// same instance, leases keep their ids, and nothing is promised twice.
func TestDaemonRestartsWithoutLoss(t *testing.T) {
	s := &running
	for _, c := range []struct {
		name string
		end  func() error
	}{{"killed", s.kill}, {"handed over", s.handOver}} {
		t.Run(c.name, func(t *testing.T) {
			invokeSimple(t)
			program := startSteady(t, s)
			instances, leases, devices := listJSON[listedInstance](t, s, "instances"), listJSON[listedLease](t, s, "leases"), promisedDevices(t, s)

			if err := c.end(); err != nil {
				t.Fatal(err)
			}
			program.goesOn(t) // without a daemon
			if err := s.startDaemon(); err != nil {
				t.Fatal(err)
			}
			program.goesOn(t)
			if now := listJSON[listedLease](t, s, "leases"); !slices.Equal(now, leases) {
				t.Errorf("leases are %v, were %v", now, leases)
			}
			if now := promisedDevices(t, s); devices[0].MemoryBytes == 0 || !slices.Equal(now, devices) {
				t.Errorf("of devices %v is promised, was %v", now, devices)
			}
			invokeSimple(t)
			if now := listJSON[listedInstance](t, s, "instances"); !slices.Equal(now, instances) {
				t.Errorf("instances are %v, were %v", now, instances)
			}
			if starts := metric(t, s, "sluice_cold_start_seconds_count"); starts != 0 {
				t.Errorf("%v phases of cold starts since the restart", starts)
			}
			program.finish(t)
			if now := sluice(t, "leases"); strings.Contains(now, "run:") {
				t.Errorf("the program's lease is not given back:\n%s", now)
			}
		})
	}
}

// containerd that is killed and comes back costs no request of a running instance, and instances start and end again.
func TestContainerdRestartsWithoutLoss(t *testing.T) {
	s := &running
	invokeSimple(t)
	before := readyInstances(t, "simple")
	pid, err := s.containerdPID()
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		invokeSimple(t)
	}
	if err := s.startContainerd(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		invokeSimple(t)
	}
	if now := readyInstances(t, "simple"); !slices.Equal(now, before) {
		t.Errorf("instances of simple are %v, were %v", now, before)
	}
	sluice(t, "remove", "simple")
	for deadline := time.Now().Add(startBound); len(readyInstances(t, "simple")) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the instance does not end")
		}
	}
	sluice(t, "deploy", "-f", filepath.Join(s.root, "examples/simple/function.yaml"))
	invokeSimple(t)
}

// A system whose daemon was killed at bad moments, and has drained since, leaves nothing behind.
func TestNothingIsLeftBehind(t *testing.T) {
	for _, kind := range []string{"containerd", "process"} {
		t.Run(kind, func(t *testing.T) {
			s := newSystem(t, kind, "")
			program := startSteady(t, s)
			invoke := s.command(t, "invoke", "simple", "--address", s.address, simpleRequest)
			if err := invoke.Start(); err != nil {
				t.Fatal(err)
			}
			s.awaitInstance(t, "starting") // killed in the middle of a start
			if err := s.kill(); err != nil {
				t.Fatal(err)
			}
			if err := invoke.Wait(); err == nil {
				t.Error("a request whose daemon was killed was answered")
			}
			if err := s.startDaemon(); err != nil {
				t.Fatal(err)
			}
			output(t, s.command(t, "invoke", "simple", "--address", s.address, simpleRequest))
			program.finish(t)
			if left := s.leaks(); len(left) == 0 {
				t.Error("the leak check does not see what runs")
			}
			output(t, s.command(t, "drain"))
			if err := <-s.exited; err != nil {
				t.Errorf("the drained daemon: %v", err)
			}
			if left := s.leaks(); len(left) > 0 {
				t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
			}
		})
	}
}

func (s *system) awaitInstance(t *testing.T, state string) {
	t.Helper()
	for deadline := time.Now().Add(startBound); ; {
		if slices.ContainsFunc(listJSON[listedInstance](t, s, "instances"), func(i listedInstance) bool { return i.State == state }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no instance is ever %s", state)
		}
	}
}

// newSystem runs a daemon of its own, with simple deployed, until the test ends.
func newSystem(t *testing.T, kind, store string) *system {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "sluice-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	s := &system{root: running.root, folder: folder, sandbox: kind, store: store}
	t.Cleanup(func() {
		_ = s.stop() // what a test expects of the end, it has looked at
		if t.Failed() {
			s.printLog()
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if kind == "containerd" {
		if err := s.startContainerd(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.choosePorts(); err != nil {
		t.Fatal(err)
	}
	if err := s.startDaemon(); err != nil {
		t.Fatal(err)
	}
	if kind == "containerd" {
		if err := s.deploy("simple"); err != nil {
			t.Fatal(err)
		}
		return s
	}
	yaml := fmt.Sprintf("apiVersion: sluice/v1\nkind: Function\nname: simple\ncommand: [%s]\ndevice: {api: opencl, memory: 64Mi}\n",
		filepath.Join(running.folder, "simple/simple"))
	file := filepath.Join(folder, "function.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, s.command(t, "deploy", "-f", file))
	return s
}

func (s *system) containerdPID() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.folder, "containerd/containerd.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
