package supervisor

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestWorkerIsConfined reads from the outside what the kernel says of a running worker.
func TestWorkerIsConfined(t *testing.T) {
	p := take(t, start(t))
	proc := filepath.Join("/proc", strconv.Itoa(p.PID))
	status := readFile(t, filepath.Join(proc, "status"))
	for _, want := range []string{
		"Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "Groups:\t \n",
		"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
		"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000",
		"NoNewPrivs:\t1", "Seccomp:\t2", "Seccomp_filters:\t2",
	} {
		if !strings.Contains(status, want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
	for _, namespace := range []string{"mnt", "pid", "ipc", "net", "uts", "cgroup"} {
		ours, err := os.Readlink("/proc/self/ns/" + namespace)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.Readlink(filepath.Join(proc, "ns", namespace))
		if err != nil {
			t.Fatal(err)
		}
		if ours == theirs {
			t.Errorf("worker shares our %s namespace", namespace)
		}
	}
	root := filepath.Join(proc, "root")
	for _, hidden := range []string{"var", "root", "home", "srv", "etc/shadow", "etc/hostname", "dev/kmsg", "dev/mem", "tmp/" + filepath.Base(p.folder)} {
		if _, err := os.Lstat(filepath.Join(root, hidden)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("worker sees /%s: %v", hidden, err)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(readFile(t, filepath.Join(proc, "mounts"))), "\n") {
		fields := strings.Fields(line)
		if options := "," + fields[3] + ","; fields[1] != "/tmp" && !strings.Contains(options, ",ro,") {
			t.Errorf("worker can write: %s", line)
		}
	}
	if dev := readFile(t, filepath.Join(proc, "net", "dev")); strings.Count(dev, ":") != 1 || !strings.Contains(dev, "lo:") {
		t.Errorf("worker has interfaces:\n%s", dev)
	}
	if limits := readFile(t, filepath.Join(proc, "limits")); !strings.Contains(strings.Join(strings.Fields(limits), " "), "Max core file size 0 0") {
		t.Errorf("worker may dump core:\n%s", limits)
	}
}

// TestTimersOfAWorker: the thread that has loaded the driver is woken in time, and the Go runtime's monitor is not.
func TestTimersOfAWorker(t *testing.T) {
	p := take(t, start(t))
	threads, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.PID), "task"))
	if err != nil {
		t.Fatal(err)
	}
	slacks := make(map[string]int)
	for _, thread := range threads {
		slacks[strings.TrimSpace(readFile(t, filepath.Join("/proc", thread.Name(), "timerslack_ns")))]++
	}
	if slacks["50000"] == 0 || slacks["2000000"] == 0 || len(slacks) != 2 {
		t.Errorf("threads by slack: %v", slacks)
	}
}
