package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/containerd/containerd/v2/client"

	"sluice/runtime/image"
	"sluice/runtime/inject"
	"sluice/runtime/sandbox"
	"sluice/runtime/sandbox/containerd"
	"sluice/runtime/sandbox/process"
)

// openedSandbox is a sandbox with what it holds open.
type openedSandbox struct {
	sandbox.Sandbox
	io.Closer
	images *images // nil: it runs no images
}

func openSandbox(ctx context.Context, flags serveFlags, injected inject.Folder, log *slog.Logger) (openedSandbox, error) {
	log = log.With("component", "sandbox")
	if flags.sandbox == sandboxProcess {
		plain, err := process.New(flags.in("processes"), injected, log)
		return openedSandbox{plain, io.NopCloser(nil), nil}, err
	}
	if err := containerd.MountIn(flags.in("mounts")); err != nil {
		return openedSandbox{}, err
	}
	containers, err := containerd.Connect(ctx, flags.containerdAddress, flags.containerdNamespace, injected, log)
	if err != nil {
		return openedSandbox{}, fmt.Errorf("%w; start containerd, name its socket with --containerd-address, or choose --sandbox process", err)
	}
	return openedSandbox{containers, containers, &images{containers.Client()}}, nil
}

// images is the sandbox's image store.
type images struct{ containers *client.Client }

func (i *images) load(ctx context.Context, archive io.Reader) (string, error) {
	loaded, err := image.Import(ctx, i.containers, archive)
	return loaded.Name, err
}

func (i *images) pull(ctx context.Context, source image.Source) (string, error) {
	pulled, err := image.Pull(ctx, i.containers, source)
	return pulled.Name, err
}
