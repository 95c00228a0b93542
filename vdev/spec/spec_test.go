package spec_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/vdev/spec"
)

// TestDispatchTable holds the description against the loader's table, whose
// order is the numbers': 149 slots.
func TestDispatchTable(t *testing.T) {
	const slots = 149
	if len(spec.OpenCL.Calls) != slots {
		t.Errorf("%d calls, want %d", len(spec.OpenCL.Calls), slots)
	}
	for i, c := range spec.OpenCL.Calls {
		if int(c.Number) != i+1 {
			t.Errorf("%s has number %d in place %d", c.Name, c.Number, i+1)
		}
	}
	header, err := os.ReadFile("/usr/include/CL/cl_icd.h")
	if err != nil {
		t.Fatalf("the loader's header (apt install opencl-c-headers): %v", err)
	}
	names := slotNames(string(header))
	for i, name := range names {
		if i < len(spec.OpenCL.Calls) && spec.OpenCL.Calls[i].Name != name {
			t.Errorf("slot %d is %s, the loader has %s", i+1, spec.OpenCL.Calls[i].Name, name)
		}
	}
	if len(names) != slots {
		t.Errorf("the loader's table has %d slots, want %d", len(names), slots)
	}
}

// slotNames lists the members of the loader's table.
func slotNames(header string) []string {
	_, table, _ := strings.Cut(header, "typedef struct _cl_icd_dispatch {")
	table, _, _ = strings.Cut(table, "}")
	// Platforms without Direct3D or EGL have placeholders in their slots.
	var kept strings.Builder
	skipped := false
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "#else") || strings.HasPrefix(line, "#endif") {
			skipped = strings.HasPrefix(line, "#else")
		}
		if !skipped {
			kept.WriteString(line)
		}
	}
	var names []string
	for _, m := range regexp.MustCompile(`(cl[A-Z]\w+);`).FindAllStringSubmatch(kept.String(), -1) {
		names = append(names, m[1])
	}
	return names
}

// TestVersions counts the core functions that each version of OpenCL introduced.
func TestVersions(t *testing.T) {
	want := map[string]int{"1.0": 66, "1.1": 8, "1.2": 15, "2.0": 13, "2.1": 7, "2.2": 2, "3.0": 3}
	got := map[string]int{}
	core := 0
	for _, c := range spec.OpenCL.Calls {
		if c.Version != "" {
			got[c.Version]++
			core++
		}
	}
	if core != 114 {
		t.Errorf("%d core functions, want 114", core)
	}
	for version, count := range want {
		if got[version] != count {
			t.Errorf("%d functions of OpenCL %s, want %d", got[version], version, count)
		}
	}
	if len(got) != len(want) {
		t.Errorf("versions %v", got)
	}
}

func TestCallsAreComplete(t *testing.T) {
	numbers, names := map[uint16]string{}, map[string]bool{}
	for _, c := range spec.OpenCL.All() {
		if other, taken := numbers[c.Number]; taken || c.Number == 0 {
			t.Errorf("%s has the number %d of %s", c.Name, c.Number, other)
		}
		if names[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		numbers[c.Number], names[c.Name] = c.Name, true
		refused := c.Form == spec.Absent || c.Form == spec.Refused
		switch {
		case refused && c.Absent == "":
			t.Errorf("%s is not forwarded and has no error", c.Name)
		case !refused && c.Absent != "":
			t.Errorf("%s is forwarded and has the error of one that is not", c.Name)
		case c.Form != spec.Absent && c.Version == "" && c.Number < 1000:
			t.Errorf("%s is of an extension, and extensions are not advertised", c.Name)
		case (c.Form == spec.Retain || c.Form == spec.Release) && c.Object == spec.NoObject:
			t.Errorf("%s counts references of nothing", c.Name)
		case (c.Form == spec.Local || c.Form == spec.Absent) && len(c.Wire) > 0:
			t.Errorf("%s travels though nothing of it should", c.Name)
		}
	}
}

// TestHandWrittenCodeIsThere looks for what the forms promise: a stub in the shim
// and a handler in the worker.
func TestHandWrittenCodeIsThere(t *testing.T) {
	shim, worker := text(t, "../shim/*.c"), text(t, "../../broker/dispatch/*.go")
	for _, c := range spec.OpenCL.All() {
		stub := strings.Contains(shim, "CL_API_CALL sl_"+c.Name+"(")
		handler := strings.Contains(worker, "func (t *thread) "+c.Name+"(")
		inShim := c.Version != "" && (c.Form == spec.Local || c.Form == spec.SpecialShim || c.Form == spec.Special)
		inWorker := c.Form == spec.SpecialWorker || c.Form == spec.Special || c.Form == spec.SpecialQuery
		if inShim && !stub {
			t.Errorf("%s: no stub in the shim", c.Name)
		}
		if inWorker != handler {
			t.Errorf("%s: handler in the worker: %v, want %v", c.Name, handler, inWorker)
		}
	}
}

func text(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	var all strings.Builder
	for _, name := range names {
		if strings.Contains(name, "zz_generated") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
