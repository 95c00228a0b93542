package containerd_test

import (
	"context"
	"testing"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"sluice/runtime/sandbox/sandboxtest"
)

// A Create that is broken off between snapshot and container leaves a snapshot that only its lease keeps: List gives both
// back, and leaves alone what others hold.
func TestListCollectsBrokenOffCreates(t *testing.T) {
	w := newWorld(t, sandboxtest.BuildProbe(t))
	opened := w.open(t)
	b := sandboxtest.NewBench(t, w.fixture(t))
	running, _ := b.RunReady(b.Spec("hold"), 1)

	ctx := namespaces.WithNamespace(t.Context(), w.namespace)
	snapshotter := opened.Client().SnapshotService("overlayfs")
	leave := func(name string, labels map[string]string) {
		held, _, err := opened.Client().WithLease(ctx, leases.WithRandomID(), leases.WithLabels(labels))
		b.Must(err)
		_, err = snapshotter.Prepare(held, name, "")
		b.Must(err)
	}
	leave("broken-off", map[string]string{"sluice.create": "gone-1"})
	leave("foreign", map[string]string{"someone": "else"})

	found, err := opened.List(t.Context())
	b.Must(err)
	if len(found) != 1 || found[0].Identity().ID != running.Identity().ID {
		t.Errorf("found %v", found)
	}
	names := map[string]bool{}
	b.Must(snapshotter.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		names[info.Name] = true
		return nil
	}))
	if names["broken-off"] || !names["foreign"] {
		t.Errorf("snapshots are %v", names)
	}
	if _, err := snapshotter.Stat(ctx, "broken-off"); !errdefs.IsNotFound(err) {
		t.Errorf("the snapshot is still there: %v", err)
	}
}
