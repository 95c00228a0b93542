package dispatch_test

import (
	"bufio"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestShimSymbols reads what the shim gives and needs: it gives the three
// functions of an installable client driver, and needs libc alone, no newer than
// 2.28.
func TestShimSymbols(t *testing.T) {
	shim := shimOf(t, "symbols", "-O2", "-Wl,-z,defs")
	var gives []string
	versions := regexp.MustCompile(`@GLIBC_(\d+)\.(\d+)`)
	lines := bufio.NewScanner(strings.NewReader(output(t, "nm", "-D", shim)))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		kind, name := fields[len(fields)-2], fields[len(fields)-1]
		switch kind {
		case "w", "v":
		case "U":
			if !versions.MatchString(name) {
				t.Errorf("needs %s, which is not libc's", name)
			}
		default:
			gives = append(gives, name)
		}
	}
	slices.Sort(gives)
	if want := []string{"clGetExtensionFunctionAddress", "clGetPlatformInfo", "clIcdGetPlatformIDsKHR"}; !slices.Equal(gives, want) {
		t.Errorf("gives %v, want %v", gives, want)
	}
	needs := regexp.MustCompile(`NEEDED.*\[(.*)\]`).FindAllStringSubmatch(output(t, "readelf", "-d", shim), -1)
	for _, n := range needs {
		if !strings.HasPrefix(n[1], "libc.so.") {
			t.Errorf("needs the library %s", n[1])
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
