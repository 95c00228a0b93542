package buildcache

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// build writes one program's file as PoCL does, at a time.
func build(t *testing.T, folder, name string, size int, used time.Time) {
	t.Helper()
	path := filepath.Join(folder, "pocl", name, "KEY", "kernel", name+".so")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte(name), size/len(name)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, used, used); err != nil {
		t.Fatal(err)
	}
}

// names lists the programs below folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "pocl", "*", "KEY", "kernel", "*.so"))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range found {
		found[i] = filepath.Base(f)
	}
	slices.Sort(found)
	return found
}

func pack(t *testing.T, folder string, since time.Time) *os.File {
	t.Helper()
	memory, err := Pack(folder, since, nil)
	if err != nil {
		t.Fatal(err)
	}
	if memory != nil {
		t.Cleanup(func() { memory.Close() })
	}
	return memory
}

func TestPackageIsReadByTheSameKeyAlone(t *testing.T) {
	store, err := NewStore(filepath.Join(t.TempDir(), "builds"))
	if err != nil {
		t.Fatal(err)
	}
	from, to := t.TempDir(), t.TempDir()
	began := time.Now().Add(-time.Hour)
	build(t, from, "AA", 1000, began.Add(time.Minute))
	if err := os.WriteFile(filepath.Join(from, "pocl", "tempfile_x"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := Key{Tenant: "a", Platform: "p", Device: "d", DriverVersion: "1"}
	if err := store.Save(key, pack(t, from, began)); err != nil {
		t.Fatal(err)
	}
	for _, other := range []Key{
		{Tenant: "b", Platform: "p", Device: "d", DriverVersion: "1"},
		{Tenant: "a", Platform: "p", Device: "d", DriverVersion: "2"},
		{Tenant: "a", Platform: "pd", Device: "", DriverVersion: "1"},
		{Tenant: "../a", Platform: "p", Device: "d", DriverVersion: "1"},
	} {
		if file, err := store.Open(other); file != nil || err != nil {
			t.Errorf("%+v reads another key's package (%v)", other, err)
		}
	}
	file, err := store.Open(key)
	if err != nil || file == nil {
		t.Fatalf("no package: %v", err)
	}
	defer file.Close()
	if _, err := Unpack(to, file); err != nil {
		t.Fatal(err)
	}
	if got := names(t, to); !slices.Equal(got, []string{"AA.so"}) {
		t.Errorf("unpacked %v", got)
	}
	if _, err := os.Stat(filepath.Join(to, "pocl", "tempfile_x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the driver's passing file: %v", err)
	}
	if pack(t, to, began.Add(2*time.Minute)) != nil {
		t.Error("packed, though nothing was used since")
	}
}

// A package is written anew for what is in it; that a program was used again is worth it after a while alone.
func TestPackageOfWhatIsKnown(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	began := time.Now().Add(-time.Hour)
	build(t, from, "AA", 1000, began.Add(time.Minute))
	build(t, from, "BB", 1000, began.Add(-usedResolution))
	had, err := Unpack(to, rewound(t, pack(t, from, began)))
	if err != nil || len(had) != 2 {
		t.Fatalf("unpacked %v, %v", had, err)
	}
	now := time.Now()
	for _, step := range []struct {
		what    string
		name    string
		size    int
		written time.Time
		packed  bool
	}{
		{"nothing", "AA", 1000, now.Add(-time.Second), false},
		{"a use of what was used lately", "AA", 1000, now.Add(time.Second), false},
		{"a use of what was not", "BB", 1000, now.Add(time.Second), true},
		{"another size", "AA", 2000, now.Add(time.Second), true},
		{"another program", "CC", 1000, now.Add(time.Second), true},
	} {
		folder := t.TempDir()
		if err := os.CopyFS(folder, os.DirFS(to)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"AA", "BB"} { // as they were unpacked, which a copy does not keep
			build(t, folder, name, 1000, began)
		}
		build(t, folder, step.name, step.size, step.written)
		memory, err := Pack(folder, now, had)
		if err != nil || (memory != nil) != step.packed {
			t.Errorf("%s: packed %v, %v", step.what, memory != nil, err)
		}
		if memory != nil {
			memory.Close()
		}
	}
}

func TestPackageHoldsWhatWasUsedLast(t *testing.T) {
	folder := t.TempDir()
	began := time.Now().Add(-time.Hour)
	const size = PackageBytesMax / 4
	for i := range 6 {
		build(t, folder, fmt.Sprintf("P%d", i), size, began.Add(time.Duration(i)*time.Minute))
	}
	memory := pack(t, folder, began)
	info, err := memory.Stat()
	if err != nil || info.Size() > PackageBytesMax {
		t.Fatalf("%d bytes, %v", info.Size(), err)
	}
	to := t.TempDir()
	if _, err := Unpack(to, rewound(t, memory)); err != nil {
		t.Fatal(err)
	}
	if got := names(t, to); !slices.Equal(got, []string{"P3.so", "P4.so", "P5.so"}) {
		t.Errorf("a package of %d bytes at most holds %v", PackageBytesMax, got)
	}
}

// rewound reads a file from its start.
func rewound(t *testing.T, file *os.File) io.Reader {
	t.Helper()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSaveRefusesWhatIsNoSealedMemory(t *testing.T) {
	store, err := NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	fd, err := unix.MemfdCreate("open", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	unsealed := os.NewFile(uintptr(fd), "open")
	defer unsealed.Close()
	for name, file := range map[string]*os.File{"pipe": read, "file": plain, "memory that may change": unsealed} {
		if err := store.Save(Key{Tenant: "a"}, file); !errors.Is(err, ErrPackage) {
			t.Errorf("a %s: %v", name, err)
		}
	}
	if _, err := unix.FcntlInt(unsealed.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK); err != nil {
		t.Fatal(err)
	}
	if err := unsealed.Truncate(PackageBytesMax + 1); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(unsealed.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW); err != nil {
		t.Fatal(err)
	}
	if err := store.Save(Key{Tenant: "a"}, unsealed); !errors.Is(err, ErrPackage) {
		t.Errorf("a package that is too large: %v", err)
	}
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	outside := t.TempDir()
	for name, archive := range map[string][]byte{
		"upwards": archiveOf(t, "../escaped"),
		"rooted":  archiveOf(t, filepath.Join(outside, "escaped")),
		"noise":   bytes.Repeat([]byte{7}, 2048),
	} {
		folder := filepath.Join(outside, name)
		_, err := Unpack(folder, bytes.NewReader(archive))
		if _, stat := os.Stat(filepath.Join(outside, "escaped")); stat == nil {
			t.Fatalf("%s: written outside the folder (%v)", name, err)
		}
		if err == nil {
			t.Errorf("%s: unpacked without complaint", name)
		}
	}
}

func TestTenantsBytesAreBounded(t *testing.T) {
	store, err := NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	began := time.Now().Add(-time.Hour)
	build(t, folder, "AA", PackageBytesMax-64<<10, began.Add(time.Minute))
	const devices = TenantBytesMax/PackageBytesMax + 2
	for i := range devices {
		key := Key{Tenant: "a", Device: fmt.Sprint(i)}
		if err := store.Save(key, pack(t, folder, began)); err != nil {
			t.Fatal(err)
		}
		past := began.Add(time.Duration(i) * time.Second)
		if err := os.Chtimes(store.path(key), past, past); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	for i := range devices {
		file, err := store.Open(Key{Tenant: "a", Device: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if file != nil {
			file.Close()
			kept++
		} else if i >= 2 {
			t.Errorf("package %d was dropped before an older one", i)
		}
	}
	if kept != TenantBytesMax/PackageBytesMax {
		t.Errorf("%d packages of %d bytes are kept, a tenant may have %d", kept, PackageBytesMax, TenantBytesMax)
	}
}

// archiveOf is a package of one file with a name of the caller's.
func archiveOf(t *testing.T, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	if err := archive.WriteHeader(&tar.Header{Name: name, Size: 1, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
