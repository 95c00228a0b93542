package dispatch_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/vdev/trace"
)

// traced makes a program leave its calls in a file, which callsOf reads.
func traced(t *testing.T) (path string, environment []string, start uint64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return path, []string{trace.Variable + "=" + path}, uint64(now.Nano())
}

// callsOf reads a trace of which every line must be a call, and demands what holds for all: a call returns before the next of
// its thread begins, unless that is made by its callback.
func callsOf(t *testing.T, path string, start uint64) []trace.Call {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var calls []trace.Call
	reader := trace.NewReader(file, start)
	if _, err := reader.Read(math.MaxInt64, func(call trace.Call) { calls = append(calls, call) }); err != nil {
		t.Fatal(err)
	}
	if rejected, why := reader.Rejected(); rejected > 0 {
		t.Errorf("%d lines of the trace are no calls: %v", rejected, why)
	}
	last := make(map[int64]trace.Call)
	for _, call := range calls {
		before := last[call.Thread]
		nested := call.BeginUS <= before.BeginUS
		if !nested && call.BeginUS < before.BeginUS+before.DurationUS {
			t.Errorf("thread %d: %s begins at %f, within %s", call.Thread, call.Name, call.BeginUS, before.Name)
		}
		last[call.Thread] = call
	}
	if len(calls) == 0 {
		t.Fatal("no call was traced")
	}
	return calls
}

func named(calls []trace.Call, name string) []trace.Call {
	return slices.DeleteFunc(slices.Clone(calls), func(call trace.Call) bool { return call.Name != name })
}

// describe tells calls in an error.
func describe(calls []trace.Call) string {
	var text strings.Builder
	for _, call := range calls {
		fmt.Fprintf(&text, "%d %s sent %d received %d waits %d\n", call.Thread, call.Name, call.SentBytes, call.ReceivedBytes, call.Waits)
	}
	return tail(text.String())
}

// TestTraceOfAProgram traces an unmodified program: it sees what it sees untraced, and its calls are there in their order.
func TestTraceOfAProgram(t *testing.T) {
	server := serve(t, 1<<30, shimOf(t, "sanitized", sanitized...))
	source := []string{"../../examples/programs/vector_add.c", "-l:libOpenCL.so.1"}
	program := compile(t, "vector_add-sanitized", append(source, sanitized...)...)
	environment := append(server.environment(), sanitizerOptions...)
	want := runLogged(t, environment, program)
	path, more, start := traced(t)
	if got := runLogged(t, append(environment, more...), program); got != want {
		t.Errorf("the traced program logs %q, untraced %q", got, want)
	}
	calls := callsOf(t, path, start)
	var order []string
	for _, call := range calls {
		if !strings.HasPrefix(call.Name, "clGet") { // the loader asks as it likes
			order = append(order, strings.TrimPrefix(call.Name, "cl"))
		}
		if call.Status != nil && *call.Status != 0 || call.Thread != calls[0].Thread || call.Process != call.Thread {
			t.Errorf("%s: status %v, process %d, thread %d", call.Name, call.Status, call.Process, call.Thread)
		}
	}
	const made = "CreateContext CreateCommandQueue CreateProgramWithSource BuildProgram CreateKernel ReleaseProgram " +
		"CreateBuffer CreateBuffer CreateBuffer SetKernelArg SetKernelArg SetKernelArg EnqueueNDRangeKernel EnqueueReadBuffer " +
		"ReleaseMemObject ReleaseMemObject ReleaseMemObject ReleaseKernel ReleaseCommandQueue ReleaseContext"
	if got := strings.Join(order, " "); got != made {
		t.Errorf("the trace has\n%s\nwant\n%s", got, made)
	}
	const bytes = 4 << 20
	for _, name := range []string{"clBuildProgram", "clCreateKernel", "clEnqueueReadBuffer"} {
		if call := named(calls, name)[0]; call.Waits == 0 {
			t.Errorf("%s has not waited, though it needs the worker's answer", name)
		}
	}
	if read := named(calls, "clEnqueueReadBuffer")[0]; read.ReceivedBytes < bytes || read.SentBytes > 4096 {
		t.Errorf("the read has sent %d bytes and received %d", read.SentBytes, read.ReceivedBytes)
	}
	buffers := named(calls, "clCreateBuffer")
	if buffers[0].SentBytes < bytes || buffers[1].SentBytes < bytes || buffers[2].SentBytes > 4096 {
		t.Errorf("two buffers were made of the program's memory and one of nothing:\n%s", describe(buffers))
	}
	server.ends(t)
}

// TestTraceOfCommands traces commands that the program waits for and such that it does not.
func TestTraceOfCommands(t *testing.T) {
	server := serve(t, 1<<30, shimOf(t, "plain"))
	path, more, start := traced(t)
	runLogged(t, append(server.environment(), more...), compile(t, "fill_copy", "../../examples/programs/fill_copy.c", "-l:libOpenCL.so.1"))
	calls := callsOf(t, path, start)
	for _, name := range []string{"clEnqueueFillBuffer", "clEnqueueCopyBuffer", "clReleaseEvent", "clReleaseMemObject"} {
		enqueued := named(calls, name)
		if len(enqueued) == 0 || slices.ContainsFunc(enqueued, func(call trace.Call) bool { return call.Waits > 0 || call.SentBytes == 0 || call.SentBytes > 4096 }) {
			t.Errorf("%s sends a frame and waits for nothing:\n%s", name, describe(enqueued))
		}
	}
	waited := named(calls, "clWaitForEvents")
	if len(waited) == 0 || slices.ContainsFunc(waited, func(call trace.Call) bool { return call.Waits == 0 }) {
		t.Errorf("clWaitForEvents waits for an answer:\n%s", describe(waited))
	}
	for i, call := range named(calls, "clGetEventProfilingInfo") {
		if first := i%4 == 0; first != (call.Waits > 0) { // the program asks for four of each command
			t.Errorf("of a command's times the first waits for an answer that has all; call %d: %+v", i, call)
		}
	}
	server.ends(t)
}

