package containerd_test

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/runtime/image"
	"sluice/runtime/inject"
	"sluice/runtime/sandbox/containerd"
	"sluice/runtime/sandbox/sandboxtest"
)

// compile builds a dynamically linked C program.
func compile(t *testing.T, source string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	command := exec.Command("gcc", append([]string{"-x", "c", "-", "-o", path}, flags...)...)
	command.Stdin = strings.NewReader(source)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return path
}

// An OpenCL program starts, so its image has the libraries that it links; without a lease its loader finds no platform
// (CL_PLATFORM_NOT_FOUND_KHR), though this machine has a driver.
func TestOpenCLProgramFindsNoDriver(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	w.image = w.load(t, compile(t, `#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
int main(void) { cl_uint n = 0; return clGetPlatformIDs(0, 0, &n) == -1001 && n == 0 ? 21 : 1; }`, "-lOpenCL"), "opencl:test")
	b := sandboxtest.NewBench(t, w.fixture(t))
	spec := b.Spec()
	spec.Command = nil // the image's entrypoint
	if exit := b.Wait(b.Run(spec)); exit.Code != 21 {
		t.Errorf("exit %+v", exit)
	}
}

// A program that is the first of its container gets no default action of SIGTERM: only SIGKILL ends it.
func TestStopOfProgramWithoutHandler(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	w.image = w.load(t, compile(t, `#include <unistd.h>
int main(void) { for (;;) pause(); }`), "pause:test")
	b := sandboxtest.NewBench(t, w.fixture(t))
	spec := b.Spec()
	spec.Command = nil
	instance := b.Run(spec)
	b.Must(instance.Stop(b.Context, 0))
	if exit := b.Wait(instance); exit.Code != 137 {
		t.Errorf("exit %+v", exit)
	}
}

// A name may mean another image later; the pinned one keeps its meaning.
func TestImportAnew(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	first := w.load(t, compile(t, `int main(void) { return 1; }`), "changing:test")
	second := w.load(t, compile(t, `int main(void) { return 2; }`), "changing:test")
	if first.Pinned == second.Pinned || first.Name != second.Name {
		t.Errorf("imported %+v and %+v", first, second)
	}
	b := sandboxtest.NewBench(t, w.fixture(t))
	for name, want := range map[string]int{first.Pinned: 1, second.Pinned: 2, "changing:test": 2} {
		spec := b.Spec()
		spec.Image, spec.Command = name, nil
		if exit := b.Wait(b.Run(spec)); exit.Code != want {
			t.Errorf("%s: exit %+v, want %d", name, exit, want)
		}
	}
}

// Where overlayfs does not work, the native snapshotter copies the image for each container.
func TestNativeSnapshotter(t *testing.T) {
	all := image.Snapshotters
	image.Snapshotters = []string{"no-such-snapshotter", "native"}
	t.Cleanup(func() { image.Snapshotters = all })
	w := newWorld(t, sandboxtest.BuildProbe(t))
	if w.image.Snapshotter != "native" {
		t.Errorf("unpacked with %s", w.image.Snapshotter)
	}
	b := sandboxtest.NewBench(t, w.fixture(t))
	if exit := b.Wait(b.Run(b.Spec("exit", "3"))); exit.Code != 3 {
		t.Errorf("exit %+v", exit)
	}
}

func TestImportRefuses(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	if _, err := image.Import(context.Background(), w.open(t).Client(), strings.NewReader("no archive")); err == nil {
		t.Error("imported what is no archive")
	}
}

func TestNobodyAnswers(t *testing.T) {
	_, err := containerd.Connect(context.Background(), filepath.Join(t.TempDir(), "none.sock"), "test", inject.Folder{}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, containerd.ErrUnavailable) || !strings.Contains(err.Error(), "none.sock") {
		t.Errorf("got %v, want ErrUnavailable that names the socket", err)
	}
}
