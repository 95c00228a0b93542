package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const muslFunction = `apiVersion: sluice/v1
kind: Function
name: musl
image: musl:test
resources: {cpu: 500m, memory: 256Mi}
device: {api: opencl, memory: 64Mi}
`

// A function that is linked with musl, in an image that holds nothing else but musl, finds the device too.
func TestMuslFunctionWithoutALoader(t *testing.T) {
	libraries, folder := t.TempDir(), t.TempDir()
	loader := filepath.Join(running.root, "build/lib/sluice/musl/libOpenCL.so.1")
	if err := os.Symlink(loader, filepath.Join(libraries, "libOpenCL.so")); err != nil {
		t.Fatal(err)
	}
	machine := strings.TrimSpace(output(t, exec.Command("gcc", "-print-multiarch")))
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "simple"), "./examples/simple")
	build.Dir = running.root
	build.Env = append(build.Environ(), "CC=musl-gcc", "CGO_ENABLED=1", "CGO_LDFLAGS=-L"+libraries,
		"CGO_CFLAGS=-O2 -idirafter /usr/include -idirafter /usr/include/"+machine)
	output(t, build)
	sluice(t, "image", "build", folder, "-t", "musl:test")
	manifest := filepath.Join(folder, "function.yaml")
	if err := os.WriteFile(manifest, []byte(muslFunction), 0o600); err != nil {
		t.Fatal(err)
	}
	sluice(t, "deploy", "-f", manifest)
	defer sluice(t, "remove", "musl")
	invoke(t, "musl")
}
