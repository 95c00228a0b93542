package storetest

import (
	"strings"
	"testing"
	"time"

	"sluice/store"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func deploy(t *testing.T, registry store.Registry, name string) store.Version {
	t.Helper()
	version, err := store.Deploy(t.Context(), registry, store.DefaultTenant, spec(name), now)
	if err != nil {
		t.Fatalf("deploy %s: %v", name, err)
	}
	return version
}

func testDeploy(t *testing.T, factory Factory) {
	registry := open(t, factory)
	_, err := store.Deploy(t.Context(), registry, "nobody", spec("f"), now)
	expect(t, err, store.ErrNotFound, "deploy for a tenant that does not exist")
	for _, wanted := range []string{"1", "2", "3"} {
		if version := deploy(t, registry, "f"); version.Number != wanted || version.Function != "f" || version.Spec.Image != "image:latest" {
			t.Errorf("deployed %+v, want number %s", version, wanted)
		}
	}
	deploy(t, registry, "ff")
	latest, err := store.LatestVersion(t.Context(), registry, store.DefaultTenant, "f")
	if err != nil || latest.Number != "3" || !latest.CreatedAt.Equal(now) {
		t.Errorf("latest version is %+v, %v", latest, err)
	}
	// A deployment that was cut off between its two writes leaves a version that nothing points to.
	orphan := store.Version{Tenant: store.DefaultTenant, Function: "f", Number: "4", Spec: spec("f")}
	if _, err := store.Save(t.Context(), registry, orphan, 0); err != nil {
		t.Fatal(err)
	}
	if version := deploy(t, registry, "f"); version.Number != "5" {
		t.Errorf("deployed %s past a left-over 4, want 5", version.Number)
	}
}

func testRemove(t *testing.T, factory Factory) {
	registry := open(t, factory)
	expect(t, store.Remove(t.Context(), registry, store.DefaultTenant, "f"), store.ErrNotFound, "remove of nothing")
	deploy(t, registry, "f")
	deploy(t, registry, "f")
	deploy(t, registry, "ff")
	if err := store.Remove(t.Context(), registry, store.DefaultTenant, "f"); err != nil {
		t.Fatal(err)
	}
	_, err := store.LatestVersion(t.Context(), registry, store.DefaultTenant, "f")
	expect(t, err, store.ErrNotFound, "latest version of a removed function")
	versions, err := store.LoadAll[store.Version](t.Context(), registry, store.DefaultTenant+"/")
	if err != nil || len(versions) != 1 || versions[0].Function != "ff" {
		t.Errorf("left after the removal: %+v, %v", versions, err)
	}
	if version := deploy(t, registry, "f"); version.Number != "1" {
		t.Errorf("deployed anew as version %s", version.Number)
	}
}

func testAPIKey(t *testing.T, factory Factory) {
	registry := open(t, factory)
	secret, key, err := store.NewAPIKey(store.DefaultTenant, "laptop", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Save(t.Context(), registry, key, 0); err != nil {
		t.Fatal(err)
	}
	if kept, _, err := store.Load[store.APIKey](t.Context(), registry, store.HashAPIKey(secret)); err != nil || kept != key {
		t.Errorf("kept %+v, %v, want %+v", kept, err, key)
	}
	record, err := registry.Get(t.Context(), store.KindAPIKey, key.Hash)
	if err != nil || strings.Contains(string(record.Value), strings.TrimPrefix(secret, "sluice_")) {
		t.Errorf("the record holds the secret: %s, %v", record.Value, err)
	}
}
