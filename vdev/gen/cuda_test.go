package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/vdev/spec"
)

// cudaProgramSays is what the program gets from its shim. A status of 1 is an
// invalid value, 2 no memory, 101 no such device, 200 a bad image, 201 no context,
// 400 a bad handle, 500 not found, 600 not ready, 801 not supported.
const cudaProgramSays = `cuInit = 0
cuDriverGetVersion = 0
cuDeviceGetCount = 0
cuDeviceGet of a device that is not there = 101
cuDeviceGet = 0
cuDeviceGetName = 0
cuDeviceGetAttribute = 0
cuDeviceTotalMem_v2 = 0
version 12040, 1 devices, "Simulated device", attribute 3, 65536 bytes
cuMemAlloc_v2 without a current context = 201
cuDevicePrimaryCtxRetain = 0
cuDevicePrimaryCtxRetain again = 0
the same context
cuCtxSetCurrent = 0
cuMemAlloc_v2 of too much = 2
cuMemAlloc_v2 = 0
cuMemsetD8_v2 = 0
cuMemcpyHtoD_v2 = 0
cuMemcpyDtoD_v2 = 0
cuMemcpyDtoH_v2 = 0
ab ab 01 02 02 03 ab ab 
cuMemcpyHtoD_v2 over the end = 1
cuMemcpyDtoH_v2 at nothing of the lease's = 1
cuMemsetD32Async over the end = 1
cuMemsetD32Async of more than there can be = 1
cuStreamCreate = 0
cuModuleLoadData of nonsense = 200
cuModuleLoadData = 0
cuModuleGetGlobal_v2 = 0
cuModuleGetGlobal_v2 without its size = 0
a global of 4 bytes
cuMemcpyHtoDAsync_v2 = 0
cuMemcpyHtoDAsync_v2 over the end, for which nobody waits = 0
cuMemcpyDtoH_v2 = 0
bias 2.5
cuModuleGetFunction of none = 500
cuModuleGetFunction = 0
parameter 0: 8 bytes at 0
parameter 1: 1 bytes at 8
parameter 2: 4 bytes at 12
cuFuncGetParamInfo behind the last = 1
cuFuncGetAttribute = 0
32 registers
cuMemsetD32Async = 0
cuLaunchKernel = 0
cuLaunchKernel without parameters = 1
cuLaunchKernel with extra = 801
cuMemcpyDtoHAsync_v2 = 0
6 42 42 42 42 42 
cuModuleUnload = 0
cuEventCreate = 0
cuEventCreate = 0
cuEventRecord = 0
cuStreamWaitEvent = 0
cuEventRecord = 0
cuEventQuery = 600
cuEventSynchronize = 0
cuEventQuery = 0
cuEventElapsedTime = 0
0.25 ms
cuEventRecord of a stream = 400
cuEventDestroy_v2 = 0
cuEventDestroy_v2 = 0
cuStreamSynchronize = 0
cuStreamDestroy_v2 = 0
cuMemFree_v2 = 0
cuMemFree_v2 again = 1
cuCtxSynchronize = 0
cuDevicePrimaryCtxRelease_v2 = 0
cuDevicePrimaryCtxRelease_v2 = 0
cuCtxSynchronize without a current context = 201
`