// TestTracedProgramsSeeTheSame runs programs whose calls are many and fail, call back, and come from several threads and
// processes.
func TestTracedProgramsSeeTheSame(t *testing.T) {
	server := serve(t, 1<<30, shimOf(t, "sanitized", sanitized...))
	for _, name := range []string{"objects", "errors", "svm", "callbacks", "fork"} {
		t.Run(name, func(t *testing.T) {
			want := alike(runLogged(t, nil, compile(t, name, programSources(name)...)))
			path, more, start := traced(t)
			environment := slices.Concat(server.environment(), sanitizerOptions, more)
			got := alike(runLogged(t, environment, compile(t, name+"-sanitized", append(programSources(name), sanitized...)...)))
			if want != got {
				t.Errorf("the traced program observes another driver:\n%s", difference(t, want, got))
			}
			calls := callsOf(t, path, start)
			threads, processes := make(map[int64]bool), make(map[int64]bool)
			for _, call := range calls {
				threads[call.Thread], processes[call.Process] = true, true
			}
			if name == "callbacks" && len(threads) < 2 {
				t.Error("no call of a callback was traced")
			}
			if name == "fork" && len(processes) != 11 {
				t.Errorf("calls of %d processes were traced, want the parent's and those of its 10 children", len(processes))
			}
		})
	}
	server.ends(t)
}

// TestTraceOfThreads traces threads under the race detector of C.
func TestTraceOfThreads(t *testing.T) {
	flags := []string{"-fsanitize=thread"}
	server := serve(t, 1<<30, shimOf(t, "tsan", flags...))
	path, more, start := traced(t)
	program := compile(t, "threads-tsan", append(programSources("threads"), flags...)...)
	runLogged(t, slices.Concat(server.environment(), sanitizerOptions, more), program)
	threads := make(map[int64]bool)
	for _, call := range callsOf(t, path, start) {
		threads[call.Thread] = true
	}
	if len(threads) < 9 {
		t.Errorf("calls of %d threads were traced, the program has 8 at once beside the first", len(threads))
	}
	server.ends(t)
}

// TestTraceOfAKilledProcess reads what a process had done when it was killed.
func TestTraceOfAKilledProcess(t *testing.T) {
	server := serve(t, 1<<30, shimOf(t, "plain"))
	path, more, start := traced(t)
	log := runLogged(t, append(server.environment(), more...), compile(t, "killed", programSources("killed")...))
	child := regexp.MustCompile(`~ child (\d+)`).FindStringSubmatch(log)
	if child == nil {
		t.Fatalf("the program names no child: %s", log)
	}
	var done []string
	for _, call := range callsOf(t, path, start) {
		if fmt.Sprint(call.Process) == child[1] && fmt.Sprint(call.Thread) == child[1] {
			done = append(done, call.Name)
		}
	}
	want := []string{"clGetDeviceIDs", "clCreateContext", "clCreateCommandQueue", "clCreateBuffer", "clEnqueueWriteBuffer", "clEnqueueFillBuffer"}
	if !slices.Equal(done, want) {
		t.Errorf("the killed child has made %v, want %v", done, want)
	}
	server.ends(t)
}

// TestTraceWithoutALoader traces a program on the shim that is libOpenCL.so.1 itself.
func TestTraceWithoutALoader(t *testing.T) {
	library, err := filepath.Abs("../../build/lib/sluice")
	if err != nil {
		t.Fatal(err)
	}
	server := serve(t, 1<<30, "/nonexistent")
	path, more, start := traced(t)
	linked := append(programSources("objects"), "-L"+library, "-Wl,-rpath,"+library)
	runLogged(t, append(server.environment(), more...), compile(t, "objects-gcc", linked...))
	calls := callsOf(t, path, start)
	if first := calls[0].Name; first != "clGetPlatformIDs" {
		t.Errorf("the trace begins with %s, the program with clGetPlatformIDs", first)
	}
	for _, name := range []string{"clGetPlatformInfo", "clCreateContext", "clRetainContext", "clReleaseContext"} {
		if len(named(calls, name)) == 0 {
			t.Errorf("no %s was traced:\n%s", name, describe(calls))
		}
	}
	server.ends(t)
}

// TestTraceThatCannotBeWritten has a program go on as if it was not traced.
func TestTraceThatCannotBeWritten(t *testing.T) {
	server := serve(t, 1<<30, shimOf(t, "plain"))
	program := compile(t, "vector_add", "../../examples/programs/vector_add.c", "-l:libOpenCL.so.1")
	want := runLogged(t, server.environment(), program)
	for _, path := range []string{"/dev/full", filepath.Join(t.TempDir(), "absent"), "relative"} {
		if got := runLogged(t, append(server.environment(), trace.Variable+"="+path), program); got != want {
			t.Errorf("%s: the program logs %q, want %q", path, got, want)
		}
		if _, err := os.Stat("relative"); err == nil {
			t.Error("a trace was made in the program's folder")
		}
	}
	server.ends(t)
}
