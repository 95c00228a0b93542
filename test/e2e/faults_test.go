package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// noticeBound is the longest that a program may wait for the error after its worker has died.
const noticeBound = time.Second

// A worker killed in the middle of a kernel costs its program an OpenCL error, soon, and its neighbour nothing.
func TestKilledWorkerCostsOneProgramAnError(t *testing.T) {
	spin := sluiceCommand(t, "run", "--memory", "64Mi", "--", python, "testdata/spin.py")
	spin.Stderr = os.Stderr
	lines := startAndScan(t, spin)
	if !lines.Scan() || lines.Text() != "spinning" {
		t.Fatalf("spin.py said %q", lines.Text())
	}
	neighbour := sluiceCommand(t, "run", "--memory", "64Mi", "--", python, "testdata/vector_add.py", "300")
	neighbourLines := startAndScan(t, neighbour)

	killed := time.Now()
	killWorker(t, fmt.Sprintf("run:%d", spin.Process.Pid))
	if !lines.Scan() {
		t.Fatal("spin.py said nothing more")
	}
	var at float64
	line := lines.Text()
	if _, err := fmt.Sscanf(line, "error at %f:", &at); err != nil {
		t.Fatalf("spin.py said %q, want an OpenCL error", line)
	}
	if took := time.UnixMicro(int64(at * 1e6)).Sub(killed); took > noticeBound {
		t.Errorf("the error came after %s, must within %s", took, noticeBound)
	}
	if err := spin.Wait(); err != nil {
		t.Errorf("spin.py: %v", err)
	}
	if !neighbourLines.Scan() || !strings.HasPrefix(neighbourLines.Text(), "right: 300") {
		t.Errorf("the neighbour said %q", neighbourLines.Text())
	}
	if err := neighbour.Wait(); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
}

// A function whose worker died answers the next request. One that was under way is lost with its instance, so the next
// one is sent when the instance is known to be gone.
func TestFunctionOutlivesItsWorker(t *testing.T) {
	invokeSimple(t)
	ready := readyInstances(t, "simple")
	if len(ready) == 0 {
		t.Fatal("simple answered, but has no instance")
	}
	for _, id := range ready {
		killWorker(t, id)
	}
	for deadline := time.Now().Add(noticeBound); slices.ContainsFunc(readyInstances(t, "simple"), func(id string) bool {
		return slices.Contains(ready, id)
	}); {
		if time.Now().After(deadline) {
			t.Fatalf("an instance of %v is still ready %s after its worker died", ready, noticeBound)
		}
	}
	invokeSimple(t)
}

func readyInstances(t *testing.T, function string) []string {
	t.Helper()
	var instances []struct{ ID, State string }
	if err := json.Unmarshal([]byte(sluice(t, "instances", function, "-o", "json")), &instances); err != nil {
		t.Fatal(err)
	}
	var ready []string
	for _, i := range instances {
		if i.State == "ready" {
			ready = append(ready, i.ID)
		}
	}
	return ready
}

// Allocations over the slice fail with the API's own error (OpenCL 3.0, clCreateBuffer), below it they succeed.
func TestAllocationsOverTheSliceFail(t *testing.T) {
	program := filepath.Join(t.TempDir(), "allocate")
	output(t, exec.Command("gcc", "-std=c11", "-Wall", "-Werror", "-o", program,
		filepath.Join(running.root, "examples/programs/allocate.c"), "-lOpenCL"))
	out := sluice(t, "run", "--memory", "64Mi", "--", program)
	if !strings.Contains(out, "CL_MEM_OBJECT_ALLOCATION_FAILURE") {
		t.Errorf("no CL_MEM_OBJECT_ALLOCATION_FAILURE in\n%s", out)
	}
}

// killWorker kills the worker process of the lease that holder has.
func killWorker(t *testing.T, holder string) {
	t.Helper()
	pid, err := workerOf(t, holder)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing worker %d: %v", pid, err)
	}
}

var grantedLine = regexp.MustCompile(`msg="lease granted".* holder=(\S+) .* worker_pid=(\d+)`)

// workerOf finds the newest worker of a holder in the daemon's log.
func workerOf(t *testing.T, holder string) (int, error) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(running.folder, "daemon.log"))
	if err != nil {
		return 0, err
	}
	pid := 0
	for _, match := range grantedLine.FindAllStringSubmatch(string(log), -1) {
		if match[1] == holder {
			if pid, err = strconv.Atoi(match[2]); err != nil {
				return 0, err
			}
		}
	}
	if pid == 0 {
		return 0, fmt.Errorf("%s was granted no lease", holder)
	}
	return pid, nil
}

// Functions run as plain processes where there is no containerd; their programs use a leased slice all the same.
func TestProcessSandbox(t *testing.T) {
	plain := startAnother(t)
	plain.deploySimple(t, "{api: opencl, memory: 64Mi}")
	output(t, plain.command(t, "invoke", "simple", "--address", plain.address, simpleRequest))
	out, err := plain.command(t, "image", "build", filepath.Join(running.folder, "simple")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--sandbox containerd") {
		t.Errorf("got %v: %s, want an error that says what to do", err, out)
	}
}