// cudaDriverGets is what reaches the simulated driver in the worker: nothing of
// what the shim or the worker refuses.
const cudaDriverGets = `cuInit 0
cuDriverGetVersion 
cuDeviceGetCount 
cuDeviceGet 7
cuDeviceGet 0
cuDeviceGetName 24 of 0
cuDeviceGetAttribute 16 of 0
cuDeviceTotalMem_v2 of 0
cuDevicePrimaryCtxRetain 0
cuCtxSetCurrent 1
cuMemAlloc_v2 1099511627776
cuMemAlloc_v2 4096
cuMemsetD8_v2 4096 of 0xab at 0
cuMemcpyHtoD_v2 4 to 2
cuMemcpyDtoD_v2 2 from 3 to 4
may wait:
cuMemcpyDtoH_v2 8 from 0
cuStreamCreate 1
cuModuleLoadData "nonsense"
cuModuleLoadData "module scale bias"
cuModuleGetGlobal_v2 bias of 1
cuModuleGetGlobal_v2 bias of 1
cuMemcpyHtoDAsync_v2 4 to 65532, stream 1
may wait:
cuMemcpyDtoH_v2 4 from 65532
cuModuleGetFunction none of 1
cuModuleGetFunction scale of 1
cuFuncGetParamInfo 0 of 1
cuFuncGetParamInfo 1 of 1
cuFuncGetParamInfo 2 of 1
cuFuncGetParamInfo 3 of 1
cuFuncGetAttribute 4 of 1
cuMemsetD32Async 6 of 6 at 0, stream 1
cuLaunchKernel 1: grid 1 2 3, block 4 5 6, shared 7, stream 1, extra 0; 5 numbers at 4 times 7
cuMemcpyDtoHAsync_v2 24 from 0, stream 1
cuStreamSynchronize 1
cuModuleUnload 1
cuEventCreate 0
cuEventCreate 1
cuEventRecord 1, stream 0
cuStreamWaitEvent 1 for 1, 0
cuEventRecord 2, stream 1
cuEventQuery 2
may wait:
cuEventSynchronize 2
cuEventQuery 2
cuEventElapsedTime 1 to 2
cuEventDestroy_v2 1
cuEventDestroy_v2 2
may wait:
cuStreamSynchronize 1
cuStreamDestroy_v2 1
cuMemFree_v2 0
may wait:
cuCtxSynchronize 
cuDevicePrimaryCtxRelease_v2 0
`

