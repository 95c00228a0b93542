package inject_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/broker/lease"
	"sluice/runtime/inject"
)

// aLibrary is this test's own program: inject asks for no more than an ELF file.
func aLibrary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestContainerSeesOnlyFoldersAndTheirFiles(t *testing.T) {
	state := t.TempDir()
	folder, err := inject.Install(state, aLibrary(t))
	if err != nil {
		t.Fatal(err)
	}
	mounts, env := folder.Container(&lease.Lease{ID: "l1", Token: "secret"}, inject.Image{Loader: true})
	at := make(map[string]string)
	for _, mount := range mounts {
		info, err := os.Stat(mount.Source)
		if err != nil || !info.IsDir() {
			t.Errorf("%s is mounted but is no folder: %v", mount.Source, err)
		}
		if options := strings.Join(mount.Options, ","); !strings.Contains(options, "bind,ro,nosuid,nodev") {
			t.Errorf("%s is mounted with %s", mount.Source, options)
		}
		at[mount.Destination] = mount.Source
	}
	if env["SLUICE_TOKEN"] != "secret" {
		t.Errorf("token is %q", env["SLUICE_TOKEN"])
	}
	// Follow the names as a loader in the container does: the vendor file names the library.
	vendors, err := os.ReadDir(at[env["OCL_ICD_VENDORS"]])
	if err != nil || len(vendors) != 1 {
		t.Fatalf("vendor folder has %v, %v", vendors, err)
	}
	line, err := os.ReadFile(filepath.Join(at["/etc/OpenCL/vendors"], vendors[0].Name()))
	if err != nil || strings.TrimSpace(string(line)) != "/run/sluice/lib/libsluice-opencl.so" {
		t.Fatalf("vendor file names %q, %v", line, err)
	}
	host := filepath.Join(at["/run/sluice/lib"], "libsluice-opencl.so")
	if host != folder.Library() {
		t.Errorf("library is %s, mounted %s", folder.Library(), host)
	}
	if got := filepath.Join(at[filepath.Dir(env["SLUICE_SOCKET"])], filepath.Base(env["SLUICE_SOCKET"])); got != filepath.Join(state, "session", "broker.sock") {
		t.Errorf("socket is %s on the host", got)
	}
}

func TestProcessSeesHostPaths(t *testing.T) {
	state := t.TempDir()
	folder, err := inject.Install(state, aLibrary(t))
	if err != nil {
		t.Fatal(err)
	}
	env := folder.Process(&lease.Lease{Token: "secret"})
	line, err := os.ReadFile(filepath.Join(env["OCL_ICD_VENDORS"], "sluice.icd"))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(aLibrary(t))
	got, err := os.ReadFile(strings.TrimSpace(string(line)))
	if err != nil || string(got) != string(want) {
		t.Errorf("vendor file names %q, which is not the library: %v", line, err)
	}
	if env["SLUICE_SOCKET"] != filepath.Join(state, "session", "broker.sock") || env["SLUICE_TOKEN"] != "secret" {
		t.Errorf("environment %v", env)
	}
}

func TestNothingIsInjectedWithoutLease(t *testing.T) {
	folder, err := inject.Install(t.TempDir(), aLibrary(t))
	if err != nil {
		t.Fatal(err)
	}
	mounts, env := folder.Container(nil, inject.Image{})
	if len(mounts) != 0 || len(env) != 0 || len(folder.Process(nil)) != 0 {
		t.Errorf("injected %v, %v, %v", mounts, env, folder.Process(nil))
	}
}

// A program that has the old library mapped keeps it: the file is replaced, not written over.
func TestInstallReplaces(t *testing.T) {
	state := t.TempDir()
	folder, err := inject.Install(state, aLibrary(t))
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(folder.Library())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	next := filepath.Join(state, "next.so")
	if err := os.WriteFile(next, []byte("\x7fELF new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := inject.Install(state, next); err != nil {
		t.Fatal(err)
	}
	if info, err := old.Stat(); err != nil || info.Size() <= 8 {
		t.Errorf("the old file was written over: %v, %v", info, err)
	}
	if content, err := os.ReadFile(folder.Library()); err != nil || string(content) != "\x7fELF new" {
		t.Errorf("library is %q, %v", content, err)
	}
	for _, dir := range []string{"lib", "vendors", "vendors-process"} {
		if entries, err := os.ReadDir(filepath.Join(state, "inject", dir)); err != nil || len(entries) != 1 {
			t.Errorf("%s has %v, %v", dir, entries, err)
		}
	}
}

func TestInstallRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, library := range map[string]string{"missing": filepath.Join(dir, "none.so"), "text": text, "folder": dir} {
		if _, err := inject.Install(dir, library); !errors.Is(err, inject.ErrLibrary) {
			t.Errorf("%s: got %v, want ErrLibrary", name, err)
		}
	}
	if _, err := inject.Install("state", aLibrary(t)); err == nil {
		t.Error("a relative state folder was accepted")
	}
}

