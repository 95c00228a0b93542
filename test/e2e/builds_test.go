package e2e

import (
	"archive/tar"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a tenant's programs have built goes to the worker of its next lease, and to nobody else's.
func TestBuildsAreKeptPerTenant(t *testing.T) {
	before := packages(t)
	suffix := strings.ToLower(rand.Text()[:8]) // tenants that have built nothing yet
	build := func(tenant, number string) {
		sluice(t, "--tenant", tenant+suffix, "run", "--memory", "256Mi", "--", running.binary("sluice-bench"), "measure", "-build", number)
	}
	build("builder-a", "1234567")
	build("builder-a", "7654321")
	build("builder-b", "1234567")
	found := map[int]int{} // packages by the programs in them
	for path := range packages(t) {
		if !before[path] {
			found[programsIn(t, path)]++
		}
	}
	// The second worker of the one tenant has passed on what the first had built.
	if len(found) != 2 || found[1] != 1 || found[2] != 1 {
		t.Errorf("packages by number of programs: %v, want one of 2 and one of 1", found)
	}
}

// packages lists the files of builds.
func packages(t *testing.T) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(running.state(), "builds", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range paths {
		found[p] = true
	}
	return found
}

// programsIn counts the compiled kernels called product in a package.
func programsIn(t *testing.T, path string) int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	count := 0
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(header.Name, "/product.so") {
			count++
		}
	}
}
