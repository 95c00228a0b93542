package bolt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/store"
	"sluice/store/bolt"
	"sluice/store/storetest"
)

func TestRegistry(t *testing.T) {
	storetest.Run(t, func(t *testing.T, folder string) store.Registry {
		t.Helper()
		registry, err := bolt.Open(filepath.Join(folder, "store.bolt"))
		if err != nil {
			t.Fatal(err)
		}
		return registry
	})
}

func TestOpenRefusesAForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.bolt")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a store ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v, want one that names %s", err, path)
	}
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.bolt")
	registry, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}
