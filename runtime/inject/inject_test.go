package inject_test

import (
	"errors"
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
	mounts, env := folder.Container(&lease.Lease{ID: "l1", Token: "secret"})
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
	mounts, env := folder.Container(nil)
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