// TestCUDARoundTrip has a program call every described function: through the
// generated stubs, as frames through a pipe, and through the generated dispatcher
// to a simulated driver, with stand-ins for all that is written by hand.
func TestCUDARoundTrip(t *testing.T) {
	folder := generateCUDA(t)
	compile(t, folder, "stubs", "stand_in", "program")
	run(t, folder, "gcc", "-o", "program", "stubs.o", "stand_in.o", "program.o")
	run(t, filepath.Join(folder, "worker"), "go", "vet", "./...")
	run(t, filepath.Join(folder, "worker"), "go", "build", "-o", "../serve", ".")

	// Where one waits for what the other never sends, both are ended.
	limited, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := exec.CommandContext(limited, filepath.Join(folder, "program"))
	worker := exec.CommandContext(limited, filepath.Join(folder, "serve"))
	var said, got bytes.Buffer
	program.Stderr, worker.Stderr = &said, &got
	frames, answers := connect(t, program, worker), connect(t, worker, program)
	for _, c := range []*exec.Cmd{program, worker} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	frames()
	answers()
	for _, c := range []*exec.Cmd{program, worker} {
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
	sameLines(t, "the program", said.String(), cudaProgramSays)
	sameLines(t, "the driver", got.String(), cudaDriverGets)
	for _, c := range cuda.Calls {
		if !strings.Contains("\n"+cudaProgramSays, "\n"+c.Name+" ") {
			t.Errorf("the program does not call %s", c.Name)
		}
	}
}

// TestCUDAPrototypes holds the described parameters against the header's.
func TestCUDAPrototypes(t *testing.T) {
	if len(cuda.Calls) < 30 {
		t.Errorf("%d calls are described", len(cuda.Calls))
	}
	folder := generateCUDA(t)
	source := "#include \"calls.h\"\n"
	for i, c := range cuda.Calls {
		if int(c.Number) != i+1 {
			t.Errorf("%s has number %d in place %d", c.Name, c.Number, i+1)
		}
		source += "extern __typeof__(" + c.Name + ") sl_" + c.Name + ";\n"
	}
	write(t, filepath.Join(folder, "prototypes.c"), []byte(source))
	compile(t, folder, "prototypes")
}

// TestCUDAWantsHandWrittenCode builds without what the forms ask for: each missing
// part must be named.
func TestCUDAWantsHandWrittenCode(t *testing.T) {
	folder := generateCUDA(t)
	dispatch := filepath.Join(folder, "worker", "dispatch")
	if err := os.Remove(filepath.Join(dispatch, "calls.go")); err != nil {
		t.Fatal(err)
	}
	compile(t, folder, "stubs", "program")
	link := output(t, folder, "gcc", "-o", "program", "stubs.o", "program.o")
	build := output(t, dispatch, "go", "build", "-gcflags=-e", ".")
	for _, c := range cuda.Calls {
		byHand := c.Form == spec.Local || c.Form == spec.SpecialShim || c.Form == spec.Special
		if named := strings.Contains(link, "reference to `sl_"+c.Name+"'"); named != byHand {
			t.Errorf("the link wants a stub of %s: %v, want %v", c.Name, named, byHand)
		}
	}
	for _, c := range cuda.All() {
		byHand := c.Form == spec.Special || c.Form == spec.SpecialWorker
		if named := strings.Contains(build, "t."+c.Name+" undefined"); named != byHand {
			t.Errorf("the build wants a handler of %s: %v, want %v", c.Name, named, byHand)
		}
	}
	if t.Failed() {
		t.Logf("the link says:\n%s\nthe build says:\n%s", link, build)
	}
}

// generateCUDA makes a folder with the shim's C, and the worker's module in it.
func generateCUDA(t *testing.T) string {
	t.Helper()
	folder, g := t.TempDir(), generator{cuda}
	worker := filepath.Join(folder, "worker")
	for from, to := range map[string]string{"shim": folder, "worker": worker} {
		if err := os.CopyFS(to, os.DirFS(filepath.Join("testdata/cuda", from))); err != nil {
			t.Fatal(err)
		}
	}
	header, err := os.ReadFile("testdata/cuda/cuda.h")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{folder, filepath.Join(worker, "dispatch")} {
		write(t, filepath.Join(in, "cuda.h"), header)
		write(t, filepath.Join(in, "wire.h"), g.wireHeader())
	}
	write(t, filepath.Join(folder, "calls.h"), g.callsHeader())
	write(t, filepath.Join(folder, "messages.h"), g.messagesHeader())
	write(t, filepath.Join(folder, "stubs.c"), g.stubs())
	write(t, filepath.Join(worker, "go.mod"), append([]byte("module worker\n\n"), line(t, "../../go.mod", `(?m)^go .*$`)...))
	write(t, filepath.Join(worker, "dispatch", "zz_generated_calls.go"), g.dispatcher())
	return folder
}

// compile makes objects as the shim's are made, with its warnings.
func compile(t *testing.T, folder string, names ...string) {
	t.Helper()
	warnings := strings.Fields(string(line(t, "../../Makefile", `(?m)^C_WARNINGS := .*-Werror.*$`)))[2:]
	for _, name := range names {
		flags := append([]string{"-std=c11", "-O2", "-fPIC", "-pthread", "-fvisibility=hidden"}, warnings...)
		run(t, folder, "gcc", append(flags, "-c", name+".c")...)
	}
}

// line is the line of a file of ours that matches.
func line(t *testing.T, name, pattern string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).Find(content)
	if found == nil {
		t.Fatalf("%s has no line like %s", name, pattern)
	}
	return found
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, folder, name string, arguments ...string) {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// output runs a command that must fail and returns what it says.
func output(t *testing.T, folder, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(), "LC_ALL=C")
	out, err := command.CombinedOutput()
	if err == nil {
		t.Fatalf("%s succeeds", command)
	}
	return string(out)
}

// connect makes the one's standard output the other's standard input. What it
// returns closes our own ends, so that either sees the end of the other.
func connect(t *testing.T, from, to *exec.Cmd) func() {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from.Stdout, to.Stdin = w, r
	return func() {
		r.Close()
		w.Close()
	}
}

// sameLines names the first line that is not as wanted.
func sameLines(t *testing.T, who, got, want string) {
	t.Helper()
	lines := strings.Split(want, "\n")
	for i, g := range strings.Split(got, "\n") {
		if i == len(lines) || g != lines[i] {
			t.Errorf("line %d of %s: %q, want %q, in:\n%s", i+1, who, g, append(lines, "nothing")[i], got)
			return
		}
	}
	if got != want {
		t.Errorf("%s stops early:\n%s", who, got)
	}
}