// A container without a loader finds the shim as one, for its libc; one that has a loader keeps it.
func TestContainerWithoutLoader(t *testing.T) {
	state, libraries := t.TempDir(), t.TempDir()
	for _, name := range []string{"libsluice-opencl.so", "libOpenCL.so.1", "musl/libsluice-opencl.so", "musl/libOpenCL.so.1", "libpthread/libsluice-opencl.so", "libpthread/libOpenCL.so.1"} {
		write(t, filepath.Join(libraries, name), "\x7fELF "+name)
	}
	folder, err := inject.Install(state, filepath.Join(libraries, "libsluice-opencl.so"))
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []struct {
		files []string
		want  map[string]string // content of what is mounted, by path in the container
	}{
		{[]string{"usr/lib/x86_64-linux-gnu/libOpenCL.so.1"}, map[string]string{
			"/run/sluice/lib/libsluice-opencl.so": "libsluice-opencl.so",
		}},
		{[]string{"lib/x86_64-linux-gnu/libpthread.so.0", "usr/lib64/libOpenCL.so.1"}, map[string]string{
			"/run/sluice/lib/libsluice-opencl.so": "libpthread/libsluice-opencl.so",
		}},
		{[]string{"lib64/libpthread.so.0"}, map[string]string{
			"/run/sluice/lib/libsluice-opencl.so": "libpthread/libsluice-opencl.so", "/run/sluice/loader/libOpenCL.so.1": "libpthread/libOpenCL.so.1",
		}},
		{[]string{"usr/bin/program"}, map[string]string{
			"/run/sluice/lib/libsluice-opencl.so": "libsluice-opencl.so", "/run/sluice/loader/libOpenCL.so.1": "libOpenCL.so.1",
		}},
		{[]string{"lib/ld-musl-x86_64.so.1", "usr/lib/libOpenCL.so.1"}, map[string]string{
			"/run/sluice/lib/libsluice-opencl.so": "musl/libsluice-opencl.so",
		}},
		{[]string{"lib/ld-musl-x86_64.so.1"}, map[string]string{
			"/run/sluice/lib/libsluice-opencl.so": "musl/libsluice-opencl.so", "/run/sluice/loader/libOpenCL.so.1": "musl/libOpenCL.so.1",
		}},
	} {
		root := t.TempDir()
		for _, name := range each.files {
			write(t, filepath.Join(root, name), "")
		}
		image, err := inject.Look(root)
		if err != nil {
			t.Fatal(err)
		}
		mounts, env := folder.Container(&lease.Lease{Token: "secret"}, image)
		got := make(map[string]string)
		for _, mount := range mounts {
			files, _ := filepath.Glob(filepath.Join(mount.Source, "lib*"))
			for _, file := range files {
				content, _ := os.ReadFile(file)
				got[filepath.Join(mount.Destination, filepath.Base(file))] = strings.TrimPrefix(string(content), "\x7fELF ")
			}
		}
		if !maps.Equal(got, each.want) {
			t.Errorf("an image with %v sees %v, want %v", each.files, got, each.want)
		}
		if path := env["LD_LIBRARY_PATH"]; (path == "/run/sluice/loader") == image.Loader {
			t.Errorf("an image with %v has the library path %q", each.files, path)
		}
	}
}

// An installation of the shim alone gives it to images whose kind of C library has one of its own elsewhere.
func TestShimAlone(t *testing.T) {
	state, root := t.TempDir(), t.TempDir()
	folder, err := inject.Install(state, aLibrary(t))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "lib/x86_64-linux-gnu/libpthread.so.0"), "")
	image, err := inject.Look(root)
	if err != nil {
		t.Fatal(err)
	}
	mounts, _ := folder.Container(&lease.Lease{Token: "secret"}, image)
	for _, mount := range mounts {
		if mount.Destination == "/run/sluice/lib" && mount.Source != filepath.Dir(folder.Library()) {
			t.Errorf("the library is looked for in %s", mount.Source)
		}
	}
}

// What a hostile image's links lead to on the host is not what the image has.
func TestLookStaysInTheImage(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "libOpenCL.so.1"), "")
	if err := os.MkdirAll(filepath.Join(root, "usr"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "usr/lib")); err != nil {
		t.Fatal(err)
	}
	if image, err := inject.Look(root); err != nil || image.Loader {
		t.Errorf("a link out of the image leads to a loader: %+v, %v", image, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
