// Package bare_test builds the example programs and runs them on the bare driver. (A folder with C files can hold no Go.)
package bare_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build compiles a program and returns its path.
func build(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	warnings := []string{"-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes"}
	arguments := append(warnings, "-std=c11", "-O2", filepath.Join("..", name+".c"), "-o", program, "-lOpenCL")
	if output, err := exec.Command("gcc", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, output)
	}
	return program
}

// run returns what a program printed and its exit status.
func run(t *testing.T, program string, arguments ...string) (output string, status int) {
	t.Helper()
	printed, err := exec.Command(program, arguments...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return string(printed), exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return string(printed), 0
}

func TestProgramsSucceed(t *testing.T) {
	for _, test := range []struct {
		name      string
		arguments []string
		says      string
	}{
		{"vector_add", nil, "1048576 sums are right"},
		{"fill_copy", nil, "every step is right"},
		{"long_kernel", []string{"0.5"}, "every state is right"},
	} {
		t.Run(test.name, func(t *testing.T) {
			output, status := run(t, build(t, test.name), test.arguments...)
			if status != 0 || !strings.Contains(output, test.says) {
				t.Errorf("ended with %d:\n%s", status, output)
			}
		})
	}
}

// The bare CPU driver gives memory without end, so that here the limit ends the program.
func TestAllocateStopsAtItsLimit(t *testing.T) {
	output, status := run(t, build(t, "allocate"), "16", "64")
	if status != 1 || !strings.Contains(output, "allocated: 64 MiB in 4 buffers") {
		t.Errorf("ended with %d:\n%s", status, output)
	}
}

func TestWithoutADriverProgramsNameTheError(t *testing.T) {
	program := build(t, "vector_add")
	t.Setenv("OCL_ICD_VENDORS", t.TempDir())
	output, status := run(t, program)
	if status != 3 || !strings.Contains(output, "clGetPlatformIDs: CL_PLATFORM_NOT_FOUND_KHR (-1001)") {
		t.Errorf("ended with %d:\n%s", status, output)
	}
}

func TestBadArguments(t *testing.T) {
	if output, status := run(t, build(t, "long_kernel"), "soon"); status != 2 || !strings.Contains(output, "usage") {
		t.Errorf("long_kernel ended with %d:\n%s", status, output)
	}
	if output, status := run(t, build(t, "allocate"), "0"); status != 2 || !strings.Contains(output, "usage") {
		t.Errorf("allocate ended with %d:\n%s", status, output)
	}
}

func TestPyopencl(t *testing.T) {
	output, status := run(t, "/usr/bin/python3", filepath.Join("..", "vector_add.py"))
	if status != 0 || !strings.Contains(output, "1048576 sums are right") {
		t.Errorf("ended with %d:\n%s", status, output)
	}
}
