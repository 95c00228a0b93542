package bolt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/store/bolt"
	"sluice/store/storetest"
)

func open(t *testing.T, folder string) storetest.Engine {
	t.Helper()
	engine, err := bolt.Open(filepath.Join(folder, "store.bolt"))
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

func TestRegistry(t *testing.T) { storetest.RunRegistry(t, open) }
func TestQueue(t *testing.T)    { storetest.RunQueue(t, open) }
func TestCounters(t *testing.T) { storetest.RunCounters(t, open) }

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
