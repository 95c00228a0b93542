package dispatch

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/vdev/wire"
)

// packed are entries as the shim writes them.
func packed(entries ...included) []byte {
	var b []byte
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint32(b, e.kind)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(e.path)))
		b = binary.LittleEndian.AppendUint64(b, uint64(len(e.text)))
		b = append(append(b, e.path...), e.text...)
	}
	return b
}

// FuzzIncluded reads files of a build. What is accepted must be all that was sent,
// and no path may lead out of the folder.
func FuzzIncluded(f *testing.F) {
	f.Add(packed(included{wire.IncludedFolder, "/a/b", "b"}, included{wire.IncludedFile, "/a/b/c.h", "text"}))
	f.Add(packed(included{wire.IncludedFile, "/../../etc/passwd", "x"}, included{wire.IncludedFile, "/a/../..//./b", ""}))
	f.Add(packed(included{wire.IncludedFolder, "/..", ".."})[:17])
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseIncluded(b)
		if err != nil {
			if !errors.Is(err, errIncluded) {
				t.Error(err)
			}
			return
		}
		if string(packed(entries...)) != string(b) {
			t.Errorf("%q was read as %v", b, entries)
		}
		root := t.TempDir()
		for _, e := range entries {
			if at, err := place(root, e.path); err == nil && at != root && !strings.HasPrefix(at, root+"/") {
				t.Errorf("%q leads to %s", e.path, at)
			}
		}
	})
}

func TestIncludedFilesStayInTheirFolder(t *testing.T) {
	under := t.TempDir()
	entries := []included{
		{wire.IncludedFolder, "/a/there and back/..", "x"},
		{wire.IncludedFile, "/../../../../outside.h", "outside"},
		{wire.IncludedFile, "/a/in/../b.h", "#include </c/d.h>\n"},
	}
	var h headers
	root, err := h.take(under, packed(entries...), entries)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"tree/outside.h": "outside", "tree/a/b.h": "#include <absolute/c/d.h>\n", "0/b.h": "#include <absolute/c/d.h>\n",
		"0/in/../b.h": "#include <absolute/c/d.h>\n", "absolute/outside.h": "outside",
	} {
		// The path is not cleaned: the compiler goes it as it is.
		if got, err := os.ReadFile(root + "/" + path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	// A second build with the same files has the same folder, until both are over.
	again, err := h.take(under, packed(entries...), entries)
	if err != nil || again != root {
		t.Errorf("the same files are in %s and %s: %v", root, again, err)
	}
	h.give(root)
	if _, err := os.Stat(filepath.Join(root, "tree/outside.h")); err != nil {
		t.Error(err)
	}
	h.give(root)
	if left, err := os.ReadDir(under); err != nil || len(left) != 0 {
		t.Errorf("%v are left: %v", left, err)
	}
}

func TestTooManyFoldersAreNoPath(t *testing.T) {
	deep := included{wire.IncludedFile, strings.Repeat("/a", wire.IncludedFoldersMax+1), ""}
	if _, err := parseIncluded(packed(deep)); !errors.Is(err, errIncluded) {
		t.Errorf("got %v", err)
	}
}
