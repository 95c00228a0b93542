package dispatch_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLibrarySymbols reads what the built libraries give and need: as an installable client driver the three functions that a
// loader asks for, as libOpenCL.so.1 the core functions in the versions that the loader here gives them; of libraries, the C
// library alone, no newer than glibc 2.28.
func TestLibrarySymbols(t *testing.T) {
	driver := []string{"clGetExtensionFunctionAddress", "clGetPlatformInfo", "clIcdGetPlatformIDsKHR"}
	loader := symbols(t, "/usr/lib/x86_64-linux-gnu/libOpenCL.so.1").gives
	isExtension := regexp.MustCompile(`(KHR|EXT|GL\w*)@`)
	loader = slices.DeleteFunc(loader, isExtension.MatchString)
	for _, folder := range []string{"../../build/lib/sluice", "../../build/lib/sluice/libpthread", "../../build/lib/sluice/musl"} {
		for name, want := range map[string][]string{"libsluice-opencl.so": driver, "libOpenCL.so.1": loader} {
			t.Run(filepath.Join(filepath.Base(folder), name), func(t *testing.T) {
				s := symbols(t, filepath.Join(folder, name))
				if !slices.Equal(s.gives, want) {
					t.Errorf("gives %v, want %v", s.gives, want)
				}
				checkNeeds(t, s, filepath.Base(folder))
			})
		}
	}
}

// librarySymbols are the names that a library gives and needs, with their versions, and the libraries that it needs.
type librarySymbols struct{ gives, needs, libraries []string }

func symbols(t *testing.T, library string) librarySymbols {
	t.Helper()
	var s librarySymbols
	lines := bufio.NewScanner(strings.NewReader(output(t, "nm", "-D", library)))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		kind, name := fields[len(fields)-2], strings.ReplaceAll(fields[len(fields)-1], "@@", "@")
		switch {
		case kind == "U":
			s.needs = append(s.needs, name)
		case kind == "T" && name != "_init" && name != "_fini":
			s.gives = append(s.gives, name)
		}
	}
	slices.Sort(s.gives)
	for _, needed := range regexp.MustCompile(`NEEDED.*\[(.*)\]`).FindAllStringSubmatch(output(t, "readelf", "-d", library), -1) {
		s.libraries = append(s.libraries, needed[1])
	}
	return s
}

func checkNeeds(t *testing.T, s librarySymbols, kind string) {
	t.Helper()
	want := map[string][]string{"sluice": {"libc.so.6"}, "libpthread": {"libpthread.so.0", "libc.so.6"}, "musl": {"libc.so"}}[kind]
	if !slices.Equal(s.libraries, want) {
		t.Errorf("needs the libraries %v, want %v", s.libraries, want)
	}
	for _, name := range s.needs {
		_, version, versioned := strings.Cut(name, "@GLIBC_2.")
		minor, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
		if versioned == (kind == "musl") || versioned && (err != nil || minor > 28) {
			t.Errorf("needs %s", name)
		}
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
