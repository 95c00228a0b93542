package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// spinGroups is enough work-groups to keep every compute unit busy.
const spinGroups = 64

// Of a device that two programs keep busy, the one that reserved three times the compute gets the larger part.
func TestBusyLeasesShareComputeAsReserved(t *testing.T) {
	large, small := spin(t, 600), spin(t, 200)
	before := []time.Duration{processorTime(t, large), processorTime(t, small)}
	time.Sleep(3 * time.Second) // what is measured
	got := []time.Duration{processorTime(t, large) - before[0], processorTime(t, small) - before[1]}
	t.Logf("600 thousandths got %s of the processors, 200 got %s", got[0], got[1])
	// Weights are kept over time and processors, not at each moment: the bound is half of what was reserved.
	if got[1] == 0 || got[0] < got[1]*3/2 {
		t.Errorf("600 thousandths got %s, 200 got %s: want about three times as much", got[0], got[1])
	}
}

// spin keeps the device busy on a lease until the test ends, and returns its worker's process.
func spin(t *testing.T, computeMilli int) int {
	t.Helper()
	program := sluiceCommand(
		t, "run", "--memory", "64Mi", "--compute", strconv.Itoa(computeMilli), "--",
		python, "testdata/spin.py", strconv.Itoa(spinGroups),
	)
	program.Stderr = os.Stderr
	lines := startAndScan(t, program)
	if !lines.Scan() || lines.Text() != "spinning" {
		t.Fatalf("spin.py said %q", lines.Text())
	}
	holder := fmt.Sprintf("run:%d", program.Process.Pid)
	worker, err := workerOf(t, holder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		killWorker(t, holder)
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "error at") {
			t.Errorf("spin.py said %q of its worker's end", lines.Text())
		}
		_ = program.Wait()
	})
	return worker
}

// processorTime is what a process and all its threads have used, by fields 14 and 15 of /proc/PID/stat (proc(5)).
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	const (
		userField, systemField = 14 - 3, 15 - 3 // counted behind the program's name
		tick                   = time.Second / 100
	)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, field := range []int{userField, systemField} {
		count, err := strconv.Atoi(fields[field])
		if err != nil {
			t.Fatal(err)
		}
		ticks += count
	}
	return time.Duration(ticks) * tick
}
