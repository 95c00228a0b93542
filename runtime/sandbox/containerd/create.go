package containerd

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"

	imagepkg "sluice/runtime/image"
	"sluice/runtime/sandbox"
)

// Create makes snapshot, container and task; the task is created but not started, which takes most of a start's time.
func (s *Sandbox) Create(ctx context.Context, spec sandbox.Spec) (sandbox.Instance, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	name, err := imagepkg.Name(spec.Image)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sandbox.ErrInvalid, err)
	}
	if info, err := os.Stat(spec.FunctionDir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%w: function folder %s does not exist", sandbox.ErrInvalid, spec.FunctionDir)
	}
	select {
	case s.creates <- struct{}{}:
		defer func() { <-s.creates }()
	case <-ctx.Done():
		return nil, fmt.Errorf("create %s: %w", spec.ID, ctx.Err())
	}
	if err := s.reserve(spec.ID); err != nil {
		return nil, err
	}
	defer s.unreserve(spec.ID)
	ctx = namespaces.WithNamespace(ctx, s.namespace)
	ctx, release, err := s.protect(ctx, spec.ID)
	if err != nil {
		return nil, fmt.Errorf("create %s: lease: %w", spec.ID, err)
	}
	defer func() { _ = release(context.WithoutCancel(ctx)) }() // see collectUnfinished
	made, err := s.create(ctx, spec, name)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", spec.ID, err)
	}
	return made, nil
}

func (s *Sandbox) create(ctx context.Context, spec sandbox.Spec, imageName string) (*instance, error) {
	image, err := s.client.GetImage(ctx, imageName)
	if errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s in namespace %s", sandbox.ErrImageNotFound, imageName, s.namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", imageName, err)
	}
	snapshotter, err := imagepkg.Unpack(ctx, image)
	if err != nil {
		return nil, err
	}
	// The container's id decides who was first, so a snapshot's name is this attempt's own.
	snapshot := spec.ID + "-" + rand.Text()
	container, err := s.client.NewContainer(
		ctx, spec.ID,
		client.WithContainerLabels(makeLabels(spec)),
		client.WithImage(image),
		client.WithSnapshotter(snapshotter),
		client.WithNewSnapshot(snapshot, image),
		client.WithNewSpec(append(specOptions(spec, image, s.folder), ownFunctionDir(spec.FunctionDir))...),
	)
	if err != nil {
		cleanup, cancel := lasting(ctx)
		defer cancel()
		if err := s.client.SnapshotService(snapshotter).Remove(cleanup, snapshot); err != nil && !errdefs.IsNotFound(err) {
			s.log.Warn("snapshot is left behind", "instance", spec.ID, "snapshot", snapshot, "error", err)
		}
		if errdefs.IsAlreadyExists(err) {
			return nil, fmt.Errorf("%w: %w", sandbox.ErrExists, err)
		}
		return nil, err
	}
	made := &instance{owner: s, container: container, identity: spec.Identity(), port: spec.Port}
	if err := made.prepare(ctx); err != nil {
		if err := made.Delete(ctx); err != nil {
			s.log.Warn("container is left behind", "instance", spec.ID, "error", err)
		}
		return nil, err
	}
	return made, nil
}

// prepare makes the task.
func (i *instance) prepare(ctx context.Context) error {
	log, err := os.OpenFile(i.identity.LogPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	log.Close()
	// Given up half way, a task's shim may be left behind that nobody knows of.
	whole, cancel := lasting(ctx)
	defer cancel()
	i.task, err = i.container.NewTask(whole, logTo(i.identity.LogPath))
	if err != nil && strings.Contains(err.Error(), `exec: "`) { // runc gives no kind, only text
		return fmt.Errorf("%w: %w", sandbox.ErrProgram, err)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// logTo has the shim append output and errors to a file that exists. The two are spelled differently, else the shim opens the file
// once and closes it when the output has ended, and with it the rest of the errors is lost (containerd issue 3118).
func logTo(path string) cio.Creator {
	return func(string) (cio.IO, error) {
		folder, file := filepath.Split(path)
		return cio.Load(cio.NewFIFOSet(cio.Config{Stdout: path, Stderr: folder + "./" + file}, nil))
	}
}

// ownFunctionDir gives the function folder to the program's user, who is known only once the image's configuration is read.
func ownFunctionDir(dir string) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		if err := os.Chown(dir, int(s.Process.User.UID), int(s.Process.User.GID)); err != nil {
			return fmt.Errorf("give function folder to the program: %w", err)
		}
		return nil
	}
}

// lasting is a context for what must be finished although the caller has gone.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
}
