package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// exampleProgram compiles a program of examples/programs.
func exampleProgram(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	output(t, exec.Command("gcc", "-O2", filepath.Join(running.root, "examples/programs", name+".c"), "-o", program, "-lOpenCL"))
	return program
}

// traced runs a command line under `sluice trace`, and returns its exit code and what it printed.
func traced(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	command := sluiceCommand(t, append([]string{"trace", "--memory", "64Mi"}, arguments...)...)
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), complaints.String()
}

// A traced program prints what it prints untraced; the lines of its calls and their sums agree.
func TestTraceTellsCalls(t *testing.T) {
	program, calls := exampleProgram(t, "vector_add"), filepath.Join(t.TempDir(), "calls.json")
	want := sluice(t, "run", "--memory", "64Mi", "--", program)
	code, stdout, stderr := traced(t, "--calls", calls, "-o", "json", "--", program)
	if code != 0 || stdout != want {
		t.Errorf("exit code %d, printed %q, untraced %q", code, stdout, want)
	}
	type sums struct { // of one call, or of all of a name
		Call          string
		Count         int
		Waits, Waited int
		TotalUS       float64 `json:"total_us"`
		SentBytes     int     `json:"sent_bytes"`
		ReceivedBytes int     `json:"received_bytes"`
	}
	var totals []sums
	if err := json.Unmarshal([]byte(stderr), &totals); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	lines, err := os.Open(calls)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	counted := make(map[string]sums)
	for decoder := json.NewDecoder(lines); decoder.More(); {
		var call sums
		if err := decoder.Decode(&call); err != nil {
			t.Fatal(err)
		}
		sum := counted[call.Call]
		sum.Count++
		sum.SentBytes += call.SentBytes
		sum.ReceivedBytes += call.ReceivedBytes
		if call.Waits > 0 {
			sum.Waited++
		}
		counted[call.Call] = sum
	}
	for i, total := range totals {
		sum := counted[total.Call]
		if sum.Count != total.Count || sum.SentBytes != total.SentBytes || sum.ReceivedBytes != total.ReceivedBytes || sum.Waited != total.Waited {
			t.Errorf("%s: the lines sum up to %+v, the summary has %+v", total.Call, sum, total)
		}
		if i > 0 && total.TotalUS > totals[i-1].TotalUS {
			t.Errorf("%s took longer than %s, which stands before it", total.Call, totals[i-1].Call)
		}
	}
	if len(totals) != len(counted) || counted["clCreateBuffer"].Count != 3 || counted["clEnqueueReadBuffer"].ReceivedBytes < 4<<20 {
		t.Errorf("the lines sum up to %+v", counted)
	}
}

// Of a program that is killed, and of each of several processes, there is what they have done.
func TestTraceOfAProgramThatIsKilled(t *testing.T) {
	program := exampleProgram(t, "vector_add")
	code, stdout, stderr := traced(t, "--", "sh", "-c", program+" & "+program+"; wait; kill -KILL $$")
	if code != 128+9 || strings.Count(stdout, "sums are right") != 2 {
		t.Errorf("exit code %d, want 137; printed %q", code, stdout)
	}
	threads := make(map[string]bool)
	for line := range strings.Lines(stderr) {
		if fields := strings.Fields(line); len(fields) == 9 && fields[2] == "clEnqueueReadBuffer" {
			threads[fields[1]] = true
		}
	}
	if len(threads) != 2 || !strings.Contains(stderr, "\nCALL ") || strings.Contains(stderr, "left out") {
		t.Errorf("reads of the threads %v; want two, and a summary:\n%s", threads, stderr)
	}
	if _, _, stderr := traced(t, "--summary", "--", program); !strings.HasPrefix(stderr, "CALL ") {
		t.Errorf("printed with --summary:\n%s", stderr)
	}
}

// The reader of standard error leaves; the program ends as it would have.
func TestTraceWithoutAReader(t *testing.T) {
	command := sluiceCommand(t, "trace", "--memory", "64Mi", "--", exampleProgram(t, "vector_add"))
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = reader.Close()
	command.Stderr = writer
	defer writer.Close()
	if out, err := command.Output(); err != nil || !strings.Contains(string(out), "sums are right") {
		t.Errorf("%v: %s", err, out)
	}
	if leases := sluice(t, "leases"); strings.Contains(leases, "run:") {
		t.Errorf("still leased:\n%s", leases)
	}
}
