package dispatch_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/broker/dispatch"
)

// programs are the OpenCL programs of testdata. Each logs what it observes; the
// bare driver and the shim must let it observe the same.
var programs = []string{
	"objects", "errors", "refusals", "subdevices", "transfers", "inplace", "rectangles", "maps", "pinned", "turns", "images", "kernels", "programs", "includes", "svm", "events", "callbacks", "threads", "fork",
}

// programTimeout bounds a program's run: a hang is a failure, not a test that
// never ends.
const programTimeout = 2 * time.Minute

var sanitized = []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"}

// sanitizerOptions turn leaks into failures.
var sanitizerOptions = []string{
	"ASAN_OPTIONS=abort_on_error=0:detect_leaks=1", "UBSAN_OPTIONS=print_stacktrace=1",
	"TSAN_OPTIONS=halt_on_error=1:exitcode=66",
}

func TestProgramsSeeTheSameThroughTheShim(t *testing.T) {
	server := serve(t, 1<<30, shimOf(t, "sanitized", sanitized...))
	for _, name := range programs {
		t.Run(name, func(t *testing.T) {
			bare := compile(t, name, programSources(name)...)
			through := compile(t, name+"-sanitized", append(programSources(name), sanitized...)...)
			want := runLogged(t, nil, bare)
			got := runLogged(t, append(server.environment(), sanitizerOptions...), through)
			if want := alike(want); want != alike(got) {
				t.Errorf("the program observes another driver through the shim:\n%s", difference(t, want, alike(got)))
			}
		})
	}
	server.ends(t)
}

// TestSeveralDevices runs a program on two devices with memory of their own.
func TestSeveralDevices(t *testing.T) {
	const quota = 48 << 20 // as the program has it
	limits := dispatch.Limits{Devices: []dispatch.Device{{Index: 0, MemoryBytes: quota}, {Index: 1, MemoryBytes: 2 * quota}}}
	server := serveWith(t, limits, shimOf(t, "sanitized", sanitized...))
	want := alike(runLogged(t, []string{"POCL_DEVICES=" + os.Getenv("POCL_DEVICES")}, compile(t, "devices", programSources("devices")...)))
	program := compile(t, "devices-sanitized", append(programSources("devices"), sanitized...)...)
	for range 3 {
		if got := alike(runLogged(t, append(server.environment(), sanitizerOptions...), program)); got != want {
			t.Fatalf("the program observes other devices through the shim:\n%s", difference(t, want, got))
		}
	}
	server.ends(t)
}

// TestLimitsOfDevices asks for devices that a Lease cannot have.
func TestLimitsOfDevices(t *testing.T) {
	for name, devices := range map[string][]dispatch.Device{
		"none": nil, "one twice": {{}, {}}, "an unknown one": {{Index: 2}}, "a negative one": {{Index: -1}}, "too many": make([]dispatch.Device, 9),
	} {
		if _, err := dispatch.NewLease(dispatch.Limits{Devices: devices}); !errors.Is(err, dispatch.ErrDevice) {
			t.Errorf("%s: %v, want ErrDevice", name, err)
		}
	}
}

// TestProgramsWithoutALoader runs programs on the shim that is libOpenCL.so.1 itself, for glibc and for musl.
func TestProgramsWithoutALoader(t *testing.T) {
	server := serve(t, 1<<30, "/nonexistent")
	for folder, compiler := range map[string]string{"lib/sluice": "gcc", "lib/sluice/musl": "musl-gcc"} {
		library, err := filepath.Abs(filepath.Join("../../build", folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"objects", "kernels", "callbacks", "threads"} {
			t.Run(filepath.Join(compiler, name), func(t *testing.T) {
				want := runLogged(t, nil, compile(t, name, programSources(name)...))
				linked := append(programSources(name), "-L"+library, "-Wl,-rpath,"+library)
				if compiler == "musl-gcc" {
					linked = append(linked, "-idirafter", "/usr/include")
				}
				got := runLogged(t, server.environment(), compileWith(t, compiler, name+"-"+compiler, linked...))
				if want := alike(want); want != alike(got) {
					t.Errorf("the program observes another driver without a loader:\n%s", difference(t, want, alike(got)))
				}
			})
		}
	}
	server.ends(t)
}

// TestThreadsUnderThreadSanitizer runs the programs with several threads with the
// shim under the race detector of C.
func TestThreadsUnderThreadSanitizer(t *testing.T) {
	flags := []string{"-fsanitize=thread"}
	server := serve(t, 1<<30, shimOf(t, "tsan", flags...))
	for _, name := range []string{"threads", "inplace"} {
		program := compile(t, name+"-tsan", append(programSources(name), flags...)...)
		runLogged(t, append(server.environment(), sanitizerOptions...), program)
	}
	server.ends(t)
}

// TestExitWithoutRelease runs a program that leaves all its objects behind.
func TestExitWithoutRelease(t *testing.T) {
	server := serve(t, 1<<28, shimOf(t, "plain"))
	program := compile(t, "abandon", programSources("abandon")...)
	for range 3 {
		runLogged(t, server.environment(), program)
		server.ends(t)
	}
}

// TestLostWorker ends the session of a program that is in the middle of calls.
func TestLostWorker(t *testing.T) {
	server := serve(t, 1<<28, shimOf(t, "sanitized", sanitized...))
	program := compile(t, "lost-sanitized", append(programSources("lost"), sanitized...)...)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(append(cmd.Environ(), server.environment()...), sanitizerOptions...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(programTimeout, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var logged strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		logged.WriteString(lines.Text() + "\n")
		if lines.Text() == "ready" {
			server.cancel()
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s%s", err, logged.String(), tail(complaints.String()))
	}
	server.ends(t)
}

func programSources(name string) []string {
	return []string{"-Wall", "-Wextra", "-Werror", filepath.Join("testdata", name+".c"), "-l:libOpenCL.so.1"}
}

// runLogged runs a program to its end and returns what it logged.
func runLogged(t *testing.T, env []string, program string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(append(cmd.Environ(), "POCL_DEVICES=pthread"), env...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", filepath.Base(program), err, tail(string(out)), tail(complaints.String()))
	}
	return string(out)
}

// alike leaves out the lines that a program allows to differ.
func alike(log string) string {
	var kept []string
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "~ ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func tail(log string) string {
	const most = 6000
	if len(log) > most {
		return "..." + log[len(log)-most:]
	}
	return log
}

// difference shows how two logs differ.
func difference(t *testing.T, want, got string) string {
	t.Helper()
	dir := t.TempDir()
	for name, log := range map[string]string{"bare": want, "shim": got} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(log), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("diff", "-U1", "bare", "shim")
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput()
	return tail(string(out))
}
